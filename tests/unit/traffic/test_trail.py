"""Every request leaves exactly one record, whatever its end; a destructive call one more, before it begins."""

import asyncio

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Fault, Refusal
from mcpward.core.facts import ErrorId
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.core.values import AuthMethod, Era, Kind, Reply
from support.facts import facts_of
from support.records import followed
from support.values import a_call, a_principal, a_tool, accepted, an_arrival

OK = Reply(status=200, body=b'{"result":{}}')
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_served_call_is_on_record_with_all_its_fields(house):
    here = house()
    call = a_call(trace={"traceparent": TRACEPARENT})
    with followed(here.traffic, call.arrival, OK) as trail:
        trail.principal = call.principal
        trail.call, trail.tool = call, a_tool()
        here.clock.advance(0.25)
        trail.sent(100)
    assert await here.kept() == [
        {
            "id": "00ff00ff00ff00ff",
            "at": 1_800_000_000.0,
            "server": "orders",
            "method": "tools/call",
            "tool": "query_orders",
            "era": "modern",
            "version": "2026-07-28",
            "way": "api-key",
            "principal": "api-key:abc",
            "client": None,
            "key_id": "abc",
            "peer": "192.0.2.7",
            "phase": "done",
            "outcome": "ok",
            "reason": None,
            "error_id": None,
            "status": 200,
            "duration_us": 250_000,
            "bytes_in": 17,
            "bytes_out": 113,
            "arguments": '{"limit":20}',
            "trace": TRACEPARENT,
            "limit_name": None,
            "would_refuse": None,
            "consent": None,
            "chain": "calls",
            "count": None,
            "last_at": None,
            "detail": None,
        }
    ]


@pytest.mark.parametrize(
    "reply, is_error, outcome, reason",
    [
        (OK, False, "ok", None),
        (OK, True, "error", None),
        (Reply(status=429, reason="rate-exceeded"), False, "refused", "rate-exceeded"),
        (Reply(status=200, reason="arguments-invalid"), False, "refused", "arguments-invalid"),
        (Reply(status=200, reason="output-refused"), False, "refused", "output-refused"),
        (Reply(status=200, reason="tool-failed", error_id="e1"), False, "error", "tool-failed"),
        (Reply(status=200, reason="tool-timeout", error_id="e1"), False, "error", "tool-timeout"),
        (Reply(status=500, reason="fault", error_id="e1"), False, "fault", "fault"),
    ],
)
async def test_outcomes_are_told_apart(house, reply, is_error, outcome, reason):
    here = house()
    with followed(here.traffic, an_arrival(), reply) as trail:
        if is_error:
            trail.failed()
    (row,) = await here.kept()
    assert (row["outcome"], row["reason"], row["status"]) == (outcome, reason, reply.status)
    assert row["error_id"] == reply.error_id


@pytest.mark.parametrize(
    "error, outcome, reason, error_id",
    [
        (Refusal(Reason.CREDENTIAL_INVALID, "private"), "refused", "credential-invalid", None),
        (Refusal(Reason.TOOL_FAILED, "private", ErrorId("e2")), "error", "tool-failed", "e2"),
        (Fault("e3", "private"), "fault", "fault", "e3"),
        (ZeroDivisionError("private"), "fault", "fault", None),
    ],
)
async def test_what_is_raised_through_is_on_record_without_its_private_text(house, error, outcome, reason, error_id):
    here = house()
    with pytest.raises(type(error)), followed(here.traffic, an_arrival()):
        raise error
    (row,) = await here.kept()
    assert (row["outcome"], row["reason"], row["error_id"]) == (outcome, reason, error_id)
    assert "private" not in str(row)


@pytest.mark.parametrize(
    "told, reply, outcome",
    [
        (("asked",), OK, "asked"),
        (("failed", "asked"), OK, "error"),
        (("asked", "failed"), OK, "error"),
        (("cancelled", "failed", "asked"), OK, "cancelled"),
        (("asked", "failed", "cancelled"), OK, "cancelled"),
        (("asked",), Reply(status=429, reason="busy"), "refused"),
        (("failed",), Reply(status=500, reason="fault"), "fault"),
        (("cancelled",), Reply(status=503, reason="busy"), "cancelled"),
    ],
)
async def test_the_strongest_end_is_the_one_on_record(house, told, reply, outcome):
    here = house()
    with followed(here.traffic, an_arrival(), reply) as trail:
        for tell in told:
            getattr(trail, tell)()
    (row,) = await here.kept()
    assert (row["outcome"], row["reason"]) == (outcome, reply.reason)


