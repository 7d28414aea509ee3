"""Resources, templates, prompts and completions: a caller cannot see items that it may not have, and a URI is only a
name.

Sources: 2026-07-28 server/resources (URIs are validated, access is checked), server/utilities/completion (no
disclosure), RFC 3986 §2.1 and §6 (escapes and dots), RFC 6570 §2.2 (what an expression may hold).
"""

import json
from base64 import b64encode

import pytest

from support.leak import leak_in
from support.talk import modern, result_of
from support.wire import reason_of

CANARY = "canary-in-the"


@pytest.fixture
def bob(salon):
    with salon.line(salon.bob) as line:
        yield line


@pytest.fixture
def grace(salon):
    with salon.line(salon.grace) as line:
        yield line


def read(line, uri: str):
    """Read a resource; a URI that no header can hold is sent as the specification encodes it."""
    body, headers = modern("resources/read", {"uri": uri})
    return line.post(body, headers | {"mcp-name": mirrored(uri)})


def mirrored(text: str) -> str:
    """Return a value as a header may hold it (2026-07-28, transports, `=?base64?…?=`)."""
    plain = text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("=?")
    return text if plain else f"=?base64?{b64encode(text.encode()).decode()}?="


def complete(line, ref: dict, value: object = "", name: str = "name"):
    return line.modern("completion/complete", {"ref": ref, "argument": {"name": name, "value": value}})


# ---- 66, 67: what is hidden ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["tools/list", "resources/list", "resources/templates/list", "prompts/list"])
def test_attack_67_what_a_key_may_not_have_is_not_listed(bob, grace, method):
    mine, hers = (json.dumps(result_of(line.modern(method))) for line in (bob, grace))
    for name in ("hidden", "talk://vault", "talk://safe", "whisper"):
        assert name not in mine
    assert len(hers) > len(mine)


@pytest.mark.parametrize("uri", ["talk://vault", "talk://safe/x"])
def test_attacks_66_and_67_a_hidden_resource_is_the_same_as_none(bob, grace, uri):
    assert CANARY in read(grace, uri).text
    hidden, missing = read(bob, uri), read(bob, uri.replace("a", "e"))
    assert hidden.status_code == missing.status_code == 400
    assert hidden.json()["error"] | {"data": None} == missing.json()["error"] | {"data": None}
    assert hidden.json()["error"]["data"]["reason"] == missing.json()["error"]["data"]["reason"] == "resource-unknown"


def test_attacks_66_and_67_a_hidden_prompt_is_the_same_as_none(bob, grace):
    def get(line, name):
        return line.modern("prompts/get", {"name": name, "arguments": {"name": "x"}})

    assert CANARY in get(grace, "whisper").text
    assert get(bob, "whisper").json()["error"] == get(bob, "whistle").json()["error"]
    assert reason_of(get(bob, "whisper")) == "prompt-unknown"


def test_attacks_66_and_67_completion_tells_nothing_of_what_is_hidden(bob, grace):
    secret, none = {"type": "ref/prompt", "name": "whisper"}, {"type": "ref/prompt", "name": "whistle"}
    assert CANARY in complete(grace, secret).text
    hidden, missing = complete(bob, secret), complete(bob, none)
    assert hidden.status_code == missing.status_code
    assert hidden.json().get("error") == missing.json().get("error")
    assert hidden.json().get("result") == missing.json().get("result")
    safe, nowhere = ({"type": "ref/resource", "uri": f"talk://{place}/{{name}}"} for place in ("safe", "sofa"))
    hidden, missing = complete(bob, safe), complete(bob, nowhere)
    assert (hidden.status_code, hidden.json().get("result")) == (missing.status_code, missing.json().get("result"))


def test_attack_67_a_scope_is_not_found_in_another_servers_key(salon):
    with salon.line(salon.grace, "/other/mcp") as line:
        assert line.modern("resources/list").status_code == 401


# ---- 53, 78, 82, 83: URIs ------------------------------------------------------------------------------------------

TRICKS = [
    "talk://shelf/../vault", "talk://shelf/..%2fvault", "talk://shelf/%2e%2e/vault", "talk://shelf/./x", "talk://shelf/",
    "talk://shelf//x", "talk://shelf/a/b", "talk://shelf/a%2fb", "talk://shelf/a%00", "talk://shelf/a\0b",
    "talk://shelf/%0d%0aset-cookie:x", "talk://shelf/a\r\nb", "talk://shelf/%", "talk://shelf/%zz", "talk://shelf/%c0%ae",
    "talk://shelf/a?b", "talk://shelf/a#b", "TALK://shelf/a", "talk://SHELF/a", "talk:/shelf/a", "talk://shelf/{name}",
    "talk://tree/../vault", "talk://tree/a/../../vault", "talk://tree/a/%2e%2e/b", "talk://tree//a", "talk://tree/",
    "talk://vault/", "talk://vault?", "talk://vault#", "talk://%76ault", "talk://vault%20", " talk://vault",
    "talk://vault ",
    "file:///etc/passwd", "file://talk/etc/passwd", "http://127.0.0.1:1/", "data:text/plain,x", "javascript:alert(1)",
    "talk://user:pass@shelf/a", "talk://shelf/\u202egnp", "talk://shelf/" + "a" * 20_000, "", "talk://", "://", "x",
]  # fmt: skip


