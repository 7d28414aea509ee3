"""Places that several processes share through Redis: never more than there are, and free again where one dies."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from support.limited import Said, Voice, limited
from support.load import show
from support.redis import RedisServer
from support.volley import create_keys
from support.ward import Ward
from support.wire import notes, until

pytestmark = pytest.mark.slow
_SLOW_S = 0.5


@pytest.fixture(scope="module")
def _wards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    with ExitStack() as stack:
        store = RedisServer(folder)
        stack.callback(store.kill)
        settings = {"limits.counters": store.start().url, "limits.counters_timeout_s": 5.0}
        settings |= {"pools.orders.queue_timeout_s": 12.0}
        both = [stack.enter_context(limited(folder / name, settings, start=False)) for name in "ab"]
        for ward in both:
            ward.credentials = dict(zip(("one", "another"), create_keys(ward, 2), strict=True))
        yield both


@pytest.fixture
def wards(_wards):
    """Two processes that share nothing but Redis, and a pool of 5 behind both."""
    for ward in _wards:
        (ward.folder / "notes.txt").unlink(missing_ok=True)
        if ward.process is None:
            ward.start()
    return _wards


def asked(pool: ThreadPoolExecutor, ward: Ward, key: str, count: int, seconds: float) -> list:
    def one() -> Said:
        with Voice(ward, key) as voice:
            voice._wire.settimeout(40)
            return voice("query", seconds=seconds)

    return [pool.submit(one) for _ in range(count)]


def spans(wards: list[Ward]) -> list[float]:
    """When each slow call began."""
    return sorted(float(line.split()[2]) for ward in wards for line in notes(ward))


def test_twenty_slow_calls_at_two_processes_share_a_pool_of_five_and_none_fails(wards):
    """Sixteen of one caller here, then four of another there: no more than five run, and the four wait their turn."""
    greedy, modest = wards
    with ThreadPoolExecutor(20) as pool:
        said = asked(pool, greedy, greedy.credentials["one"], 16, _SLOW_S)
        until(lambda: len(notes(greedy)) == 5)
        time.sleep(0.1)
        said += asked(pool, modest, modest.credentials["another"], 4, _SLOW_S)
        found = [each.result() for each in said]
    assert all(one.passed for one in found), Counter(one.reason for one in found)
    began = spans(wards)
    assert len(began) == 20
    # In any span as long as a call no more than five begin: then never more than five ran.
    for at, first in enumerate(began):
        assert sum(first <= other < first + _SLOW_S * 0.98 for other in began[at:]) <= 5
    turns = [began.index(at) for at in spans([modest])]
    show(f"the modest caller's four began as number {[at + 1 for at in turns]} of 20")
    # When its calls arrive is the machine's business; from its first turn on, callers take turns.
    assert turns[0] < 14, "the modest one waited for nearly all of the other's"
    assert turns[-1] - turns[0] - 3 <= 5, "the other went ahead of the modest one"


def test_places_of_a_process_that_was_killed_are_free_again_within_seconds(wards):
    holder, other = wards
    with ThreadPoolExecutor(6) as pool:
        lost = asked(pool, holder, holder.credentials["one"], 5, 30.0)
        until(lambda: len(notes(holder)) == 5)
        late = asked(pool, other, other.credentials["one"], 1, 0.1)[0]
        time.sleep(0.5)
        assert not late.done()
        assert notes(other) == []
        holder.kill()
        killed = time.monotonic()
        assert late.result(15).passed
        assert 0.5 < time.monotonic() - killed < 7.0
        for each in lost:
            assert isinstance(each.exception(10), Exception)


def test_places_held_are_kept_for_longer_than_an_unrenewed_one_lives(wards):
    """A call of seven seconds keeps its place: places live five without renewal."""
    holder, other = wards
    with ThreadPoolExecutor(6) as pool:
        held = asked(pool, holder, holder.credentials["one"], 5, 7.0)
        until(lambda: len(notes(holder)) == 5)
        began = time.monotonic()
        late = asked(pool, other, other.credentials["one"], 1, 0.0)[0].result(20)
        assert late.passed
        assert time.monotonic() - began > 5.8
        assert all(each.result().passed for each in held)