@pytest.mark.parametrize(
    "error, outcome, reason, error_id",
    [
        (Refusal(Reason.BUSY, "private", ErrorId("e4")), "refused", "busy", "e4"),
        (asyncio.CancelledError(), "cancelled", None, None),
        (None, "fault", "fault", None),
    ],
)
async def test_a_trail_that_breaks_off_tells_how_whatever_was_told_before(house, error, outcome, reason, error_id):
    here = house()
    trail = here.traffic.follow(an_arrival())
    trail.cancelled()
    trail.sent(7)
    trail.broken(error)
    assert here.traffic.in_flight == 0
    (row,) = await here.kept()
    assert (row["outcome"], row["reason"], row["error_id"]) == (outcome, reason, error_id)
    assert (row["status"], row["bytes_out"]) == (0, 7)


async def test_a_trail_may_be_ended_without_a_block(house):
    here = house()
    call = a_call()
    trail = here.traffic.follow(call.arrival)
    trail.principal, trail.call, trail.tool = call.principal, call, a_tool()
    assert here.traffic.in_flight == 1
    trail.done(OK)
    assert here.traffic.in_flight == 0
    (row,) = await here.kept()
    assert (row["outcome"], row["tool"], row["principal"]) == ("ok", "query_orders", "api-key:abc")


async def test_what_calls_have_in_common_is_kept_apart_by_caller_tool_and_version(house):
    here = house()
    callers = a_principal(), a_principal("api-key:xyz")
    tools = a_tool(), a_tool("cancel_order")
    told = [(who, tool, version) for who in callers for tool in (*tools, None) for version in ("2026-07-28", "2025-06")]
    for _ in range(2):
        for who, tool, version in told:
            target = "made-up" if tool is None else tool.name
            call = a_call(who, target=target)
            call = replace(call, version=version, era=Era.MODERN if version == "2026-07-28" else Era.LEGACY)
            with followed(here.traffic, call.arrival, OK) as trail:
                trail.principal = who
                trail.call, trail.tool = call, tool
    rows = await here.kept()
    assert [(row["principal"], row["tool"], row["version"], row["era"]) for row in rows] == 2 * [
        (who.key, "made-up" if tool is None else tool.name, version, "modern" if version == "2026-07-28" else "legacy")
        for who, tool, version in told
    ]
    measured = {series: sum(numbers[:-1]) for series, numbers in here.writer.metrics.durations.items()}
    assert measured == {
        ("orders", "tools/call", tool, "", version): 4
        for tool in ("query_orders", "cancel_order", "?")
        for version in ("2026-07-28", "2025-06")
    }


async def test_strangers_and_made_up_names_are_not_remembered_and_callers_up_to_a_bound(house):
    here = house()
    tool = a_tool()

    def serve(who, tool):
        with followed(here.traffic, an_arrival(), OK) as trail:
            trail.principal = who
            trail.call, trail.tool = a_call(who), tool

    for n in range(10):
        serve(a_principal(f"anonymous:{n}", way=AuthMethod.ANONYMOUS), tool)
        serve(a_principal(), None)
    assert here.traffic.subjects == {}
    for n in range(3000):
        serve(a_principal(f"api-key:{n}"), tool)
        assert len(here.traffic.subjects) <= 1024


async def test_the_limit_that_refused_and_those_that_would_have_are_on_record(house):
    here = house()
    for tell in (
        lambda trail: trail.limited("stripe"),
        lambda trail: trail.shadowed(("read", "gpu")),
        lambda trail: (trail.shadowed(("read",)), trail.limited("stripe")),
        lambda trail: (trail.limited("stripe"), trail.shadowed(("read",))),
        lambda trail: None,
    ):
        with followed(here.traffic, an_arrival(), OK) as trail:
            tell(trail)
    assert [(row["limit_name"], row["would_refuse"]) for row in await here.kept()] == [
        ("stripe", None),
        (None, "read,gpu"),
        ("stripe", "read"),
        ("stripe", "read"),
        (None, None),
    ]


async def test_a_cancelled_request_is_on_record_as_cancelled(house):
    here = house()
    call = a_call()

    async def serve():
        with followed(here.traffic, call.arrival) as trail:
            trail.call, trail.tool = call, a_tool()
            await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    assert here.traffic.in_flight == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert here.traffic.in_flight == 0
    (row,) = await here.kept()
    assert (row["outcome"], row["tool"]) == ("cancelled", "query_orders")


async def test_a_way_out_without_an_answer_is_a_fault_of_ours(house):
    here = house()
    with followed(here.traffic, an_arrival()):
        pass
    (row,) = await here.kept()
    assert row["outcome"] == "fault"


