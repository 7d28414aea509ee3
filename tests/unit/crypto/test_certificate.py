"""Each fault of a certificate or its key has a sentence of its own, and the command that fixes it."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from mcpward.crypto.certificate import TlsProblem, expires_at, tls_problems

NOW = 1_800_000_000.0
DAY = dt.timedelta(days=1)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


class Pair:
    """A key and a certificate that signs for itself, valid from a day ago for ``days``."""

    def __init__(self, since=-1, days=90):
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mcp.example.com")])
        start = dt.datetime.fromtimestamp(NOW, dt.UTC) + since * DAY
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        made = made.serial_number(1).not_valid_before(start).not_valid_after(start + days * DAY)
        self.certificate = made.sign(self.key, hashes.SHA256())

    @property
    def chain(self):
        return self.certificate.public_bytes(PEM)

    def private(self, encoding=PEM, protection=None):
        kind = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(encoding, kind, protection or serialization.NoEncryption())


GOOD = Pair()
OTHER = Pair()
BUNDLE = pkcs12.serialize_key_and_certificates(b"site", GOOD.key, GOOD.certificate, None, serialization.NoEncryption())
LOCKED = GOOD.private(protection=serialization.BestAvailableEncryption(b"secret-passphrase"))
OLD_LOCKED = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n"
REQUEST = b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
PUBLIC = GOOD.key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
DAMAGED = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def test_a_good_pair_has_no_problem():
    assert tls_problems(GOOD.chain, GOOD.private(), NOW) == []
    assert tls_problems(GOOD.chain + OTHER.chain, GOOD.private(), NOW) == []
    assert expires_at(GOOD.chain) == NOW + 89 * 86400


@pytest.mark.parametrize(
    "chain,key,part,what,hint",
    [
        (b"", GOOD.private(), "tls_cert", "is empty", "as PEM"),
        (GOOD.private(), GOOD.private(), "tls_cert", "it has a private key", "swapped"),
        (REQUEST, GOOD.private(), "tls_cert", "a request for a certificate", "your authority issued for it"),
        (b"hello", GOOD.private(), "tls_cert", "no certificate in it", "-----BEGIN CERTIFICATE-----"),
        (DAMAGED, GOOD.private(), "tls_cert", "damaged", "again"),
        (GOOD.certificate.public_bytes(DER), GOOD.private(), "tls_cert", "DER, not PEM", "openssl x509 -inform der"),
        (BUNDLE, GOOD.private(), "tls_cert", "PKCS #12", "openssl pkcs12 -in {file} -nokeys"),
        (Pair(-100, 90).chain, None, "tls_cert", "expired on 2027-01-05", "renew it"),
        (Pair(+1, 90).chain, None, "tls_cert", "valid from 2027-01-16", "timedatectl"),
        (OTHER.chain + GOOD.chain, GOOD.private(), "tls_cert", "number 2 in it, and must be the first", "first"),
        (OTHER.chain, GOOD.private(), "tls_key", "does not belong to the certificate", "made together"),
        (GOOD.chain, b" \n", "tls_key", "is empty", "as PEM"),
        (GOOD.chain, LOCKED, "tls_key", "encrypted with a passphrase", "openssl pkey -in {file}"),
        (GOOD.chain, OLD_LOCKED, "tls_key", "encrypted with a passphrase", "openssl pkey -in {file}"),
        (GOOD.chain, GOOD.chain, "tls_key", "it has a certificate", "swapped"),
        (GOOD.chain, PUBLIC, "tls_key", "a public key is in it", "private key"),
        (GOOD.chain, GOOD.private(DER), "tls_key", "DER, not PEM", "openssl pkey -inform der"),
        (GOOD.chain, BUNDLE, "tls_key", "PKCS #12", "-nocerts"),
        (GOOD.chain, GOOD.private()[:90] + b"\n-----END PRIVATE KEY-----\n", "tls_key", "damaged", "again"),
        (GOOD.chain, b"hello", "tls_key", "no private key in it", "-----BEGIN PRIVATE KEY-----"),
    ],
)
def test_each_problem_is_said_and_what_to_do(chain, key, part, what, hint):
    found = tls_problems(chain, GOOD.private() if key is None else key, NOW)
    (problem,) = [one for one in found if key is not None or "expire" in one.what or "valid" in one.what]
    assert problem.part == part
    assert what in problem.what
    assert hint in problem.hint


def test_both_files_are_judged_at_once():
    found = tls_problems(b"hello", LOCKED, NOW)
    assert [one.part for one in found] == ["tls_cert", "tls_key"]
    assert isinstance(found[0], TlsProblem)
