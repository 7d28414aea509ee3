"""What a function gave back, in the protocol's shape: content blocks and structured content. Not clean yet."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import pydantic_core
from msgspec import Raw

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import RawResult
from mcpward.sdk.content import Content
from mcpward.sdk.result import ToolResult
from mcpward.sdk.returns import ReturnMismatch, Returns

_UNFIT: Final = (ReturnMismatch, ValueError, TypeError, RecursionError)
_WRAP: Final = b'{"result":%b}'


def shape(returns: Returns, value: Any, *, structured: bool = True) -> RawResult:
    """Give the result of a tool that declared ``returns`` and gave back ``value``.

    Structured content is encoded once and mirrored as text, as ``server/tools`` asks; a wrapped value's text is the
    bare value. Without a declared schema an object is still given as structured content, unless ``structured`` is
    False.

    Raises:
        Refusal: output-refused, when the value is not what the tool declares, or nothing that JSON can hold.
    """
    if type(value) is ToolResult:
        return _by_hand(returns, value)
    encode_declared = returns.encode
    if encode_declared is None:
        return _undeclared(value, structured=structured)
    try:
        encoded = encode_declared(value)
    except _UNFIT as error:
        raise _unfit(error) from None
    text = value if isinstance(value, str) else encoded.decode()
    return RawResult([{"type": "text", "text": text}], Raw(_WRAP % encoded if returns.wrapped else encoded))


def _undeclared(value: Any, *, structured: bool) -> RawResult:
    if value is None:
        return RawResult(content=[])
    if isinstance(value, str):
        return RawResult(content=[{"type": "text", "text": value}])
    if isinstance(value, Content):
        return RawResult(content=[value.block()])
    if isinstance(value, list | tuple) and any(isinstance(part, Content) for part in value):
        return RawResult(content=_blocks(value))
    encoded = encode(value)
    content = [{"type": "text", "text": encoded.decode()}]
    return RawResult(content=content, structured=Raw(encoded) if structured and encoded[:1] == b"{" else None)


def encode(value: Any) -> bytes:
    """Encode what JSON can hold: plain values, pydantic models, dataclasses, msgspec structs, dates.

    Raises:
        Refusal: output-refused, for anything else.
    """
    try:
        return pydantic_core.to_json(value, by_alias=True, inf_nan_mode="null", bytes_mode="base64", fallback=_struct)
    except (ValueError, TypeError, RecursionError) as error:  # the error's text quotes the value: only its type is kept
        raise Refusal(Reason.OUTPUT_REFUSED, f"the result cannot be encoded: {type(error).__name__}") from None


def _declared(returns: Returns, encode_declared: Callable[[Any], bytes], value: Any) -> bytes:
    try:
        encoded = encode_declared(value)
    except _UNFIT as error:
        raise _unfit(error) from None
    return _WRAP % encoded if returns.wrapped else encoded


def _unfit(error: Exception) -> Refusal:
    if isinstance(error, ReturnMismatch):
        return Refusal(Reason.OUTPUT_REFUSED, f"the result is not what the tool declares: {error}")
    return Refusal(Reason.OUTPUT_REFUSED, f"the result cannot be encoded: {type(error).__name__}")


def _by_hand(returns: Returns, value: ToolResult) -> RawResult:
    structured, text, encode_declared = None, None, returns.encode
    if value.structured is not None:
        said = value.structured
        encoded = encode(said) if encode_declared is None else _declared(returns, encode_declared, said)
        if encoded[:1] != b"{":
            raise Refusal(Reason.OUTPUT_REFUSED, "structured content is an object")
        structured, text = Raw(encoded), encoded.decode()
    elif encode_declared is not None and not value.is_error:
        raise Refusal(Reason.OUTPUT_REFUSED, "the tool declares structured content, and gave none")
    given = value.content if value.content is not None else text
    parts = [] if given is None else given if isinstance(given, list | tuple) else [given]
    return RawResult(content=_blocks(parts), structured=structured, is_error=value.is_error, meta=value.meta)


def _blocks(parts: Sequence[Any]) -> list[dict[str, Any]]:
    return [block(part) for part in parts]


def block(part: Any) -> dict[str, Any]:
    """Give one content block: a content value's own, or the text of anything else."""
    if isinstance(part, Content):
        return part.block()
    return {"type": "text", "text": part if isinstance(part, str) else encode(part).decode()}


def _struct(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    raise TypeError(type(value).__name__)
