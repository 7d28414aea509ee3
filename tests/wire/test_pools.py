"""Slow calls against a small pool: no call fails, callers take turns, and other tools do not notice."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.limited import Voice, limited
from support.load import Crowd, figures, percentile, show
from support.volley import call_bytes, create_keys
from support.wire import notes

_SLOW_S = 0.4


@pytest.fixture
def ward(tmp_path):
    """A pool of 5, the size that its Database brings; a caller may hold 6 places at once."""
    with limited(tmp_path / "site", {"servers.demo.limits.caller_concurrency": 6}, start=False) as ward:
        ward.credentials = dict(zip(("greedy", "modest", "bystander"), create_keys(ward, 3), strict=True))
        ward.start()
        yield ward


def started(ward) -> list[tuple[int, str]]:
    """The callers that began a slow call, in order, and how many of them ran then."""
    return [(int(line.split()[0]), line.split()[1]) for line in notes(ward)]


def ask(ward, key: str, count: int, pool: ThreadPoolExecutor) -> list:
    def one(number: int) -> object:
        with Voice(ward, key) as voice:
            return voice("query", seconds=_SLOW_S)

    return [pool.submit(one, number) for number in range(count)]


def test_twenty_slow_calls_of_a_pool_of_five_all_succeed_in_fair_order_and_other_tools_do_not_feel_them(ward):
    greedy, modest, bystander = ward.credentials.values()
    echo = [call_bytes(ward.port, key, at) for at in range(500) for key in (bystander, greedy)]
    crowd = Crowd(ward.port, lambda number: echo[number % len(echo)], callers=2, per_s=120)
    with crowd, ThreadPoolExecutor(20) as pool:
        time.sleep(1.8)
        busy = time.monotonic()
        slow = ask(ward, greedy, 16, pool)
        while len(started(ward)) < 5:
            time.sleep(0.01)
        slow += ask(ward, modest, 4, pool)
        said = [each.result() for each in slow]
        over = time.monotonic()
    assert [one.passed for one in said] == [True] * 20, Counter(one.reason for one in said)
    order = started(ward)
    assert max(running for running, _ in order) == 5
    who = [caller for _, caller in order]
    first = who[0]
    assert Counter(who)[first] == 16
    # Five began before the modest one came, and from then on they take turns: its fourth is at most the fifth pair.
    last = max(at for at, caller in enumerate(who) if caller != first)
    assert last < 5 + 2 * 4 + 2, who
    quiet, beside = crowd.seen(until=busy), crowd.seen(busy, over)
    show(figures("other tools alone", quiet), figures("other tools beside 20 slow calls", beside))
    assert {one.status for one in (*quiet, *beside)} == {200}
    # Waiting for the pool would cost a whole slow call or more.
    assert percentile(beside, 0.99) < percentile(quiet, 0.99) + _SLOW_S / 2
    assert percentile(beside, 0.5) < 3 * percentile(quiet, 0.5) + 0.005


def test_callers_who_leave_the_queue_take_no_place_in_it(ward):
    """Eight wait behind five, hang up, and the next in line begins when the five are done, not later."""
    greedy, modest, _ = ward.credentials.values()
    with ThreadPoolExecutor(10) as pool:
        running = ask(ward, greedy, 5, pool)
        while len(started(ward)) < 5:
            time.sleep(0.01)
        for _ in range(8):
            with Voice(ward, greedy) as gone:
                data = call_bytes(ward.port, greedy, 1, tool="query", arguments={"seconds": 5})
                gone._wire.sendall(data)
        time.sleep(0.1)
        at = time.monotonic()
        late = ask(ward, modest, 1, pool)
        assert late[0].result().passed
        assert time.monotonic() - at < 3 * _SLOW_S
        assert all(each.result().passed for each in running)
    assert len(started(ward)) == 6


def test_a_full_queue_and_a_long_wait_say_which_pool_was_missing(tmp_path):
    settings = {"pools.orders.concurrency": 1, "pools.orders.queue": 1, "pools.orders.queue_timeout_s": 0.3}
    with limited(tmp_path / "site", settings, start=False) as ward:
        keys = create_keys(ward, 2)
        ward.start()
        with ThreadPoolExecutor(4) as pool:
            first = ask(ward, keys[0], 1, pool)
            while not started(ward):
                time.sleep(0.01)
            waits = ask(ward, keys[0], 2, pool)
            said = [each.result() for each in waits]
        assert first[0].result().passed
        assert sorted((one.status, one.reason) for one in said) == [(503, "busy")] * 2
        assert all("orders" in one.body["error"]["data"]["policy"] for one in said)
        assert all(one.retry_after_s >= 1 for one in said)
        with Voice(ward, keys[1]) as voice:
            assert voice("query", seconds=0).passed  # nothing is left behind
