"""TLS of the site's own: its files are judged and renewed; a handshake without end is not waited for (attack 46)."""

import re
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from support.certificate import certificate
from support.wire import site, until

HANDSHAKE_S = 1.0
#: The default would be a minute; the machine may have other work.
SLACK_S = 6.0
#: The first bytes of a ClientHello of 512 bytes (RFC 8446 §4.1.2).
HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    certificate(folder)
    settings = {"site.tls_cert": "cert.pem", "site.tls_key": "key.pem", "http.header_timeout_s": HANDSHAKE_S}
    with site(folder, settings, start=False) as ward:
        ward.base = f"https://127.0.0.1:{ward.port}"
        yield ward.start()


@pytest.mark.parametrize("opening", [b"", HALF_A_HELLO], ids=["nothing", "half a hello"])
def test_attack_46_a_handshake_that_does_not_end_is_ended(ward, opening):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", ward.port), timeout=HANDSHAKE_S + SLACK_S) as line:
        line.sendall(opening)
        try:
            while line.recv(4096):  # an alert may come first
                pass
        except ConnectionResetError:
            pass  # a close over bytes that were not read
    assert time.monotonic() - began > HANDSHAKE_S / 2


def test_a_handshake_that_takes_its_time_within_the_limit_is_waited_for(ward):
    trust = ssl.create_default_context(cafile=str(ward.folder / "cert.pem"))
    trust.check_hostname = False
    with socket.create_connection(("127.0.0.1", ward.port), timeout=5) as line:
        time.sleep(HANDSHAKE_S / 4)
        with trust.wrap_socket(line) as safe:
            safe.sendall(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{ward.port}\r\n\r\n".encode())
            assert safe.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_wrong_files_are_all_told_before_the_start_with_their_lines_and_what_to_do(tmp_path):
    settings = {"site.tls_cert": "no.pem", "site.tls_key": "key.pem"}
    with site(tmp_path, settings, start=False) as ward:
        certificate(tmp_path)
        key = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
        locked = BestAvailableEncryption(b"secret-passphrase")
        (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
        for words in (("serve",), ("config", "check")):
            refused = ward.cli(*words, "--config", "mcpward.toml", check=False)
            assert refused.returncode == 2
            lines = refused.stderr.splitlines()
            assert re.fullmatch(
                r"error: mcpward\.toml:\d+: site\.tls_cert: \S+/no\.pem: there is no such file", lines[0]
            )
            assert lines[1] == "hint: name the PEM file of the certificate chain"
            ward.create_key("bench")  # who serves nothing needs no certificate
        (tmp_path / "mcpward.toml").write_text((tmp_path / "mcpward.toml").read_text().replace("no.pem", "cert.pem"))
        lines = ward.cli("serve", check=False).stderr.splitlines()
        assert "key.pem: the key is encrypted with a passphrase" in lines[0]
        assert lines[1].startswith("hint: openssl pkey -in /")
        assert len(lines) == 2


def test_an_expired_certificate_does_not_start(tmp_path):
    with site(tmp_path, {"site.tls_cert": "cert.pem", "site.tls_key": "key.pem"}, start=False) as ward:
        certificate(tmp_path, days=1, since_days=2)
        refused = ward.cli("serve", check=False)
        assert (refused.returncode, refused.stderr.count("error: ")) == (2, 1)
        assert "the certificate expired on " in refused.stderr


def number_of(ward):
    """Make a new handshake, and return the serial number of the certificate that the site shows."""
    shown = ssl.get_server_certificate(("127.0.0.1", ward.port), timeout=20)
    return x509.load_pem_x509_certificate(shown.encode()).serial_number


def test_a_renewed_certificate_is_taken_without_a_restart_and_a_wrong_one_is_not(ward):
    pid = ward.running.pid
    certificate(ward.folder, number=2)
    until(lambda: number_of(ward) == 2, 20)
    assert ward.log().count("the renewed certificate is in use") == 1
    (ward.folder / "cert.pem").write_text("half a fi")
    until(lambda: "the changed certificate is not valid" in ward.log(), 20)
    assert number_of(ward) == 2
    certificate(ward.folder, number=3)
    until(lambda: number_of(ward) == 3, 20)
    assert ward.running.pid == pid
    assert "the certificate expires soon: renew it" in ward.log()  # it is good for a day
