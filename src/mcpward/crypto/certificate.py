"""Judges the files of a certificate chain and its private key before a listener is made of them.

OpenSSL reports ``PEM lib`` or ``KEY_VALUES_MISMATCH``, asks the terminal for a passphrase, and serves a certificate
that expired last year. Here each fault has a sentence and advice. No message holds any part of a private key.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

Part = Literal["tls_cert", "tls_key"]
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_ENCRYPTED: Final = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")
#: Of both files; a chain has some 5 KiB.
LARGEST: Final = 1024**2


class TlsProblem(Struct, frozen=True):
    """The fault of one of the two files, and how to mend it. ``{file}`` stands for the file's path."""

    part: Part
    what: str
    hint: str


def tls_problems(certificate: bytes, key: bytes, now: float) -> list[TlsProblem]:
    """Return everything that is wrong with a chain and its key, for a server that starts at ``now``."""
    chain = _read_chain(certificate)
    private = _read_key(key)
    found = [one for one in (chain, private) if isinstance(one, TlsProblem)]
    if isinstance(chain, list):
        found += _of_time(chain[0], now)
        if isinstance(private, bytes):
            found += _of_match(chain, private)
    return found


def expires_at(certificate: bytes) -> float:
    """Return when the first certificate of a chain ends. Meant for one without problems."""
    return x509.load_pem_x509_certificates(certificate)[0].not_valid_after_utc.timestamp()


def _read_chain(raw: bytes) -> list[x509.Certificate] | TlsProblem:
    if _CERTIFICATE in raw:
        try:
            return x509.load_pem_x509_certificates(raw)
        except ValueError:
            return TlsProblem(
                "tls_cert", "a certificate in it is damaged", "write the file again from your authority's"
            )
    if not raw.strip():
        return TlsProblem("tls_cert", "the file is empty", "write the certificate chain into it, as PEM")
    if b"PRIVATE KEY-----" in raw:
        return TlsProblem("tls_cert", "it has a private key but no certificate", "are tls_cert and tls_key swapped?")
    if b"CERTIFICATE REQUEST-----" in raw:
        return TlsProblem(
            "tls_cert", "a request for a certificate is in it", "use the certificate that your authority issued for it"
        )
    return TlsProblem("tls_cert", *_wrong_format(raw, "certificate", "x509", "-nokeys"))


def _read_key(raw: bytes) -> bytes | TlsProblem:
    """Return the public half, by which keys are compared."""
    if any(mark in raw for mark in _ENCRYPTED):
        return TlsProblem(
            "tls_key",
            "the key is encrypted with a passphrase, which a start cannot ask for",
            "openssl pkey -in {file} -out {file}.plain && chmod 600 {file}.plain, and name that file",
        )
    if b"PRIVATE KEY-----" in raw:
        try:
            private = serialization.load_pem_private_key(raw, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return TlsProblem("tls_key", "the private key in it is damaged", "write the file again from its source")
        return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if not raw.strip():
        return TlsProblem("tls_key", "the file is empty", "write the private key into it, as PEM")
    if _CERTIFICATE in raw:
        return TlsProblem("tls_key", "it has a certificate but no private key", "are tls_cert and tls_key swapped?")
    if b"PUBLIC KEY-----" in raw:
        return TlsProblem("tls_key", "a public key is in it", "name the file of the private key")
    return TlsProblem("tls_key", *_wrong_format(raw, "private key", "pkey", "-nocerts -nodes"))


def _wrong_format(raw: bytes, what: str, command: str, of_bundle: str) -> tuple[str, str]:
    if raw[:1] == b"\x30":  # a SEQUENCE of DER (X.690); PKCS #12 begins with its version, which is 3 (RFC 7292 §4)
        header = 2 + (raw[1] & 0x7F if len(raw) > 1 and raw[1] & 0x80 else 0)
        if raw[header : header + 3] == b"\x02\x01\x03":
            return "the file is PKCS #12, not PEM", f"openssl pkcs12 -in {{file}} {of_bundle} -out {{file}}.pem"
        return "the file is DER, not PEM", f"openssl {command} -inform der -in {{file}} -out {{file}}.pem"
    return f"there is no {what} in it", f"name a PEM file, with a line -----BEGIN {what.upper()}-----"


def _of_time(leaf: x509.Certificate, now: float) -> Iterator[TlsProblem]:
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    if leaf.not_valid_after_utc < moment:
        yield TlsProblem(
            "tls_cert",
            f"the certificate expired on {_day(leaf.not_valid_after_utc)}: every client would refuse it",
            "renew it (certbot renew, or your authority's procedure)",
        )
    elif leaf.not_valid_before_utc > moment:
        yield TlsProblem(
            "tls_cert",
            f"the certificate is valid from {_day(leaf.not_valid_before_utc)} on, and here it is {_day(moment)}",
            "is this machine's clock right (timedatectl)?",
        )


def _of_match(chain: list[x509.Certificate], public: bytes) -> Iterator[TlsProblem]:
    keys = [_public(one) for one in chain]
    if keys[0] == public:
        return
    if public in keys[1:]:
        yield TlsProblem(
            "tls_cert",
            f"the certificate of this key is number {keys.index(public) + 1} in it, and must be the first",
            "put the site's own certificate first, then those of the authorities (certbot: fullchain.pem)",
        )
        return
    yield TlsProblem(
        "tls_key",
        "the key does not belong to the certificate of site.tls_cert",
        "name the two files that were made together (certbot: fullchain.pem and privkey.pem of one folder)",
    )


def _public(one: x509.Certificate) -> bytes:
    try:
        return one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):  # of an authority further up, perhaps: no key of ours
        return b""


def _day(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
