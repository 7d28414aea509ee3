"""A function's return value, in the protocol's shape: content blocks and structured content. Not clean yet."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import pydantic_core
from msgspec import Raw

from mcpward.core.errors import Refusal
from mcpward.core.unicode import well_formed
from mcpward.core.values import RawResult
from mcpward.core.withheld import withheld
from mcpward.sdk.content import Content
from mcpward.sdk.result import ToolResult
from mcpward.sdk.schema.jsonable import NotJson, jsonable
from mcpward.sdk.schema.returns import ReturnMismatch, Returns, explained

_UNFIT: Final = (ReturnMismatch, ValueError, TypeError, RecursionError)
_ADVICE: Final = "it does not match the tool's declared return type: try other arguments, or report it to the operator"
_decode: Final = msgspec.json.Decoder().decode
_WRAP: Final = b'{"result":%b}'


def shape(returns: Returns, value: Any, *, structured: bool = True, where: str = "") -> RawResult:
    """Return the result of a tool that declared ``returns`` and returned ``value``.

    Structured content is encoded once and mirrored as text, as ``server/tools`` asks; a wrapped value's text is the
    bare value. Without a declared schema an object is still given as structured content, unless ``structured`` is
    False. ``where`` is ``file:line`` of the function, for the operator.

    Raises:
        Refusal: output-refused, when the value is not what the tool declares, or nothing that JSON can hold.
    """
    if type(value) is ToolResult:
        return _by_hand(returns, value, where)
    encode_declared = returns.encode
    if encode_declared is None:
        return _undeclared(value, structured=structured, where=where)
    try:
        encoded = encode_declared(value)
    except _UNFIT as error:
        raise _unfit(error, where) from None
    whole = Raw(_WRAP % encoded if returns.wrapped else encoded)
    if returns.is_text and value.isascii():
        text = value
    else:  # what its serializer made of it, if an author gave it one: that may mask what must not be seen
        text = _decode(encoded) if isinstance(value, str) and encoded[:1] == b'"' else encoded.decode()
    size = len(whole) + len(text)
    return RawResult([{"type": "text", "text": text}], whole, misfit=returns.misfit, is_mirrored=True, size=size)


def _undeclared(value: Any, *, structured: bool, where: str) -> RawResult:
    if value is None:
        return RawResult(content=[])
    if isinstance(value, str):
        return RawResult(content=[{"type": "text", "text": well_formed(value)}])
    if isinstance(value, Content):
        return RawResult(content=[block(value)])
    if isinstance(value, list | tuple) and any(isinstance(part, Content) for part in value):
        return RawResult(content=_blocks(value))
    encoded = encode(value, where)
    content = [{"type": "text", "text": encoded.decode()}]
    if not structured or encoded[:1] != b"{":
        return RawResult(content=content)
    return RawResult(content=content, structured=Raw(encoded), is_mirrored=True)


def encode(value: Any, where: str = "") -> bytes:
    """Encode what JSON can hold: plain values, pydantic models, dataclasses, msgspec structs, dates.

    Raises:
        Refusal: output-refused, for anything else.
    """
    try:
        return pydantic_core.to_json(jsonable(value))
    except (ValueError, TypeError, RecursionError) as error:
        raise _unfit(error, where) from None


def _declared(returns: Returns, encode_declared: Callable[[Any], bytes], value: Any, where: str) -> bytes:
    try:
        encoded = encode_declared(value)
    except _UNFIT as error:
        raise _unfit(error, where) from None
    return _WRAP % encoded if returns.wrapped else encoded


def _unfit(error: Exception, where: str) -> Refusal:
    """The error's own text may quote the value: only what is ours of it is kept."""
    if isinstance(error, ReturnMismatch):
        return withheld(_at(f"the result does not match the tool's declaration: {error}", where), _ADVICE)
    if isinstance(error, NotJson):
        return withheld(_at(f"the result cannot be JSON: {explained(error)}", where), _ADVICE)
    if isinstance(error, RecursionError):
        return withheld(_at("the result contains itself, or is nested too deep", where), _ADVICE)
    return withheld(_at(f"the result cannot be encoded: {type(error).__name__}", where), _ADVICE)


def _at(detail: str, where: str) -> str:
    return f"{detail} ({where})" if where else detail


def _by_hand(returns: Returns, value: ToolResult, where: str) -> RawResult:
    structured, text, encode_declared = None, None, returns.encode
    if value.structured is not None:
        said = value.structured
        encoded = encode(said, where) if encode_declared is None else _declared(returns, encode_declared, said, where)
        if encoded[:1] != b"{":
            detail = f"structured content is an object, and this is {type(said).__name__}"
            raise withheld(_at(detail, where), _ADVICE)
        structured, text = Raw(encoded), encoded.decode()
    elif encode_declared is not None and not value.is_error:
        raise withheld(_at("the tool declares structured content, but its ToolResult has none", where), _ADVICE)
    given = value.content if value.content is not None else text
    parts = [] if given is None else given if isinstance(given, list | tuple) else [given]
    meta = jsonable(value.meta) if value.meta else value.meta
    return RawResult(
        content=_blocks(parts),
        structured=structured,
        is_error=value.is_error,
        meta=meta,
        misfit=returns.misfit if structured is not None else None,
        is_mirrored=structured is not None and value.content is None,
    )


def _blocks(parts: Sequence[Any]) -> list[dict[str, Any]]:
    return [block(part) for part in parts]


def block(part: Any) -> dict[str, Any]:
    """Return one content block: a content value's own, or the text of anything else."""
    if isinstance(part, Content):
        made: dict[str, Any] = jsonable(part.block())
        return made
    return {"type": "text", "text": well_formed(part) if isinstance(part, str) else encode(part).decode()}
