"""Every row of the table of refusals, provoked over HTTP: status, code, sentence and name are what the table says, and
the same name stands in the metric and in the traffic record.
"""

import json
import re
import socket
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from itertools import count
from typing import Any

import httpx2
import pytest

from mcpward.core.reasons import WIRE, Channel, Reason
from support.sources import PACKAGE
from support.ward import ACCEPT, Ward, modern_request
from support.wire import Session, bare_error, exchange, metric, notes, reason_of, rows, site, until

SETTINGS = {
    "site.trusted_proxies": ["127.0.0.0/8"],  # so that each case may come from an address of its own
    "limits.auth_failures": "3/hour",
    "http.max_body": 8192,
    "http.body_timeout_s": 0.5,
    "output.max_bytes": 8192,
    "servers.tight.limits.read": "2/hour",
    "servers.tight.limits.repeat_read": "1/hour",
    "servers.tight.limits.repeat_conversations": 1,
    "servers.tight.limits.deadline_s": 0.2,
    "servers.small.limits.concurrency": 1,
    "servers.small.limits.queue": 0,
    "site.allowed_origins": ["https://app.example"],
}
#: Refusals that another file provokes, and which one.
ELSEWHERE = {Reason.SCOPE_MISSING: "attack/test_oauth_callers.py"}  # it takes an access token
OUTCOMES = {Reason.FAULT: "fault", Reason.TOOL_FAILED: "error", Reason.TOOL_TIMEOUT: "error"}
Case = Callable[["House"], "httpx2.Response | bytes"]
CASES: dict[Reason, Case] = {}


