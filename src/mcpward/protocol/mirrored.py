"""Arguments that a client repeats in headers (``x-mcp-header``; 2026-07-28, transports page, custom headers).

A proxy in front may have judged by ``Mcp-Param-…``. So the header has the argument's value, and is missing if and only
if the argument is; else the request is refused before anything runs (attack 59).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec.json import Decoder

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call
from mcpward.protocol.headers import is_wrapped, says, spelled, unwrap

_decode = Decoder().decode
_NONE: Final[Mapping[str, Any]] = {}
#: Text that may be compared as a number. No exponents: ``1e9`` is nine zeros of work for two characters of header.
_DECIMAL: Final = re.compile(rb"-?[0-9]{1,40}(\.0{1,40})?")


def require_mirrored(call: Call, mirrored: Mapping[bytes, tuple[str, ...]]) -> None:
    """Compare each header with the argument at its path.

    Raises :class:`Refusal` (header-mismatch) for a header that differs, came twice, is damaged, is missing beside an
    argument, or stands alone.
    """
    arguments = _decode(call.arguments) if call.arguments is not None else _NONE
    for header, path in mirrored.items():
        said = call.arrival.headers.get(header)
        value = _at(arguments, path)
        if header in call.arrival.repeated:
            raise _mismatch("is repeated")
        if value is None or isinstance(value, (dict, list)):
            # No client can repeat a list; validation will refuse it if the schema does.
            if said is not None:
                raise _mismatch("stands alone")
        elif said is None:
            raise _mismatch("is missing")
        elif not _agrees(said, value):
            raise _mismatch("differs from its argument")


def mirror(arguments: Mapping[str, Any], mirrored: Mapping[bytes, tuple[str, ...]]) -> dict[bytes, bytes]:
    """Return the headers that repeat ``arguments``, as a client writes them."""
    headers: dict[bytes, bytes] = {}
    for header, path in mirrored.items():
        value = _at(arguments, path)
        if value is None or isinstance(value, (dict, list)):
            continue
        text = (
            value if isinstance(value, str) else "true" if value is True else "false" if value is False else str(value)
        )
        headers[header] = spelled(text)
    return headers


def _at(arguments: object, path: tuple[str, ...]) -> Any:
    value = arguments
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _agrees(said: bytes, value: object) -> bool:
    if isinstance(value, str):
        return says(said, value)
    if isinstance(value, bool):
        return says(said, "true" if value else "false")
    plain = unwrap(said) if is_wrapped(said) else said
    if plain is None or not _DECIMAL.fullmatch(plain):
        return False
    # Exact whatever the size; ``1.0`` is the integer 1 for JSON Schema, and a fraction equals no integer.
    return int(plain.partition(b".")[0]) == value


def _mismatch(detail: str) -> Refusal:
    return Refusal(Reason.HEADER_MISMATCH, f"a mirrored header {detail}")
