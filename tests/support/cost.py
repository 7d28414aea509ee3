"""What a piece of work costs of the processor, whatever else lives in the process and on the machine that test it."""

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from time import thread_time
from typing import Final

_MEMBERS: Final = 100_000
_TRIES: Final = 5
_UNIT_S: Final = 0.08


def cost_of(work: Callable[[], object]) -> float:
    """Return the cost of ``work`` on this thread, where 1 is what the standard library takes to read 3.5 MiB of JSON.

    The unit is measured beside each of up to five tries, and the cheapest try counts: a machine that is slow, or is
    busy with something else, makes both dearer. On a quiet processor of 2020 the unit is about 80 ms.
    """
    with uncollected():
        return min(_seconds(work) / _seconds(lambda: json.loads(_text())) for _ in range(_TRIES))


def slowness() -> float:
    """Return how many times slower than a quiet processor of 2020 this thread is now; 1 where it is not."""
    with uncollected():
        return max(1.0, min(_seconds(lambda: json.loads(_text())) for _ in range(_TRIES)) / _UNIT_S)


@contextmanager
def uncollected() -> Iterator[None]:
    """Freeze what earlier tests left, as the shipped process freezes what it starts with.

    A collector that walks through half a gigabyte of theirs is not a cost of what is measured. It stays frozen: so does
    what ``conftest`` has frozen of the collection.
    """
    gc.collect()
    gc.freeze()
    yield


def _seconds(work: Callable[[], object]) -> float:
    begun = thread_time()
    work()
    return thread_time() - begun


@cache
def _text() -> str:
    return json.dumps({f"{number}{'a' * 26}": number for number in range(_MEMBERS)})
