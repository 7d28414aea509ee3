"""The work that a stranger can cause before mcpward knows the caller (attack 46)."""

import socket

import pytest

from support.ward import Ward, serving


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory):
    with serving(tmp_path_factory.mktemp("strangers") / "site") as running:
        yield running


def first_line(ward: Ward, head: str, body: bytes = b"") -> bytes:
    """Send a head and a part of its body, and return the status line that comes although the rest never does."""
    with socket.create_connection(("127.0.0.1", ward.port), timeout=10) as peer:
        peer.sendall(head.encode() + b"\r\n" + body)
        return peer.recv(4096).split(b"\r\n", 1)[0]


def head_of(ward: Ward, length: int, key: str = "", accept: str = "application/json") -> str:
    credential = f"Authorization: Bearer {key}\r\n" if key else ""
    return (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{ward.port}\r\nContent-Type: application/json\r\n"
        f"Accept: {accept}\r\n{credential}Content-Length: {length}\r\n"
    )


def test_attack_46_a_large_body_of_a_stranger_is_refused_before_it_is_whole(ward: Ward) -> None:
    assert first_line(ward, head_of(ward, 1_000_000), b" " * 100_000) == b"HTTP/1.1 401 Unauthorized"


def test_attack_46_a_large_body_of_a_known_caller_is_read_to_its_end(ward: Ward) -> None:
    answer = ward.call("echo", {"text": "x" * 300_000})
    assert answer.status_code == 200
    assert answer.json()["result"]["isError"] is False


def test_attack_46_an_accept_header_that_costs_more_than_a_call_is_refused(ward: Ward) -> None:
    long = "application/json" + "," * 20_000
    assert first_line(ward, head_of(ward, 2, accept=long), b"{}") == b"HTTP/1.1 401 Unauthorized"
    assert first_line(ward, head_of(ward, 2, ward.key, accept=long), b"{}") == b"HTTP/1.1 406 Not Acceptable"
