"""Results of a tool with ``Owned`` guards: only the caller's own rows leave, or nothing does."""

import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw

from mcpward.core.values import Principal, RawResult
from mcpward.core.withheld import withheld
from mcpward.sdk.definitions import ToolDefinition
from mcpward.sdk.owned import ForeignRows, Owned
from mcpward.sdk.schema.returns import Returns

_log: Final = logging.getLogger(__name__)
_ADVICE: Final = "it holds data of someone else: ask only for what belongs to this caller"
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def owned_rows(definition: ToolDefinition, returns: Returns) -> Callable[[Principal, RawResult], RawResult] | None:
    """Return what leaves a result its caller's own rows; None if the tool has no such guard.

    It raises :class:`~mcpward.core.errors.Refusal` (output-refused) for rows of others that are not to be dropped, and
    for a result in which no row can be found. ``returns`` is the declared return, before members are dropped.
    """
    guards = tuple((guard, guard.path) for guard in definition.guards if isinstance(guard, Owned))
    if not guards:
        return None
    who = f"{definition.where}: tool {definition.name!r}"

    def own(principal: Principal, result: RawResult) -> RawResult:
        if result.structured is None or not result.is_mirrored:
            raise withheld(f"{who}: Owned cannot read a result that was built by hand", _ADVICE)
        whole: Any = _decode(result.structured if isinstance(result.structured, Raw) else _encode(result.structured))
        value, dropped = whole["result"] if returns.wrapped else whole, 0
        try:
            for guard, path in guards:
                value, foreign = guard.own(value, path.find(principal))
                dropped += foreign
        except ForeignRows as found:
            raise withheld(f"{who}: {found}", _ADVICE) from None
        if not dropped:
            return result
        _log.debug("%s: %d rows of others were dropped", who, dropped)
        return _with(result, value, is_wrapped=returns.wrapped)

    return own


def _with(result: RawResult, value: Any, *, is_wrapped: bool) -> RawResult:
    text = _encode(value)
    whole = _encode({"result": value}) if is_wrapped else text
    content = [{"type": "text", "text": text.decode()}]
    return RawResult(content, Raw(whole), misfit=result.misfit, is_mirrored=True, size=len(whole) + len(text))