async def test_a_refusal_at_a_gate_is_on_record_too(house):
    here = house()
    here.traffic.refused(
        peer="192.0.2.9", server="orders", reply=Reply(status=421, reason="host-refused"), detail="x", bytes_in=7
    )
    here.traffic.refused(
        peer="192.0.2.9",
        server="orders",
        reply=Reply(status=429, reason="address-rate-exceeded"),
        limit="auth_failures",
    )
    row, refused = await here.kept()
    assert (row["limit_name"], refused["limit_name"]) == (None, "auth_failures")
    assert (row["peer"], row["outcome"], row["reason"]) == ("192.0.2.9", "refused", "host-refused")
    assert (row["status"], row["bytes_in"], row["principal"], row["method"]) == (421, 7, None, "")


async def test_the_intent_of_a_destructive_call_is_on_disk_before_it_may_run(house):
    here = house()
    tool = a_tool("cancel_order", Access.DESTRUCTIVE)
    call = a_call(target="cancel_order", arguments=b'{"id":7,"note":"hunter2-correct-horse"}')
    with followed(here.traffic, call.arrival, OK) as trail:
        trail.principal = call.principal
        trail.call, trail.tool = call, tool
        trail.sent(9)
        await trail.intent(accepted(call, tool))
        (intent,) = here.sink.rows()  # read by another connection; the writer has not even started
        assert (intent["id"], intent["phase"], intent["outcome"]) == (call.arrival.id, "intent", "pending")
        assert (intent["tool"], intent["principal"]) == ("cancel_order", "api-key:abc")
        assert intent["arguments"] == '{"id":7,"note":"***"}'
        assert (intent["status"], intent["bytes_out"], intent["reason"]) == (0, 0, None)
    _, done = await here.kept()
    assert (done["id"], done["phase"], done["outcome"]) == (call.arrival.id, "done", "ok")


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE])
async def test_other_calls_do_not_wait_for_the_disk(house, access):
    here = house()
    with followed(here.traffic, an_arrival(), OK) as trail:
        await trail.intent(accepted(a_call(), a_tool(access=access)))
    assert here.sink.rows() == []


async def test_a_destructive_call_is_refused_while_the_store_is_down(house):
    here = house()
    tool = a_tool("cancel_order", Access.DESTRUCTIVE)
    here.sink.lock()
    with followed(here.traffic, an_arrival(), OK) as trail, pytest.raises(Refusal) as no:
        await trail.intent(accepted(a_call(), tool))
    here.sink.unlock()
    assert no.value.reason is Reason.BUSY
    assert facts_of(no.value) == {"retry_after_s": 5}


async def test_85_no_credential_header_body_or_secret_path_gets_into_a_record(house):
    here = house()
    arrival = an_arrival(
        headers={b"authorization": b"Bearer sk-mcpward-canary", b"x-api-key": b"canary"},
        body=b'{"canary":1}',
        path_secret=Secret("canary"),
    )
    call = a_call(arrival=arrival, params={"canary": 1}, session="canary", trace={"traceparent": "canary"})
    with followed(here.traffic, arrival, OK) as trail:
        trail.principal = call.principal
        trail.call, trail.tool = call, a_tool()
        assert "canary" not in repr(trail)
    (record,) = here.writer._queue
    assert "canary" not in repr(record)
    (row,) = await here.kept()
    assert "canary" not in str(row)


async def test_a_made_up_tool_name_is_cut_and_redacted(house):
    here = house()
    for target in ("hunter2-correct-horse", "x" * 1_000_000):
        call = a_call(target=target)
        with followed(here.traffic, call.arrival, Reply(status=400, reason="tool-unknown")) as trail:
            trail.call = call
    first, second = await here.kept()
    assert first["tool"] == "***"
    assert len(second["tool"]) == 128


async def test_arguments_are_not_kept_where_the_operator_says_so(house):
    here = house(keep_arguments=False)
    call = a_call()
    with followed(here.traffic, call.arrival, OK) as trail:
        trail.call, trail.tool = call, a_tool()
    (row,) = await here.kept()
    assert row["arguments"] is None


async def test_a_waiting_record_holds_no_body(house):
    here = house()
    call = a_call(arguments=b'"' + b"x" * 1_000_000 + b'"', arrival=an_arrival(body=b"x" * 1_000_000))
    with followed(here.traffic, call.arrival, OK) as trail:
        trail.call, trail.tool = call, a_tool()
    (record,) = here.writer._queue
    assert len(record.arguments) == 16_384
    assert record.bytes_in == 1_000_000


async def test_a_stranger_is_on_record_by_address(house):
    here = house()
    stranger = a_principal("anonymous:192.0.2.7", way=AuthMethod.ANONYMOUS)
    call = a_call(stranger, kind=Kind.CATALOGUE, method="tools/list", target="", arguments=None)
    with followed(here.traffic, call.arrival, OK) as trail:
        trail.principal = stranger
        trail.call = call
    (row,) = await here.kept()
    assert (row["way"], row["principal"], row["key_id"]) == ("anonymous", "anonymous:192.0.2.7", None)
    assert (row["method"], row["tool"], row["arguments"]) == ("tools/list", None, None)