@pytest.mark.parametrize("uri", TRICKS, ids=lambda uri: repr(uri)[:40])
def test_attack_53_a_trick_in_a_uri_reads_nothing_else(bob, uri):
    response = read(bob, uri)
    assert response.status_code in {200, 400, 431}
    assert CANARY not in response.text
    assert leak_in(response.content.replace(json.dumps(uri)[1:-1].encode(), b"")) is None
    if response.status_code == 200:  # it was one segment, whatever it looks like
        (content,) = response.json()["result"]["contents"]
        assert content["text"].startswith(("shelf [", "tree ["))
        assert not [part for part in content["text"][6:-1].split("/") if part in {"", ".", ".."}]


@pytest.mark.parametrize("uri", [None, 1, [], {}, True, ["talk://news"]])
def test_attack_66_a_uri_that_is_no_text_is_refused(bob, uri):
    body, headers = modern("resources/read", {"uri": uri})
    assert bob.post(body, headers).status_code == 400


@pytest.mark.parametrize("text", ["{self.__class__}", "{{7*7}}", "${7*7}", "%(x)s", "{name}"])
def test_attack_82_a_template_in_an_argument_stays_text(bob, text):
    got = result_of(bob.modern("prompts/get", {"name": "greet", "arguments": {"name": text}}))
    assert got["messages"][0]["content"]["text"] == f"Say hello to {text}."
    values = result_of(complete(bob, {"type": "ref/prompt", "name": "greet"}, text))["completion"]["values"]
    assert values == []
    shelf = read(bob, f"talk://shelf/{text.replace('{', '%7B').replace('}', '%7D').replace('%(', '%25(')}")
    assert shelf.status_code == 200
    assert shelf.json()["result"]["contents"][0]["text"] == f"shelf [{text}]"


def test_attack_84_what_people_do_not_see_is_taken_out_of_prompts_resources_and_completions(bob):
    unseen = "a\x1b[31m\u202e\u200b\U000e0041b"
    prompt = bob.modern("prompts/get", {"name": "greet", "arguments": {"name": unseen}})
    shelf = read(bob, "talk://shelf/a%1b%e2%80%ae%f3%a0%81%81b")
    for response in (prompt, shelf):
        text = response.text.encode().decode("utf-8")
        assert not [letter for letter in "\x1b\u202e\u200b\U000e0041" if letter in text or f"{ord(letter):04x}" in text]


def test_attack_83_a_line_break_in_a_mirrored_argument_is_refused(bob):
    for region in ("eu\r\nx-admin: 1", "eu\n", "eu\0"):
        body, headers = modern("tools/call", {"name": "place", "arguments": {"region": region}})
        response = bob.post(body, headers | {"mcp-param-region": "eu"})
        assert response.status_code == 400
        assert reason_of(response) == "header-mismatch"


# ---- 59: headers and body ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "us", "EU", "=?base64?ZXU?=", "=?base64?dXM=?=", "=?base64?!?=", "eu,eu"])
def test_attack_59_an_argument_and_its_header_agree_or_nothing_runs(bob, value):
    body, headers = modern("tools/call", {"name": "place", "arguments": {"region": "eu"}})
    response = bob.post(body, headers | ({} if value is None else {"mcp-param-region": value}))
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32020


@pytest.mark.parametrize("value", ["eu", "=?base64?ZXU=?="])
def test_attack_59_an_argument_that_agrees_runs(bob, value):
    body, headers = modern("tools/call", {"name": "place", "arguments": {"region": "eu"}})
    assert result_of(bob.post(body, headers | {"mcp-param-region": value}))["content"][0]["text"] == "eu"


@pytest.mark.parametrize(
    "method, params, name",
    [
        ("resources/read", {"uri": "talk://shelf/a"}, "talk://shelf/b"), ("resources/read", {"uri": "talk://news"}, ""),
        ("prompts/get", {"name": "greet", "arguments": {"name": "x"}}, "whisper"),
        ("tasks/get", {"taskId": "a"}, "b"), ("tasks/update", {"taskId": "a", "inputResponses": {}}, "b"),
        ("tasks/cancel", {"taskId": "a"}, "b"),
    ],
)  # fmt: skip
def test_attack_59_what_a_request_names_and_its_header_agree(bob, method, params, name):
    body, headers = modern(method, params)
    response = bob.post(body, headers | {"mcp-name": name})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32020


# ---- 55, 56, 58: completion's own shape ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {}, {"ref": None}, {"ref": []}, {"ref": {"type": "ref/tool", "name": "greet"}}, {"ref": {"type": "ref/prompt"}},
        {"ref": {"type": "ref/prompt", "name": "greet"}},
        {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": "name"},
        {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "name", "value": 1}},
        {"ref": {"type": "ref/prompt", "name": ["greet"]}, "argument": {"name": "name", "value": ""}},
        {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "name", "value": "a" * 1_000_000}},
        {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "name", "value": ""}, "context": [1]},
        {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "name", "value": ""},
         "context": {"arguments": {"x": 1}}},
    ],
    ids=lambda params: json.dumps(params)[:60],
)  # fmt: skip
def test_attack_55_a_completion_of_the_wrong_shape_is_refused(bob, params):
    response = bob.modern("completion/complete", params)
    assert response.status_code == 400
    assert leak_in(response.content) is None
