"""Tools that ask a person, for clients that can ask one and for those that cannot, and what is on record of each."""

import json
from typing import Any

import pytest

from support.guarded import Door, guarded, issuers, oauth_server
from support.issuer import Issuer, listening
from support.raw import Answer
from support.talk import Talker
from support.ward import Ward, modern_request, text_of
from support.wire import Session, first_credentials, reason_of, rows, secret_in, site, until

CAN_ASK: dict[str, Any] = {"elicitation": {"form": {}}}
TOOL = '''

@server.tool(destructive=True, confirm=True)
async def purge(what: str) -> str:
    """Destroy something, when a person says yes."""
    return f"purged {what}"
'''


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    modes = {"servers.open.mode": "public", "servers.hidden.mode": "unlisted"}
    with site(tmp_path_factory.mktemp("consent"), modes, servers=("bench", "open", "hidden")) as ward:
        ward.credentials["plain"] = ward.create_key("bench", name="plain")
        waived = ward.cli("key", "create", "-s", "bench", "-n", "waived", "--may-confirm").stdout.strip()
        ward.credentials["waived"] = waived
        until(lambda: ward.call("echo", {"text": "a"}, path="/bench/mcp", key=waived).status_code == 200, 2.0, 0.3)
        yield ward


def asked(ward: Ward, key: str, capabilities: Any = CAN_ASK, **params: Any) -> dict[str, Any]:
    """Call the careful tool as a modern client that declares ``capabilities``; returns the result."""
    body, headers = modern_request("tools/call", {"name": "careful", "arguments": {}} | params, name="careful")
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities
    return ward.post(body, path="/bench/mcp", headers=headers | {"authorization": f"Bearer {key}"}).json()["result"]


def last(ward: Ward, where: str) -> dict[str, Any]:
    return until(lambda: rows(ward, f"tool = 'careful' AND {where}"))[-1]


def key_id(key: str) -> str:
    return key.removeprefix("sk-mcpward-").partition("_")[0]


def test_a_client_that_cannot_ask_is_told_so_and_what_to_do(ward):
    answer = ward.call("careful", path="/bench/mcp", key=ward.credentials["plain"])
    assert reason_of(answer) == "consent-missing"
    told = text_of(answer)
    assert told.startswith(
        "the tool needs a person's approval: this client cannot ask a person, so the call waits. Ask"
    )
    assert "mcpward approve call " in told
    assert "mcpward key edit ID --may-confirm" in told
    session = Session(ward, key=ward.credentials["plain"], path="/bench/mcp")
    assert text_of(session.call("careful")) == told
    assert last(ward, "reason = 'consent-missing'")["consent"] is None


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_a_key_that_may_confirm_runs_it_and_each_run_is_on_record(ward, era):
    if era == "modern":
        answer = ward.call("careful", path="/bench/mcp", key=ward.credentials["waived"])
    else:
        answer = Session(ward, key=ward.credentials["waived"], path="/bench/mcp").call("careful")
    assert text_of(answer) == "done with care"
    row = last(ward, f"era = '{era}' AND outcome = 'ok'")
    assert (row["consent"], row["key_id"]) == ("key", key_id(ward.credentials["waived"]))
    assert "ok, consent waived by key" in ward.cli("log", "--tool", "careful").stdout
    assert '"consent": "key"' in ward.cli("log", "--tool", "careful", "--json").stdout.replace('":"', '": "')


@pytest.mark.parametrize("action", ["decline", "cancel", "accept"])
def test_a_client_that_can_ask_is_asked_whatever_its_key_may(ward, action):
    first = asked(ward, ward.credentials["waived"])
    assert first["resultType"] == "input_required"
    (key,) = first["inputRequests"]
    content = {"content": {"confirm": False}} if action == "accept" else {}
    again = {"inputResponses": {key: {"action": action} | content}, "requestState": first["requestState"]}
    result = asked(ward, ward.credentials["waived"], **again)
    assert result["isError"]
    assert "the person declined" in result["content"][0]["text"]
    first = asked(ward, ward.credentials["waived"])
    yes = {"action": "accept", "content": {"confirm": True}}
    result = asked(ward, ward.credentials["waived"], inputResponses={key: yes}, requestState=first["requestState"])
    assert result["content"][0]["text"] == "done with care"
    until(lambda: rows(ward, "tool = 'careful' AND outcome = 'ok'")[-1]["consent"] == "client")
    assert "ok, a person agreed at the client" in ward.cli("log", "--tool", "careful").stdout


