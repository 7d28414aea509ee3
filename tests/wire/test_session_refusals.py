"""Refusals in the revisions with sessions: what was read and has an id is answered with 200, and the session lives on.

The official Python client 1.x takes every error status for the end of its session.
"""

import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx2
import pytest

from mcpward.core.reasons import WIRE, Channel, Reason
from support import workbench
from support.ward import Ward, modern_request, text_of
from support.wire import Session, bare_error, metric, notes, reason_of, rows, site, until, write_site

SETTINGS = {
    "http.max_body": 8192,
    "output.max_bytes": 8192,
    "servers.tight.limits.read": "2/hour",
    "servers.tight.limits.lifecycle": "3/hour",
    "servers.tight.limits.repeat_read": "1/hour",
    "servers.tight.limits.deadline_s": 0.2,
    "servers.small.limits.concurrency": 1,
    "servers.small.limits.queue": 0,
    "servers.bare.source": "bare.py",
    "servers.bare.mode": "public",
}
BARE = '''
from mcpward import Context, Server

server = Server("bare")


@server.tool(read_only=True)
def hi() -> str:
    """Return a greeting."""
    return "hi"
'''
#: Fails after it has sent a message, so that its answer is a stream.
LATE = '''

@server.resource("bench://late", mime_type="text/plain")
async def late(ctx: Context) -> str:
    """A resource that fails late."""
    await ctx.report_progress(1, 2)
    raise RuntimeError("private detail of the resource")
'''
Case = Callable[["Ward"], tuple[Session, httpx2.Response]]
CASES: dict[Reason, Case] = {}
OUTCOMES = {Reason.FAULT: "fault", Reason.TOOL_FAILED: "error", Reason.TOOL_TIMEOUT: "error"}
#: Reasons that only the revision without sessions has, or only a GET, or an access token.
NOT_HERE = {Reason.STATE_REFUSED, Reason.TASK_UNKNOWN, Reason.EVENT_UNKNOWN, Reason.SCOPE_MISSING}


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with site(tmp_path_factory.mktemp("sessions"), servers=("bench", "tight", "small"), start=False) as ward:
        write_site(ward, SETTINGS, ("bench", "tight", "small"))
        (ward.folder / "bench.py").write_text(workbench.TOOLS + LATE)
        (ward.folder / "bare.py").write_text(BARE)
        ward.key = ward.create_key("*", name="all")
        yield ward.start()


def another_caller(ward: Ward, server: str) -> Session:
    """Return a session of a new key, with unused limits."""
    key = ward.create_key(server, name="another")
    bearer = {"authorization": f"Bearer {key}"}
    until(lambda: ward.post(b"{", path=f"/{server}/mcp", headers=bearer).status_code == 400, pause_s=0.1)
    return Session(ward, key=key, path=f"/{server}/mcp")


def post(session: Session, body: Any, **headers: str) -> httpx2.Response:
    own = session.headers | {name.replace("_", "-"): value for name, value in headers.items()}
    return session.ward.post(body, path=session.path, headers=own)


def case(reason: Reason, server: str = "bench") -> Callable[[Callable[[Session], httpx2.Response]], None]:
    """Keep what provokes a reason in a new session of a server."""

    def keep(provoke: Callable[[Session], httpx2.Response]) -> None:
        def run(ward: Ward) -> tuple[Session, httpx2.Response]:
            session = Session(ward, path=f"/{server}/mcp") if server == "bench" else another_caller(ward, server)
            return session, provoke(session)

        CASES[reason] = run

    return keep


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
case(Reason.TOOL_UNKNOWN)(lambda session: session.call("nothing"))
case(Reason.METHOD_UNKNOWN)(lambda session: session.request("tools/destroy"))
case(Reason.PARAMS_INVALID)(lambda session: session.request("tools/list", {"cursor": 5}))
case(Reason.RESOURCE_UNKNOWN)(lambda session: session.request("resources/read", {"uri": "bench://nothing"}))
case(Reason.PROMPT_UNKNOWN)(lambda session: session.request("prompts/get", {"name": "nothing"}))
case(Reason.FAULT)(lambda session: session.request("resources/read", {"uri": "bench://broken"}))
case(Reason.MESSAGE_MALFORMED)(lambda session: post(session, PING | {"params": [1]}))
case(Reason.MESSAGE_UNPARSABLE)(lambda session: post(session, b"{"))
case(Reason.VERSION_UNSUPPORTED)(lambda session: post(session, PING, mcp_protocol_version="2099-01-01"))
case(Reason.HEADER_MISMATCH)(lambda session: post(session, PING, mcp_method="tools/call"))
case(Reason.CAPABILITY_MISSING)(lambda session: session.call("ask"))
case(Reason.SESSION_UNKNOWN)(lambda session: post(session, PING, mcp_session_id="x" * 80))
case(Reason.ARGUMENTS_INVALID)(lambda session: session.call("echo", {"text": 5}))
case(Reason.ARGUMENT_DANGEROUS)(lambda session: session.call("between", {"start": "2026-01-01", "end": "2026-12-31"}))
case(Reason.TOOL_FAILED)(lambda session: session.call("crash", {"text": "x"}))
case(Reason.TOOL_TIMEOUT, "tight")(lambda session: session.call("work", {"name": "late", "seconds": 9.0}))
case(Reason.OUTPUT_REFUSED)(lambda session: session.call("large", {"size": 9000}))
case(Reason.CONSENT_MISSING)(lambda session: session.call("careful"))
case(Reason.CREDENTIAL_INVALID)(lambda session: session.request("ping", key="x"))
case(Reason.CREDENTIAL_AMBIGUOUS)(lambda session: post(session, PING, x_api_key="x"))
case(Reason.BODY_TOO_LARGE)(lambda session: post(session, b" " * 8193))
case(Reason.MEDIA_REFUSED)(lambda session: post(session, PING, content_type="text/plain"))
case(Reason.ACCEPT_REFUSED)(lambda session: post(session, PING, accept="text/html"))
case(Reason.ORIGIN_REFUSED)(lambda session: post(session, PING, origin="https://evil.example"))
case(Reason.HOST_REFUSED)(lambda session: post(session, PING, host="evil.example"))


