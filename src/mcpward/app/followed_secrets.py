"""Follows the files of tools' secrets while a worker serves, so that a rotated one is used without a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from mcpward.sdk.environment import env

_log: Final = structlog.get_logger("mcpward")
_LOOK_EVERY_S: Final = 1.0


@asynccontextmanager
async def follow_secrets() -> AsyncIterator[None]:
    """Look once a second, in a thread: a file may be on a slow or lost disk of the network."""

    async def follow() -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                await asyncio.to_thread(env.refresh)
            except OSError:
                _log.exception("the files of secrets cannot be followed")
            env.tell_trimmed()

    task = asyncio.get_running_loop().create_task(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
