"""A body into one JSON-RPC 2.0 message, strictly: no batch, no id that parsers read differently.

Nothing of MCP is known here beyond the names that must not come in another spelling. Attacks 54-58; CVE-2026-27896
(case variants and repeated names show one message to the check and another to the tool).
"""

from typing import Any, Final

from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.json import Decoder

from mcpward.core.errors import Refusal
from mcpward.core.facts import Unread
from mcpward.core.jsonio import Bounds, JsonRefused, read, spell
from mcpward.core.reasons import Reason

#: The largest integer that every JSON parser reads alike (RFC 8259 §6).
_MAX_ID: Final = 2**53 - 1
NUMBERS: Final = range(-_MAX_ID, _MAX_ID + 1)
_MAX_ID_LENGTH: Final = 256
#: More would let a small body draw a large answer.
_MAX_BATCH: Final = 64
_MEMBERS: Final = frozenset(("jsonrpc", "id", "method", "params"))
_ALL: Final = _MEMBERS | {"result", "error"}
_PARAMS: Final = frozenset(("name", "arguments", "uri", "cursor", "_meta"))
_FURTHER: Final = ("inputResponses", "requestState", "taskId", "level", "ref", "argument", "context", "notifications")
_ALL_PARAMS: Final = _PARAMS.union(_FURTHER)
#: Objects of params that may be empty. PHP writes an empty object as an empty array.
_OBJECTS: Final = frozenset(("arguments", "_meta", "capabilities", "clientInfo"))
_LONGEST_NAME: Final = max(map(len, _ALL | _ALL_PARAMS))
_FOLDED: Final = {names: frozenset(name.casefold() for name in names) for names in (_ALL, _ALL_PARAMS)}


class Opened(Struct, frozen=True, eq=False):
    """A large body that was read: its ``value``, and ``params.arguments`` byte for byte (None: none were seen)."""

    value: Any
    arguments: bytes | None


class Message(Struct, frozen=True, eq=False, gc=False):
    """One request (``is_request``), notification or response. ``params`` is empty if the message has none.

    A response has no method and no id of its own: ``answers`` is the id of the request of ours that it answers, and
    ``params`` holds its ``result`` or its ``error``, an object. ``is_spelt``: as ``core.jsonio`` would have spelt it.
    ``opened`` is the body, if that is a large one.
    """

    method: str
    params: dict[str, Any]
    is_request: bool
    id: int | str | None
    answers: int | str | None = None
    is_spelt: bool = False
    opened: Opened | None = None


class _Params(Struct, gc=False):
    arguments: Raw | UnsetType = UNSET


class _Envelope(Struct, gc=False):
    params: _Params


_decode_envelope = Decoder(_Envelope).decode


def parse(body: bytes, bounds: Bounds) -> tuple[Any, bool]:
    """Return what a body holds, and whether it is spelt as ``core.jsonio`` would have spelt it.

    Raises :class:`Refusal` (message-unparsable) for what is not JSON within ``bounds``.
    """
    try:
        return read(body, bounds)
    except JsonRefused as no:
        raise Refusal(Reason.MESSAGE_UNPARSABLE, str(no)) from None


def message_of(value: object, *, is_spelt: bool, opened: Opened | None = None) -> Message:
    """Read one message from its decoded body. ``is_spelt``, ``opened``: see :class:`Message`.

    Raises :class:`Refusal` (message-malformed) for what is not one request, notification or response. Its fact
    :class:`~mcpward.core.facts.Unread` has a request's id if it could be read.
    """
    if type(value) is not dict:
        raise Refusal(Reason.MESSAGE_MALFORMED, "not a single object")
    is_request = "id" in value
    number = value.get("id")
    method = value.get("method")
    if is_request and not is_id(number):
        raise Refusal(Reason.MESSAGE_MALFORMED, "id must be a string or an integer that every parser reads alike")
    if type(method) is not str or not method:
        return _response(value)
    if value.get("jsonrpc") != "2.0":
        raise _malformed(number, "jsonrpc is not 2.0")
    if not value.keys() <= _MEMBERS:
        _require_one_spelling(value, _ALL, number)
        if "result" in value or "error" in value:
            raise _malformed(number, "both a request and a response")
    params = value.get("params")
    if params is None or params == []:
        params = {}
    elif type(params) is not dict:
        raise _malformed(number, "params is not an object")
    elif not params.keys() <= _PARAMS:
        _require_one_spelling(params, _ALL_PARAMS, number)
    if [] in params.values():
        params = {name: said for name, said in params.items() if name not in _OBJECTS or said != []}
    return Message(method, params, is_request, number, None, is_spelt, opened)


def arguments_of(message: Message, body: bytes) -> bytes:
    """Return ``params.arguments`` of a message that has them, byte for byte as they stand in its body."""
    if message.is_spelt:
        return spell(message.params["arguments"])
    return raw_arguments(body) if message.opened is None else _required(message.opened.arguments)


def raw_arguments(body: bytes) -> bytes:
    """Return ``params.arguments`` of a body that is known to have them, byte for byte."""
    arguments = _decode_envelope(body).params.arguments
    return _required(None if arguments is UNSET else bytes(arguments))  # a copy: the body need not live as long


def _required(arguments: bytes | None) -> bytes:
    if arguments is None:
        # The two decoders disagree about the names in this body: no stage may go on with it.
        raise Refusal(Reason.MESSAGE_MALFORMED, "arguments that only one decoder sees")
    return arguments


def batch_ids(batch: list[Any]) -> list[int | str]:
    """Return the ids of a batch's requests, so that each gets its refusal; none for a batch of too many members."""
    if len(batch) > _MAX_BATCH:
        return []
    return [each["id"] for each in batch if type(each) is dict and "method" in each and is_id(each.get("id"))]


def is_id(value: object) -> bool:
    """Return whether a value may be a request's id or a progress token: never null, a fraction or a truth value."""
    if type(value) is int:
        return value in NUMBERS
    return type(value) is str and len(value) <= _MAX_ID_LENGTH


def _response(value: dict[str, Any]) -> Message:
    """Read what has no method. Its id is one of ours, not the client's, so no refusal is spoken under it."""
    number, said = value.get("id"), value.keys() & {"result", "error"}
    if "method" in value or value.get("jsonrpc") != "2.0" or len(said) != 1 or number is None:
        raise Refusal(Reason.MESSAGE_MALFORMED, "no method, and no response")
    _require_one_spelling(value, _ALL, None)
    name = said.pop()
    if type(value[name]) is not dict:
        raise Refusal(Reason.MESSAGE_MALFORMED, "a response without an object")
    return Message("", {name: value[name]}, is_request=False, id=None, answers=number)


def _require_one_spelling(members: dict[str, Any], known: frozenset[str], rpc_id: int | str | None) -> None:
    folded = _FOLDED[known]
    for name in members:
        # Folding never makes a name shorter: what is longer than ours need not be folded to be distinguished.
        if name not in known and len(name) <= _LONGEST_NAME and name.casefold() in folded:
            raise _malformed(rpc_id, "a member's name in another case")


def _malformed(rpc_id: int | str | None, detail: str) -> Refusal:
    return Refusal(Reason.MESSAGE_MALFORMED, detail, Unread(id=rpc_id))