class House:
    """The running site, and requests that come from one address behind its proxy."""

    def __init__(self, ward: Ward, address: str = "192.0.2.1") -> None:
        self.ward = ward
        self.address = address

    @property
    def via(self) -> dict[str, str]:
        return {"x-forwarded-for": self.address}

    def call(self, tool: str, arguments: Any = None, *, server: str = "bench", **options: Any) -> httpx2.Response:
        key = options.pop("key", self.ward.key)
        headers = self.via | options.pop("headers", {})
        return self.ward.call(tool, arguments, path=f"/{server}/mcp", key=key, headers=headers, **options)

    def modern(self, method: str, params: Any = None, **options: Any) -> httpx2.Response:
        headers = self.via | options.pop("headers", {})
        return self.ward.modern(method, params, path="/bench/mcp", headers=headers, **options)

    def post(self, body: Any, *, verb: str = "POST", **headers: str | None) -> httpx2.Response:
        """Send one request; a header of None is left out."""
        own = {"content-type": "application/json", "accept": ACCEPT, "authorization": f"Bearer {self.ward.key}"}
        given = own | self.via | {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.ward.client() as client:
            sent = {name: value for name, value in given.items() if value is not None}
            return client.request(verb, "/bench/mcp", content=content, headers=sent)

    def raw(self, *lines: str, body: bytes = b"") -> bytes:
        head = "\r\n".join((*lines, f"X-Forwarded-For: {self.address}", "", ""))
        return exchange(self.ward, head.encode() + body)

    @property
    def host(self) -> str:
        return f"Host: 127.0.0.1:{self.ward.port}"


def wait_for_key(ward: Ward, server: str, key: str) -> None:
    """Wait until the site knows a key. Each look comes from another address: here three wrong keys lock one out."""
    addresses = count(1)

    def is_known() -> bool:
        via = {"x-forwarded-for": f"198.51.100.{next(addresses)}"}
        return ward.modern("server/discover", path=f"/{server}/mcp", key=key, headers=via).status_code == 200

    until(is_known)


def case(reason: Reason) -> Callable[[Case], Case]:
    def keep(provoke: Case) -> Case:
        CASES[reason] = provoke
        return provoke

    return keep


case(Reason.HOST_REFUSED)(lambda house: house.post({}, host="evil.example"))
case(Reason.ORIGIN_REFUSED)(lambda house: house.post({}, origin="https://evil.example"))
case(Reason.REQUEST_MALFORMED)(lambda house: house.raw("POST /bench/mcp HTTP/1.1", house.host, house.host))
case(Reason.VERB_REFUSED)(lambda house: house.post({}, verb="PUT"))
case(Reason.MEDIA_REFUSED)(lambda house: house.post({}, content_type="text/plain"))
case(Reason.ACCEPT_REFUSED)(lambda house: house.post({}, accept="text/html"))
case(Reason.BODY_TOO_LARGE)(lambda house: house.post(b" " * 8193))
case(Reason.HEADER_TOO_LARGE)(lambda house: house.raw("GET / HTTP/1.1", house.host, "X-Long: " + "a" * 40_000))
case(Reason.CREDENTIAL_MISSING)(lambda house: house.post({}, authorization=None))
case(Reason.CREDENTIAL_INVALID)(lambda house: house.post({}, authorization="Bearer x"))
case(Reason.CREDENTIAL_AMBIGUOUS)(lambda house: house.post({}, x_api_key="x"))
case(Reason.SESSION_MISSING)(lambda house: house.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
case(Reason.MESSAGE_UNPARSABLE)(lambda house: house.post(b"{"))
case(Reason.MESSAGE_MALFORMED)(lambda house: house.post([]))
case(Reason.METHOD_UNKNOWN)(lambda house: house.modern("tools/destroy"))
case(Reason.PARAMS_INVALID)(lambda house: house.modern("tools/list", {"cursor": 5}))
case(Reason.TOOL_UNKNOWN)(lambda house: house.call("nothing"))
case(Reason.ARGUMENTS_INVALID)(lambda house: house.call("echo", {"text": 5}))
case(Reason.TOOL_FAILED)(lambda house: house.call("crash", {"text": "x"}))
case(Reason.TOOL_TIMEOUT)(lambda house: house.call("work", {"name": "late", "seconds": 9.0}, server="tight"))
case(Reason.OUTPUT_REFUSED)(lambda house: house.call("large", {"size": 9000}))
case(Reason.CAPABILITY_MISSING)(lambda house: house.call("ask"))
case(Reason.CONSENT_MISSING)(lambda house: house.call("careful"))
case(Reason.ROUTE_UNKNOWN)(lambda house: house.ward.post({}, path="/nothing", headers=house.via))


@case(Reason.ARGUMENT_DANGEROUS)
def _(house: House) -> httpx2.Response:
    return house.call("between", {"start": "2026-01-01", "end": "2026-12-31"})


@case(Reason.RESOURCE_UNKNOWN)
def _(house: House) -> httpx2.Response:
    return house.modern("resources/read", {"uri": "bench://nothing"}, name="bench://nothing")


@case(Reason.PROMPT_UNKNOWN)
def _(house: House) -> httpx2.Response:
    return house.modern("prompts/get", {"name": "nothing"}, name="nothing")


@case(Reason.FAULT)
def _(house: House) -> httpx2.Response:
    return house.modern("resources/read", {"uri": "bench://broken"}, name="bench://broken")


@case(Reason.STATE_REFUSED)
def _(house: House) -> httpx2.Response:
    said = {"name": "echo", "arguments": {"text": "a"}, "requestState": "forged", "inputResponses": {}}
    return house.modern("tools/call", said, name="echo")


@case(Reason.TASK_UNKNOWN)
def _(house: House) -> httpx2.Response:
    body, headers = modern_request("tasks/get", {"taskId": "nobody's"}, name="nobody's")
    extensions: dict[str, Any] = {"io.modelcontextprotocol/tasks": {}}
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"extensions": extensions}
    return house.post(body, **{name.replace("-", "_"): value for name, value in headers.items()})


@case(Reason.EVENT_UNKNOWN)
def _(house: House) -> httpx2.Response:
    session = Session(house.ward, path="/bench/mcp")
    with house.ward.client() as client:
        return client.get("/bench/mcp", headers=session.headers | house.via | {"last-event-id": "nobody's"})


@case(Reason.SESSION_UNKNOWN)
def _(house: House) -> httpx2.Response:
    return house.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, mcp_session_id="x" * 80)


@case(Reason.HEADER_MISMATCH)
def _(house: House) -> httpx2.Response:
    return house.modern("tools/list", headers={"mcp-method": "tools/call"})


