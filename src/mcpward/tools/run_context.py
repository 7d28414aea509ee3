"""The context of a running tool: threads, the clock, and the ways in which a function is called."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from msgspec import Struct, field

from mcpward.core.client_channel import ClientChannel
from mcpward.core.clock import Clock
from mcpward.core.exchange import Exchange
from mcpward.core.values import AcceptedCall, AuthMethod, Call, Principal
from mcpward.core.work import current
from mcpward.sdk.context import Caller, Context, give_exchanger
from mcpward.sdk.definitions import ToolDefinition
from mcpward.sdk.errors import ToolError
from mcpward.sdk.guards.author_guards import openings_of
from mcpward.sdk.signature import Signature
from mcpward.tools.asking import Asking, Timed
from mcpward.tools.deadline import Deadline
from mcpward.tools.lifespans import Lifespans
from mcpward.tools.opened_files import opening
from mcpward.tools.pool import Pools
from mcpward.tools.report import Reports
from mcpward.tools.token_exchange import Exchanging


class RunContext(Struct, frozen=True, eq=False):
    """Shared by all calls of a process. ``exchange`` gets tokens for upstreams, if callers come with tokens.

    ``lifespans`` hold what the servers' lifespans have yielded.
    """

    pools: Pools
    clock: Clock
    exchange: Exchange | None = None
    lifespans: Lifespans = field(default_factory=Lifespans)


Run = Callable[[AcceptedCall, RunContext, ClientChannel, Deadline], Awaitable[Any]]
"""Begins one call of a tool, and returns the result of its function."""


def caller_of(principal: Principal) -> Caller:
    """Return what an author may know of a principal."""
    # A client names itself if it registers itself: no author should take that for the name of a person.
    has_token = principal.way is AuthMethod.OAUTH
    return Caller(
        subject=principal.subject,
        name=principal.subject if has_token else principal.client,
        server=principal.server,
        way=principal.way,
        issuer=principal.issuer,
        client=principal.client if has_token else "",
        scopes=principal.scopes,
        claims=principal.claims,
        key_id=principal.key_id,
        tags=principal.tags,
    )


def runner_of(definition: ToolDefinition) -> Run:
    """Return the function that runs one tool: the shortest one that does."""
    function, signature = definition.function, definition.signature
    if files := openings_of(signature):
        function = opening(function, files, is_async=signature.is_async)

    def run_plain(
        accepted: AcceptedCall, _stage: RunContext, _channel: ClientChannel, _deadline: Deadline
    ) -> Awaitable[Any]:
        return function(**accepted.arguments)  # type: ignore[no-any-return]  # it is async

    def run_sync(
        accepted: AcceptedCall, stage: RunContext, _channel: ClientChannel, _deadline: Deadline
    ) -> Awaitable[Any]:
        return _call(function, signature, accepted.arguments, accepted.call, stage)

    def run(accepted: AcceptedCall, stage: RunContext, channel: ClientChannel, deadline: Deadline) -> Awaitable[Any]:
        return invoke(function, signature, accepted.arguments, accepted.call, stage, Timed(channel, deadline))

    if signature.caller or signature.context or signature.lifespan:
        return run
    return run_plain if signature.is_async else run_sync


def asker_of(definition: ToolDefinition) -> Run | None:
    """Return the function that begins the call of what words the question to a person; None without such a function.

    It takes those of the tool's arguments that it names.
    """
    function, signature = definition.asked.function, definition.asked.signature
    if function is None or signature is None:
        return None
    names = [parameter.name for parameter in signature.parameters]

    def run(accepted: AcceptedCall, stage: RunContext, channel: ClientChannel, deadline: Deadline) -> Awaitable[Any]:
        given = accepted.arguments
        inner = given.get("arguments")
        if set(given) == {"arguments"} and isinstance(inner, Mapping):  # they come whole, by a schema of the author's
            given = {**inner, **given}
        wanted = {name: given[name] for name in names if name in given}
        return invoke(function, signature, wanted, accepted.call, stage, Timed(channel, deadline))

    return run


async def invoke(
    function: Callable[..., Any],
    signature: Signature,
    arguments: Mapping[str, Any],
    call: Call,
    stage: RunContext,
    channel: ClientChannel,
) -> Any:
    """Call a function with its arguments and what it wants injected: on the loop, or in a thread if it is sync."""
    if not (signature.caller or signature.context or signature.lifespan):
        return await _call(function, signature, arguments, call, stage)
    filled = dict(arguments)
    if signature.lifespan:
        filled[signature.lifespan] = stage.lifespans.value_of(call.arrival.server)
    caller = caller_of(call.principal)
    exchanging = reports = asking = None
    if caller.way is AuthMethod.OAUTH:
        exchanging = Exchanging(call, stage.exchange)
        give_exchanger(caller, exchanging)
    if signature.caller:
        filled[signature.caller] = caller
    if signature.context:
        notify = channel.notify if exchanging is None else exchanging.notifier(channel.notify)
        reports = Reports(call, notify, stage.clock)
        asking = Asking(call, channel, stage.pools.of(call.arrival.server))
        filled[signature.context] = Context(caller, call.arrival.id, reports, asking)
    try:
        value = await _call(function, signature, filled, call, stage)
        if exchanging is not None:
            exchanging.require_clean(value)
    except ToolError as told:
        if exchanging is not None:
            exchanging.require_untold(told)
        raise
    finally:
        for way in (exchanging, reports, asking):
            if way is not None:
                way.close()
    return value


async def _call(
    function: Callable[..., Any], signature: Signature, filled: Mapping[str, Any], call: Call, stage: RunContext
) -> Any:
    if signature.is_async:
        return await function(**filled)
    value = await stage.pools.of(call.arrival.server).run(partial(function, **filled), current.get())
    return await value if inspect.isawaitable(value) else value
