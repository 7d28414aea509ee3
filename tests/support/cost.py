"""What a piece of work costs of the processor, whatever else lives in the process that tests it."""

import gc
from collections.abc import Callable
from time import thread_time


def cost_of(work: Callable[[], object]) -> float:
    """Return the seconds of the processor that ``work`` took on this thread.

    What earlier tests left is frozen meanwhile, as the shipped process freezes what it starts with: a collector that
    walks through half a gigabyte of theirs is not a cost of ``work``.
    """
    gc.collect()
    gc.freeze()
    begun = thread_time()
    try:
        work()
        return thread_time() - begun
    finally:
        gc.unfreeze()
