"""TLS of the house's own: who begins a handshake and does not end it is not waited for (attack 46)."""

import socket
import ssl
import time

import pytest

from support.certificate import certificate
from support.wire import site

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
