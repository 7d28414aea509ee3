"""Progress and log messages: only for those who asked, growing, within a rate, from any thread."""

import asyncio
import math
import threading

import msgspec
import pytest

from mcpward.core.notification_bounds import LONGEST_READ
from mcpward.core.values import Era
from mcpward.tools.report import Reports
from support.calls import call_of
from support.clock import ManualClock


def reports_of(clock=None, **changes):
    sent: list[bytes] = []
    return Reports(call_of("t", **changes), sent.append, clock or ManualClock()), sent


def params(sent):
    return [msgspec.json.decode(message)["params"] for message in sent]


async def test_without_a_token_no_progress_goes_out():
    reports, sent = reports_of()
    reports.progress(1, None, None)
    assert sent == []


async def test_progress_grows_strictly():
    reports, sent = reports_of(progress_token="p")
    for progress in (1, 1, 0.5, 2):
        reports.progress(progress, 4, "m")
    assert params(sent) == [
        {"progressToken": "p", "progress": 1, "total": 4, "message": "m"},
        {"progressToken": "p", "progress": 2, "total": 4, "message": "m"},
    ]


async def test_progress_is_limited_but_its_end_is_not_lost():
    clock = ManualClock()
    reports, sent = reports_of(clock, progress_token=0)
    for step in range(1, 1001):
        reports.progress(step, 1000, None)
    assert len(sent) == 21
    assert params(sent)[-1]["progress"] == 1000


async def test_the_rate_is_twenty_a_second():
    clock = ManualClock()
    reports, sent = reports_of(clock, progress_token=0)
    for step in range(1000):
        reports.progress(step, None, None)
        clock.advance(0.01)
    assert 200 <= len(sent) <= 221


@pytest.mark.parametrize("number", [math.nan, math.inf, True, "1"])
async def test_a_number_that_json_cannot_hold_is_the_authors_error(number):
    reports, _ = reports_of(progress_token=0)
    with pytest.raises(ValueError, match="finite"):
        reports.progress(number, None, None)


@pytest.mark.parametrize(
    "changes,levels",
    [
        ({"era": Era.LEGACY}, []),
        ({"era": Era.MODERN}, []),
        ({"era": Era.MODERN, "log_level": "warning"}, ["warning", "error"]),
        ({"era": Era.LEGACY, "log_level": "warning"}, ["warning", "error"]),
        ({"era": Era.MODERN, "log_level": "debug"}, ["debug", "info", "warning", "error"]),
        ({"era": Era.MODERN, "log_level": "nonsense"}, []),
    ],
)
async def test_log_messages_start_at_the_callers_level(changes, levels):
    reports, sent = reports_of(**changes)
    for level in ("debug", "info", "warning", "error"):
        reports.log(level, "text")
    assert [message["level"] for message in params(sent)] == levels


async def test_a_message_is_one_bounded_json_line():
    """Attack 110: whatever the text holds, it is one line of JSON. Sanitize cuts it further, once it is redacted."""
    reports, sent = reports_of(era=Era.MODERN, log_level="info")
    reports.log("info", "a\nb\r\x1b[31m" + "x" * 1_000_000)
    assert b"\n" not in sent[0]
    assert len(sent[0]) < LONGEST_READ + 1000


async def test_another_thread_reports_through_the_loop():
    reports, sent = reports_of(progress_token=0, era=Era.MODERN, log_level="info")
    await asyncio.to_thread(reports.progress, 1, None, None)
    await asyncio.to_thread(reports.log, "info", "x")
    await asyncio.sleep(0)
    assert len(sent) == 2


async def test_after_the_call_nothing_goes_out():
    reports, sent = reports_of(progress_token=0)
    thread = threading.Thread(target=reports.progress, args=(1, None, None))
    thread.start()
    thread.join()  # without a turn of the loop: the message is still on its way
    reports.close()
    reports.progress(2, None, None)
    await asyncio.sleep(0)
    assert sent == []


async def test_a_text_that_cannot_be_written_fails_where_it_was_given():
    class Broken(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise SystemExit

    reports, sent = reports_of(progress_token=0, era=Era.MODERN, log_level="info")
    for report in (lambda: reports.progress(1, None, Broken("x")), lambda: reports.log("info", Broken("x"))):
        with pytest.raises(SystemExit):
            report()
    await asyncio.sleep(0)
    assert sent == []


async def test_progress_is_told_in_both_eras():
    for era in Era:
        reports, sent = reports_of(era=era, progress_token=0)
        reports.progress(1, None, None)
        assert len(sent) == 1