def test_a_question_that_was_put_is_not_waived_by_asking_again_without_the_capability(ward):
    """A caller's capabilities are only its claim; with a key that may not confirm it opens nothing."""
    first = asked(ward, ward.credentials["plain"])
    (key,) = first["inputRequests"]
    nothing_to_ask_with: list[dict[str, Any]] = [{}, {"sampling": {}}]
    for capabilities in nothing_to_ask_with:
        yes = {"action": "accept", "content": {"confirm": True}}
        for more in ({}, {"inputResponses": {key: yes}}):
            result = asked(ward, ward.credentials["plain"], capabilities, **more)
            assert result["content"][0]["_meta"]["mcpward/reason"] == "consent-missing"
    other = asked(ward, ward.credentials["plain"], {"elicitation": {"url": {}}}, inputResponses={key: yes})
    assert other["resultType"] == "input_required", "a page is another question"


def test_a_session_whose_client_can_ask_is_asked_too(ward):
    talker = Talker(ward, ward.credentials["waived"], path="/bench/mcp", capabilities={"elicitation": {}})
    with talker.line() as line, talker.call(line, "careful") as (_, events), talker.line() as other:
        said = (event.data for event in events if event.data is not None)
        question = next(message for message in said if message.get("method") == "elicitation/create")
        talker.answer(other, question, result={"action": "decline"})
        end = next(message for message in said if "result" in message)
    assert end["result"]["content"][0]["_meta"]["mcpward/reason"] == "consent-missing"


@pytest.mark.parametrize("server", ["open", "hidden"])
def test_callers_without_a_credential_of_their_own_are_never_waived(ward, server):
    secret = secret_in(first_credentials(ward))
    path = f"/hidden/mcp/{secret}" if server == "hidden" else "/open/mcp"
    answer = ward.call("careful", path=path, key="", headers={"authorization": f"Bearer {ward.credentials['waived']}"})
    assert reason_of(answer) == "consent-missing"
    assert "waive" not in text_of(answer)
    # A stranger cannot be told from another one, so no approval could be bound to it.
    assert ("mcpward approve call" in text_of(answer)) == (server == "hidden")


def test_an_operator_changes_it_for_a_key_that_is_in_use(ward):
    key = ward.create_key("bench", name="changed")
    until(lambda: ward.call("echo", {"text": "a"}, path="/bench/mcp", key=key).status_code == 200, 2.0, 0.3)

    def runs() -> bool:
        return text_of(ward.call("careful", path="/bench/mcp", key=key)) == "done with care"

    assert not runs()
    shown = json.loads(ward.cli("key", "set", key_id(key), "--may-confirm", "--json").stdout)
    assert shown["may_confirm"] is True
    until(runs, 1.5)
    assert "may confirm" in ward.cli("key", "show", key_id(key)).stdout
    ward.cli("key", "set", key_id(key), "--no-may-confirm")
    until(lambda: not runs(), 1.5)
    assert ward.cli("key", "set", key_id(key), check=False).returncode == 2
    ward.cli("key", "revoke", key_id(key))
    assert ward.cli("key", "set", key_id(key), "--may-confirm", check=False).returncode == 1


def test_a_rotated_key_keeps_it(ward):
    old = ward.cli("key", "create", "-s", "bench", "-n", "old", "--may-confirm").stdout.strip()
    new = json.loads(ward.cli("key", "rotate", key_id(old), "--json").stdout)
    assert new["may_confirm"] is True


def test_a_scope_of_a_token_lets_it_run_and_is_on_record(tmp_path):
    issuer = Issuer()
    server = oauth_server(
        "demo",
        "main",
        more='confirm_scope = "demo:confirm"\n[servers.demo.oauth.permissions]\n'
        '"group:agents" = { access = "destructive", scopes = ["demo:confirm"] }\n',
    )
    server = server.replace('"demo:write" = "write"', '"demo:write" = "destructive"')
    with listening(issuer), guarded(tmp_path, server, issuers(main=issuer.metadata), start=False) as ward:
        (tmp_path / "guarded.py").write_text((tmp_path / "guarded.py").read_text() + TOOL)
        ward.start()
        door = Door(ward)

        def purged(**claims: Any) -> Answer:
            return door.knock(issuer.mint(door.resource).token(**claims), "purge", {"what": "it"})

        refused = purged(scope="demo:read demo:write").json()["result"]["content"][0]
        assert refused["_meta"]["mcpward/reason"] == "consent-missing"
        assert "(confirm_scope)" in refused["text"]
        for claims in ({"scope": "demo:read demo:write demo:confirm"}, {"scope": "demo:read", "groups": ["agents"]}):
            assert purged(**claims).json()["result"]["content"][0]["text"] == "purged it"
        wanted = ["done", "done", "intent", "intent"]
        until(lambda: sorted(row["phase"] for row in rows(ward, "tool = 'purge' AND consent = 'scope'")) == wanted)
