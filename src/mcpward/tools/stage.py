"""What a running tool stands on: threads, the clock, and the ways in which a function is called."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from msgspec import Struct

from mcpward.core.back import Back
from mcpward.core.clock import Clock
from mcpward.core.values import AcceptedCall, Call, Principal, RawResult
from mcpward.sdk.context import Caller, Context
from mcpward.sdk.definitions import ToolDefinition
from mcpward.sdk.signature import Signature
from mcpward.tools.asking import Asking
from mcpward.tools.pool import Pools
from mcpward.tools.report import Reports
from mcpward.tools.result import shape


class Stage(Struct, frozen=True, eq=False):
    """Shared by all calls of a process."""

    pools: Pools
    clock: Clock


Run = Callable[[AcceptedCall, Stage, Back], Awaitable[RawResult]]


def caller_of(principal: Principal) -> Caller:
    """Give what an author may know of a principal."""
    return Caller(
        subject=principal.subject,
        name=principal.client,
        server=principal.server,
        way=principal.way,
        scopes=principal.scopes,
        key_id=principal.key_id,
    )


def runner_of(definition: ToolDefinition) -> Run:
    """Give the function that runs one tool: the shortest one that does."""
    function, signature, returns = definition.function, definition.signature, definition.returns
    structured = definition.structured is not False

    async def run_plain(accepted: AcceptedCall, _stage: Stage, _back: Back) -> RawResult:
        return shape(returns, await function(**accepted.arguments), structured=structured)

    async def run(accepted: AcceptedCall, stage: Stage, back: Back) -> RawResult:
        value = await invoke(function, signature, accepted.arguments, accepted.call, stage, back)
        return shape(returns, value, structured=structured)

    plain = signature.is_async and not signature.caller and not signature.context
    return run_plain if plain else run


async def invoke(
    function: Callable[..., Any],
    signature: Signature,
    arguments: Mapping[str, Any],
    call: Call,
    stage: Stage,
    back: Back,
) -> Any:
    """Call a function with its arguments and what it wants injected: on the loop, or in a thread if it is sync."""
    filled = dict(arguments)
    reports = asking = None
    if signature.caller:
        filled[signature.caller] = caller_of(call.principal)
    if signature.context:
        reports = Reports(call, back.notify, stage.clock)
        asking = Asking(call, back, stage.pools.of(call.arrival.server))
        filled[signature.context] = Context(caller_of(call.principal), call.arrival.id, reports, asking)
    try:
        if signature.is_async:
            return await function(**filled)
        value = await stage.pools.of(call.arrival.server).run(partial(function, **filled))
        return await value if inspect.isawaitable(value) else value
    finally:
        if reports is not None and asking is not None:
            reports.close()
            asking.close()