@case(Reason.VERSION_UNSUPPORTED)
def _(house: House) -> httpx2.Response:
    body, _ = modern_request("tools/list")
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01"
    return house.post(body, mcp_protocol_version="2099-01-01", mcp_method="tools/list")


@case(Reason.ADDRESS_RATE_EXCEEDED)
def _(house: House) -> httpx2.Response:
    for _ in range(3):
        assert house.post({}, authorization="Bearer x").status_code == 401
    return house.post({}, authorization="Bearer x")


@case(Reason.RATE_EXCEEDED)
def _(house: House) -> httpx2.Response:
    for text in ("a", "b"):
        house.call("echo", {"text": text}, server="tight")
    return house.call("echo", {"text": "c"}, server="tight")


@case(Reason.REPEATED_CALL)
def _(house: House) -> httpx2.Response:
    key = house.ward.create_key("tight", name="stuck")
    wait_for_key(house.ward, "tight", key)
    house.call("echo", {"text": "again"}, server="tight", key=key)
    return house.call("echo", {"text": "again"}, server="tight", key=key)


@case(Reason.BUSY)
def _(house: House) -> httpx2.Response:
    arguments = {"name": "holder", "seconds": 1.0}
    holder = threading.Thread(target=lambda: house.call("work", arguments, server="small"), daemon=True)
    holder.start()
    until(lambda: "began holder" in notes(house.ward))
    return house.call("echo", {"text": "a"}, server="small")


@case(Reason.BODY_TOO_SLOW)
def _(house: House) -> bytes:
    # Half a body, and then nothing: the answer comes by itself.
    head = ["POST /bench/mcp HTTP/1.1", house.host, "Content-Type: application/json", "Accept: application/json"]
    return house.raw(*head, "Content-Length: 10", body=b"{")


@case(Reason.IDENTITY_UNAVAILABLE)
def _(house: House) -> httpx2.Response:
    """The source of changed keys goes away under the running process: its cache is no longer trusted."""
    _sql(house.ward, "ALTER TABLE revisions RENAME TO away")
    try:
        return until(lambda: answer if (answer := house.post({})).status_code == 503 else None, 8.0)
    finally:
        _sql(house.ward, "ALTER TABLE away RENAME TO revisions")
        until(lambda: house.post({}).status_code == 400, 8.0)


def _sql(ward: Ward, statement: str) -> None:
    with closing(sqlite3.connect(ward.folder / ".mcpward" / "mcpward.db", timeout=10)) as db:
        db.execute(statement)
        db.commit()


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    servers = ("bench", "tight", "small")
    with site(tmp_path_factory.mktemp("refusals"), SETTINGS, servers=servers) as ward:
        ward.key = ward.create_key("*", name="all")
        wait_for_key(ward, "bench", ward.key)
        yield ward


def parts(answer: httpx2.Response | bytes) -> tuple[int, dict[str, str], Any]:
    """Return status, headers and JSON body of either kind of answer."""
    if isinstance(answer, httpx2.Response):
        return answer.status_code, dict(answer.headers), answer.json()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), json.loads(body)


