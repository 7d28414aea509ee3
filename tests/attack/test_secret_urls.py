"""A URL that is a credential: it must be unguessable, exact, and written down nowhere.

Sources: CWE-598 (secrets in URLs), RFC 6750 §5.3, CVE-2026-48710 (path confusion), OWASP on Referer leaks.
"""

import json
import math
import re
from itertools import product
from pathlib import Path
from urllib.request import urlopen

import pytest

from support.leak import leak_in
from support.raw import Answer, request, talk
from support.ward import ACCEPT, modern_request


def called(port: int, path: str, more: tuple[tuple[str, str], ...] = (), verb: str = "POST") -> bytes:
    body, headers = modern_request("tools/call", {"name": "echo", "arguments": {"text": "in"}}, name="echo")
    headers |= {"content-type": "application/json", "accept": ACCEPT}
    return request(port, verb, path, [*headers.items(), *more], json.dumps(body).encode() if verb == "POST" else b"")


def whole(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    return answer.status, {name: value for name, value in answer.headers.items() if name != "date"}, answer.body


def test_attack_38_the_secret_has_more_than_128_bits_and_opens_the_door(street):
    assert re.fullmatch(r"[0-9A-Za-z]{48}", street.secret)
    assert 48 * math.log2(62) > 285
    assert talk(street.ward.port, called(street.ward.port, street.hidden_path)).statuses == [200]


def test_attack_38_two_urls_have_nothing_in_common(street):
    more = [
        street.ward.cli("url", "rotate", "--server", "hidden", "--grace", "1h").stdout.strip()[-48:] for _ in range(3)
    ]
    secrets = [street.secret, *more]
    assert len({secret[at : at + 6] for secret in secrets for at in range(43)}) == 43 * 4
    street.secret = more[-1]
    street.hidden_path = f"/hidden/mcp/{street.secret}"
    assert any(
        talk(street.ward.port, called(street.ward.port, street.hidden_path)).statuses == [200] for _ in range(400)
    )


@pytest.mark.parametrize("verb", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("body", ["none", "good", "large", "typed wrong"])
def test_attack_38_a_wrong_url_is_answered_byte_for_byte_like_any_unknown_path(street, verb: str, body: str):
    port = street.ward.port
    wrong = "0" * 48
    paths = (
        f"/hidden/mcp/{wrong}",
        f"/nobody/mcp/{wrong}",
        f"/demo/mcp/{wrong}",
        f"/open/mcp/{wrong}",
        "/nowhere",
        "/hidden/mcp",
        "/hidden",
        f"/hidden/mcp/{wrong[1:]}",
        f"/hidden/mcp/{street.secret[:-1]}-",
    )
    more = {
        "none": request(port, verb, "%s"),
        "good": called(port, "%s", verb=verb),
        "large": request(port, verb, "%s", [("Content-Length", "999999999")], framed=False),
        "typed wrong": request(port, verb, "%s", [("Content-Type", "text/html")], b"x"),
    }[body]
    answers = [talk(port, more.replace(b"%s", path.encode()), quiet_s=0.01, bodyless=verb == "HEAD") for path in paths]
    assert {answer.statuses[0] for answer in answers} == {404}
    assert len({json.dumps(whole(answer.answers[0]), default=str) for answer in answers}) == 1
    assert leak_in(answers[0].received) is None


def test_attack_38_a_page_that_holds_the_url_gets_nothing(street):
    """Any Origin is 403 with the right secret; with a wrong one it is what every path says to a foreign page."""
    port = street.ward.port
    for origin in ("null", "http://evil.example", f"https://127.0.0.1:{port}"):
        for path in (street.hidden_path, street.hidden_path + "/", "/hidden/mcp/" + "0" * 48, "/nowhere"):
            assert talk(port, called(port, path, (("Origin", origin),))).statuses == [403]
    own = (("Origin", f"http://127.0.0.1:{port}"),)
    for path, status in ((street.hidden_path, 403), ("/hidden/mcp/" + "0" * 48, 404), ("/nowhere", 404)):
        assert talk(port, called(port, path, own)).statuses == [status]


def test_attack_38_every_answer_forbids_referer_and_cache(street):
    port = street.ward.port
    for data in (called(port, street.hidden_path), called(port, "/nowhere"), request(port, "PUT", street.hidden_path)):
        headers = talk(port, data).answers[0].headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_attack_38_the_secret_is_in_no_log_record_metric_page_or_file(street):
    ward, secret = street.ward, street.secret
    port = ward.port
    received = b""
    for verb, more in product(("GET", "POST", "DELETE", "PUT"), ((), (("Origin", "null"),), (("Host", "x"),))):
        received += talk(port, called(port, street.hidden_path, more, verb), quiet_s=0.01).received
    for data in (
        called(port, street.hidden_path + "/x"),
        called(port, street.hidden_path + "?x=" + secret),
        called(port, "/" + secret),
        f"GET {street.hidden_path} HTTP/9.9\r\n\r\n".encode(),
        f"{street.hidden_path}\r\n\r\n".encode(),
        called(port, street.hidden_path).replace(b'"2.0"', b'"1.0"'),
        called(port, street.hidden_path).replace(b"tools/call", secret.encode()[:10]),
    ):
        received += talk(port, data, quiet_s=0.01).received
    with urlopen(f"http://127.0.0.1:{ward.metrics_port}/metrics", timeout=5) as page:
        metrics = page.read()
    ward.records()
    assert secret.encode() not in received
    assert secret.encode() not in metrics
    assert secret not in ward.log()
    for path in ward.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    assert ward.process is not None
    assert secret.encode() not in Path(f"/proc/{ward.process.pid}/cmdline").read_bytes()


def variants(secret: str) -> dict[str, str]:
    middle = secret[24]
    first = next(at for at, letter in enumerate(secret) if letter.isalpha())
    swapped = secret[:first] + secret[first].swapcase() + secret[first + 1 :]
    encoded = f"%{ord(middle):02x}"
    return {
        "other case of one letter": f"/hidden/mcp/{swapped}",
        "upper case": f"/hidden/mcp/{secret.upper()}",
        "lower case": f"/hidden/mcp/{secret.lower()}",
        "one letter encoded": f"/hidden/mcp/{secret[:24]}{encoded}{secret[25:]}",
        "one letter encoded, upper hex": f"/hidden/mcp/{secret[:24]}{encoded.upper()}{secret[25:]}",
        "all encoded": "/hidden/mcp/" + "".join(f"%{ord(letter):02x}" for letter in secret),
        "encoded twice": f"/hidden/mcp/{secret[:24]}%25{ord(middle):02x}{secret[25:]}",
        "encoded slash": f"/hidden/mcp%2f{secret}",
        "encoded letter before": f"/hidden/m%63p/{secret}",
        "two slashes behind": f"/hidden/mcp/{secret}//",
        "slash and dot behind": f"/hidden/mcp/{secret}/.",
        "encoded slash behind": f"/hidden/mcp/{secret}%2f",
        "one letter less, slash behind": f"/hidden/mcp/{secret[:-1]}/",
        "slash for the last letter": f"/hidden/mcp/{secret[:-1]}//",
        "two slashes": f"/hidden/mcp//{secret}",
        "two slashes in front": f"//hidden/mcp/{secret}",
        "dot": f"/hidden/mcp/./{secret}",
        "dots": f"/hidden/mcp/x/../{secret}",
        "semicolon": f"/hidden/mcp/{secret};x=y",
        "one letter less": f"/hidden/mcp/{secret[:-1]}",
        "one letter more": f"/hidden/mcp/{secret}0",
        "letter in front": f"/hidden/mcp/0{secret}",
        "space": f"/hidden/mcp/{secret}%20",
        "NUL": f"/hidden/mcp/{secret}%00",
        "other server": f"/demo/mcp/{secret}",
        "no server": f"/mcp/{secret}",
        "other case of the path": f"/Hidden/mcp/{secret}",
        "in the query": f"/hidden/mcp?{secret}",
        "fragment": f"/hidden/mcp/{secret}#",
        "backslash": f"/hidden/mcp\\{secret}",
        "wide digit": f"/hidden/mcp/{secret[:24]}\u00b2{secret[25:]}",
        "well-known": f"/.well-known/oauth-protected-resource/hidden/mcp/{secret}",
    }


def test_a_slash_behind_the_url_says_nothing_and_a_wrong_one_is_an_unknown_path(street):
    port = street.ward.port
    assert talk(port, called(port, street.hidden_path + "/")).statuses == [200]
    wrong = talk(port, called(port, "/hidden/mcp/" + "0" * 48 + "/")).answers[0]
    unknown = talk(port, called(port, "/nowhere/")).answers[0]
    assert (wrong.status, wrong.body) == (unknown.status, unknown.body) == (404, unknown.body)
    assert {**wrong.headers, "date": ""} == {**unknown.headers, "date": ""}


@pytest.mark.parametrize("variant", variants("Ab" * 24))
def test_attack_39_only_the_exact_url_opens(street, variant: str):
    path = variants(street.secret)[variant]
    heard = talk(street.ward.port, called(street.ward.port, path), quiet_s=0.02)
    assert heard.statuses in ([404], [400])
    assert street.secret.encode() not in heard.received
