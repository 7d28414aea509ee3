"""A secret URL: shown once, kept as a hash, masked wherever the process speaks, and rotated without a gap."""

import json
import time

import pytest

from support.ward import Ward, text_of
from support.wire import SECRET_URL, Session, first_credentials, handed_out, metrics, rows, secret_in, site, until


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    settings = {"servers.bench.mode": "unlisted", "log.level": "debug"}
    with site(tmp_path_factory.mktemp("unlisted"), settings) as ward:
        ward.credentials["first"] = secret_in(first_credentials(ward))
        yield ward


def status(ward: Ward, secret: str) -> int:
    return ward.call("echo", {"text": "a"}, path=f"/mcp/{secret}").status_code


def rotated(ward: Ward, *words: str) -> str:
    done = ward.cli("url", "rotate", *words)
    secret = secret_in(done.stdout)
    assert done.stdout == f"{ward.base}/bench/mcp/{secret}\n"
    assert secret not in done.stderr
    return secret


def test_the_url_is_the_credential(ward):
    secret = rotated(ward)
    until(lambda: status(ward, secret) == 200, 1.0)
    assert text_of(Session(ward, path=f"/mcp/{secret}").call("echo", {"text": "a"})) == "a"
    assert ward.call("whoami", path=f"/mcp/{secret}").json()["result"]["structuredContent"]["way"] == "unlisted"


def test_the_secret_is_masked_wherever_the_process_speaks(ward):
    secret = rotated(ward)
    until(lambda: status(ward, secret) == 200, 1.0)
    verbs, suffixes = ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"), ("", "/", "?a=b", "/x", "%00")
    with ward.client() as client:
        said = [client.request(verb, f"/mcp/{secret}{suffix}") for verb in verbs for suffix in suffixes]
        said.append(client.post(f"/mcp/{secret}", content=b"{", headers={"content-type": "application/json"}))
        said.append(client.get(f"/mcp/{secret}", headers={"origin": "https://evil.example"}))
        said.append(client.get(f"/mcp/{secret}", headers={"host": "evil.example"}))
    said += [ward.call(tool, {"text": "a"}, path=f"/mcp/{secret}") for tool in ("crash", "nothing", "whoami")]
    for answer in said:
        assert secret not in answer.text
        assert secret not in str(answer.headers)
        assert answer.headers["referrer-policy"] == "no-referrer"
    until(lambda: rows(ward, "tool = 'crash'"))
    assert "refused at the gate" in ward.log()  # it speaks of every request: the level is debug
    shown = [ward.cli("url", "show", "--json", check=False), ward.cli("log", "--json"), ward.cli("config", "show")]
    for text in (
        ward.log(),
        metrics(ward),
        json.dumps(rows(ward), default=str),
        *(done.stdout + done.stderr for done in shown),
    ):
        assert secret not in text
        assert secret[:24] not in text


def test_the_secret_is_on_disk_in_no_file(ward):
    secret = rotated(ward)
    until(lambda: status(ward, secret) == 200, 1.0)
    for path in (ward.folder / ".mcpward").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_a_url_can_never_be_shown_again(ward):
    shown = ward.cli("url", "show", check=False)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "only a hash of it is kept" in shown.stderr
    assert ward.credentials["first"] not in shown.stderr


def test_a_rotation_with_grace_leaves_no_gap(ward):
    old = rotated(ward)
    until(lambda: status(ward, old) == 200, 1.0)
    new = rotated(ward, "--grace", "8s")
    at = time.monotonic()
    until(lambda: status(ward, new) == 200, 1.0)
    assert status(ward, old) == 200
    until(lambda: status(ward, old) == 404, 10.0)
    assert time.monotonic() - at > 1.0
    assert status(ward, new) == 200


def test_a_rotation_without_grace_ends_every_older_url_within_a_second(ward):
    old = rotated(ward)
    until(lambda: status(ward, old) == 200, 1.0)
    new = rotated(ward, "--grace", "0")
    until(lambda: status(ward, old) == 404, 1.0)
    assert status(ward, ward.credentials["first"]) == 404
    until(lambda: status(ward, new) == 200, 1.0)


def test_a_session_outlives_the_rotation_of_its_url(ward):
    old = rotated(ward)
    until(lambda: status(ward, old) == 200, 1.0)
    session = Session(ward, path=f"/mcp/{old}")
    new = rotated(ward)
    until(lambda: status(ward, new) == 200, 1.0)
    session.path = f"/mcp/{new}"
    assert text_of(session.call("echo", {"text": "a"})) == "a"


def test_the_first_start_alone_hands_a_url_out(tmp_path):
    with site(tmp_path, {"servers.bench.mode": "unlisted"}) as ward:
        assert len(SECRET_URL.findall(first_credentials(ward))) == 1
        ward.stop()
        ward.start()
        assert len(SECRET_URL.findall(first_credentials(ward))) == 1
        secret = handed_out(ward, SECRET_URL).rpartition("/")[2]
        assert status(ward, secret) == 200
        assert secret not in ward.log()