@pytest.mark.parametrize("reason", CASES, ids=lambda reason: reason.value)
def test_a_refusal_is_what_the_table_says_and_has_one_name_everywhere(ward, reason):
    row = WIRE[reason]
    house = House(ward, f"192.0.2.{10 + list(CASES).index(reason)}")
    counted = metric(ward, "mcpward_refusals_total", reason=reason.value)
    status, headers, body = parts(CASES[reason](house))
    sent = 200 if row.channel is Channel.TOOL else row.status
    assert status == sent
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    if row.channel is Channel.HTTP:
        waits = {"retryAfterSeconds", "policy"} & body["error"]["data"].keys()
        assert body == bare_error(reason, **{fact: body["error"]["data"][fact] for fact in waits})
        if "retryAfterSeconds" in waits:
            assert int(headers["retry-after"]) >= body["error"]["data"]["retryAfterSeconds"]
    elif row.channel is Channel.RPC:
        assert set(body) == {"jsonrpc", "id", "error"}
        told = row.sentence
        if reason is Reason.RATE_EXCEEDED:  # people read only the message
            wait_s = headers["retry-after"]
            told += f"; the limit {body['error']['data']['policy']} allows the next one in {wait_s} s"
        elif reason is Reason.BUSY:
            told += f"; there are no free {body['error']['data']['policy']}"
        elif problems := body["error"]["data"].get("problems"):
            told += ": " + "; ".join(f"{problem['path']}: {problem['rule']}" for problem in problems)
        assert (body["error"]["code"], body["error"]["message"]) == (row.code, told)
        assert body["error"]["data"]["reason"] == reason.value
    else:
        (block,) = body["result"]["content"]
        assert body["result"]["isError"] is True
        assert block["text"].startswith(row.sentence)
        assert block["_meta"]["mcpward/reason"] == reason.value
    if sent in {429, 503} and reason is not Reason.IDENTITY_UNAVAILABLE:
        assert int(headers["retry-after"]) >= 1
    if row.status == 405:
        assert headers["allow"] == "DELETE, GET, OPTIONS, POST"
    kept = until(lambda: rows(ward, "reason = ?", reason.value))[-1]
    assert kept["status"] == sent
    assert kept["outcome"] == OUTCOMES.get(reason, "refused")
    until(lambda: metric(ward, "mcpward_refusals_total", reason=reason.value) > counted)


@pytest.mark.parametrize("reason", [Reason.TOOL_FAILED, Reason.FAULT], ids=lambda reason: reason.value)
def test_the_error_id_leads_from_the_answer_to_the_log_and_the_record(ward, reason):
    answer = CASES[reason](House(ward))
    assert isinstance(answer, httpx2.Response)
    (error_id,) = re.findall(r"(?:error |errorId\":\")([0-9a-f]+)", answer.text)
    assert "private" not in answer.text
    assert "/etc/passwd" not in answer.text
    until(lambda: f'"error_id": "{error_id}"' in ward.log())
    until(lambda: rows(ward, "error_id = ?", error_id))
    assert "private detail" in ward.log()


def test_legacy_callers_hear_the_same_reasons_in_their_own_codes(ward):
    session = Session(ward, path="/bench/mcp")
    unknown = session.request("tools/destroy")
    assert (unknown.status_code, unknown.json()["error"]["code"], reason_of(unknown)) == (200, -32601, "method-unknown")
    missing = session.request("resources/read", {"uri": "bench://nothing"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (200, -32002)
    refused = session.call("echo", {"text": 5})
    assert (refused.status_code, reason_of(refused)) == (200, "arguments-invalid")
    assert refused.json()["result"]["isError"] is True


def test_the_answer_to_wrong_arguments_names_path_and_rule_and_never_the_value(ward):
    answer = House(ward).call(
        "between", {"start": "sw0rdf1sh", "end": "2026-01-01", "limit": 999, "extra": "sw0rdf1sh"}
    )
    text = answer.json()["result"]["content"][0]["text"]
    assert {line.partition(":")[0] for line in text.splitlines()[1:]} == {"start", "limit", "extra"}
    assert "sw0rdf1sh" not in answer.text
    assert "999" not in answer.text


def test_the_house_answers_a_good_call_after_every_refusal(ward):
    answer = House(ward, "192.0.2.200").call("echo", {"text": "still here"})
    assert answer.json()["result"]["content"][0]["text"] == "still here"


def test_every_reason_is_provoked_here_or_in_a_file_that_is_named():
    assert set(CASES) | set(ELSEWHERE) == set(Reason)
    assert not set(CASES) & set(ELSEWHERE)


def test_what_is_provoked_in_another_file_is_named_there():
    for reason, file in ELSEWHERE.items():
        assert f'"{reason.value}"' in (PACKAGE.parent.parent / "tests" / file).read_text(encoding="utf-8")


def test_a_connection_is_not_left_hanging_by_a_refusal(ward):
    """After a refusal whose body was not read, the connection ends; after any other it serves the next request."""
    with socket.create_connection(("127.0.0.1", ward.port), timeout=5) as line:
        head = f"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1:{ward.port}\r\nContent-Length: 5\r\n\r\n"
        line.sendall(head.encode())
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"connection: close" in answer
