"""Waits for work that must not be left half-way, however often the caller is cancelled meanwhile."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def shielded(work: asyncio.Future[T]) -> T:
    """Return the result of ``work``, or raise its exception.

    Raises:
        CancelledError: the caller was cancelled; ``work`` has ended before this is raised.
    """
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return work.result()
