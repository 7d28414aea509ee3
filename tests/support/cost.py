"""The processor time of a piece of work, whatever else runs in the process and on the test machine."""

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from mmap import mmap
from time import thread_time
from typing import Final

_MEMBERS: Final = 100_000
_TRIES: Final = 5
_UNIT_S: Final = 0.08
_TOUCHED: Final = 4 << 20
_TOUCH_S: Final = 0.003


def cost_of(work: Callable[[], object]) -> float:
    """Return the cost of ``work`` on this thread, where 1 is what the standard library takes to read 3.5 MiB of JSON.

    The unit is measured beside each of up to five tries, and the cheapest try counts: a machine that is slow, or is
    busy with something else, makes both dearer. On a quiet processor of 2020 the unit is about 80 ms.
    """
    with uncollected():
        return min(_seconds(work) / _seconds(lambda: json.loads(_text())) for _ in range(_TRIES))


def slowness() -> float:
    """Return how many times slower than a quiet processor of 2020 this thread is now; 1 where it is not.

    It is as slow as the slower of two things: reading JSON, and writing to memory that was never touched before, which
    on a virtual machine may cost ten times what it does on another.
    """
    with uncollected():
        reading = min(_seconds(lambda: json.loads(_text())) for _ in range(_TRIES)) / _UNIT_S
        touching = min(_seconds(_touch) for _ in range(_TRIES)) / _TOUCH_S
        return max(1.0, reading, touching)


@contextmanager
def uncollected() -> Iterator[None]:
    """Freeze what earlier tests left, as the shipped process freezes what it starts with.

    A collector that walks through half a gigabyte of theirs is not a cost of what is measured.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _touch() -> None:
    with mmap(-1, _TOUCHED) as fresh:
        fresh.write(bytes(_TOUCHED))


def _seconds(work: Callable[[], object]) -> float:
    begun = thread_time()
    work()
    return thread_time() - begun


@cache
def _text() -> str:
    return json.dumps({f"{number}{'a' * 26}": number for number in range(_MEMBERS)})
