"""Calls of an operator to a site that is not being served: made here, by all of a worker but its address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcpward.app.worker import Worker
from mcpward.config.model import Settings
from mcpward.operations.operator_call import MakesCalls


@asynccontextmanager
async def open_local_calls(settings: Settings) -> AsyncIterator[MakesCalls]:
    """Open the site here, and yield what makes its calls.

    Raises:
        Misconfigured: the data, a secret or a source cannot be used.
    """
    own = Worker(settings, settings.site.address, remarks=False)
    async with own.open():
        yield own.calls