@case(Reason.CREDENTIAL_MISSING)
def _(session: Session) -> httpx2.Response:
    headers = {name: value for name, value in session.headers.items() if name != "authorization"}
    return session.ward.post(PING, path=session.path, headers=headers)


@case(Reason.SESSION_MISSING)
def _(session: Session) -> httpx2.Response:
    headers = {name: value for name, value in session.headers.items() if name != "mcp-session-id"}
    return session.ward.post(PING, path=session.path, headers=headers)


@case(Reason.VERB_REFUSED)
def _(session: Session) -> httpx2.Response:
    with session.ward.client() as client:
        return client.request("PUT", session.path, headers=session.headers)


@case(Reason.RATE_EXCEEDED, "tight")
def _(session: Session) -> httpx2.Response:
    for text in ("a", "b"):
        session.call("echo", {"text": text})
    return session.call("echo", {"text": "c"})


@case(Reason.REPEATED_CALL, "tight")
def _(session: Session) -> httpx2.Response:
    session.call("echo", {"text": "again"})
    return session.call("echo", {"text": "again"})


@case(Reason.BUSY, "small")
def _(session: Session) -> httpx2.Response:
    arguments = {"name": "holder", "seconds": 1.0}
    holder = threading.Thread(target=lambda: session.call("work", arguments), daemon=True)
    holder.start()
    until(lambda: "began holder" in notes(session.ward))
    refused = session.call("echo", {"text": "a"})
    holder.join(10)
    return refused


@pytest.mark.parametrize("reason", CASES, ids=lambda reason: reason.value)
def test_a_refusal_does_not_end_the_session(ward, reason):
    counted = metric(ward, "mcpward_refusals_total", reason=reason.value)
    session, answer = CASES[reason](ward)
    row, body = WIRE[reason], answer.json()
    assert (answer.status_code, reason_of(answer)) == (row.session_status, reason.value)
    assert answer.headers["content-type"] == "application/json"
    if row.channel is Channel.HTTP:
        assert body == bare_error(reason)
    elif "error" in body:
        has_id = reason is not Reason.MESSAGE_UNPARSABLE
        assert (body["id"], body["error"]["code"]) == (1 if has_id else None, row.session_code)
        assert body["error"]["message"].startswith(row.sentence)
    else:
        assert body["result"]["isError"] is True
        assert row.channel is Channel.TOOL or reason is Reason.CAPABILITY_MISSING
    if row.status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer ")
    kept = until(lambda: rows(ward, "reason = ?", reason.value))[-1]
    assert (kept["status"], kept["outcome"]) == (answer.status_code, OUTCOMES.get(reason, "refused"))
    until(lambda: metric(ward, "mcpward_refusals_total", reason=reason.value) > counted)
    then = session.request("ping")
    assert (then.status_code, then.json()) == (200, {"jsonrpc": "2.0", "id": 1, "result": {}})


def test_every_reason_that_a_session_can_meet_after_its_head_was_read_is_provoked_here():
    assert {reason for reason, row in WIRE.items() if row.channel is not Channel.HTTP} - NOT_HERE <= set(CASES)


def test_a_call_over_its_rate_says_when_to_retry_beside_its_status_200(ward):
    _, answer = CASES[Reason.RATE_EXCEEDED](ward)
    data = answer.json()["error"]["data"]
    assert int(answer.headers["retry-after"]) == data["retryAfterSeconds"] >= 1
    assert f'"{data["policy"]}"' in answer.headers["ratelimit"]
    assert answer.headers["ratelimit-policy"]


def test_initialize_over_its_rate_is_a_json_rpc_error(ward):
    session = another_caller(ward, "tight")
    said = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    answers = [session.request("initialize", said) for _ in range(4)]
    assert {answer.status_code for answer in answers} == {200}
    assert "result" in answers[0].json()
    assert answers[-1].json()["error"]["code"] == 42900
    assert "mcp-session-id" not in answers[-1].headers


@pytest.mark.parametrize(
    "message",
    [{"method": "notifications/initialized"}, {"id": "q1", "result": {"action": "accept"}}],
    ids=["notification", "response"],
)
def test_a_notification_over_its_rate_is_dropped_and_the_refusal_is_on_record(ward, message):
    session = another_caller(ward, "tight")
    answers = [post(session, {"jsonrpc": "2.0"} | message) for _ in range(4)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(202, b"")] * 4
    assert int(answers[-1].headers["retry-after"]) >= 1
    about = session.headers["authorization"].split("_")[0].removeprefix("Bearer sk-mcpward-")
    kept = until(lambda: rows(ward, "reason = 'rate-exceeded' AND principal LIKE ?", f"%{about}%"))
    assert {(row["status"], row["outcome"]) for row in kept} == {(202, "refused")}
    assert session.call("echo", {"text": "still here"}).json()["result"]["isError"] is False


def test_a_session_of_another_caller_and_an_ended_one_stay_404(ward):
    own, other = Session(ward, path="/bench/mcp"), another_caller(ward, "bench")
    stolen = post(other, PING, mcp_session_id=own.token)
    assert (stolen.status_code, reason_of(stolen)) == (404, "session-unknown")
    dropped = post(other, {"jsonrpc": "2.0", "method": "notifications/initialized"}, mcp_session_id=own.token)
    assert (dropped.status_code, reason_of(dropped)) == (404, "session-unknown")
    assert own.end().status_code == 200
    assert own.request("ping").status_code == 404


def test_a_stream_that_is_not_to_be_had_keeps_its_status(ward):
    session = Session(ward, path="/bench/mcp")
    with ward.client() as client:
        answer = client.get(session.path, headers=session.headers | {"last-event-id": "nobody's"})
    assert (answer.status_code, reason_of(answer), answer.json()["id"]) == (400, "event-unknown", None)


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26"])
def test_a_server_with_tools_alone_answers_for_what_it_does_not_have(ward, version):
    session = Session(ward, key="", path="/bare/mcp", version=version)
    for method, member in (
        ("resources/list", "resources"), ("resources/templates/list", "resourceTemplates"), ("prompts/list", "prompts"),
    ):  # fmt: skip
        answer = session.request(method)
        assert (answer.status_code, answer.json()["result"]) == (200, {member: []})
    for method, params in (
        ("prompts/get", {"name": "x"}),
        ("resources/read", {"uri": "x://y"}),
        ("resources/subscribe", {"uri": "x://y"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": ""}}),
        ("tasks/list", {}),
    ):
        answer = session.request(method, params)
        assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32601)
    assert session.request("logging/setLevel", {"level": "info"}).json()["result"] == {}
    assert text_of(session.call("hi")) == "hi"


def test_a_refusal_that_ends_a_stream_is_on_record_with_the_status_that_was_sent(ward):
    body, headers = modern_request("resources/read", {"uri": "bench://late"}, name="bench://late")
    headers["authorization"] = f"Bearer {ward.key}"
    plain = ward.post(body, path="/bench/mcp", headers=headers)
    body["params"]["_meta"]["progressToken"] = "p"
    streamed = ward.post(body, path="/bench/mcp", headers=headers)
    assert (plain.status_code, streamed.status_code) == (500, 200)
    assert streamed.headers["content-type"] == "text/event-stream"
    for answer in (plain, streamed):
        (error_id,) = re.findall(r'"errorId":"([0-9a-f]+)"', answer.text)
        (kept,) = until(partial(rows, ward, "error_id = ?", error_id))
        assert (kept["status"], kept["reason"]) == (answer.status_code, "fault")


def test_an_unknown_path_and_a_health_check_keep_their_bodies(ward):
    with ward.client() as client:
        assert client.get("/nothing").json() == bare_error(Reason.ROUTE_UNKNOWN)
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.post("/healthz").json() == bare_error(Reason.VERB_REFUSED)
