"""The fields of a request's head: those that mcpward keeps, their names, and those that came twice."""

from collections.abc import Sequence
from itertools import chain
from typing import Final

#: The only fields that mcpward reads. A name with ``_`` is never among them, so ``X_API_Key`` cannot pass for
#: ``X-API-Key`` behind a proxy that folds the two.
_KEPT: Final = frozenset({
    b"accept", b"access-control-request-headers", b"authorization", b"connection", b"content-encoding",
    b"content-length", b"content-type", b"expect", b"host", b"last-event-id", b"mcp-method", b"mcp-name",
    b"mcp-protocol-version", b"mcp-session-id", b"origin", b"sec-fetch-site", b"traceparent", b"tracestate",
    b"transfer-encoding", b"upgrade", b"x-api-key", b"x-forwarded-for",
})  # fmt: skip
#: Fields that most clients send and mcpward does not read: kept too, for leaving them out would cost more.
_COMMON: Final = frozenset({b"accept-encoding", b"accept-language", b"sec-fetch-mode", b"user-agent"})
_PARAM: Final = b"mcp-param-"
#: Lists may come in several lines (RFC 9110 §5.3); a proxy that appends a line of its own has the last word.
_LISTS: Final = frozenset({b"accept", b"x-forwarded-for"})
#: Each kept name in the spellings that clients use, so that most heads need no folding.
_SPELLED: Final = {spelling: name for name in _KEPT | _COMMON for spelling in (name, name.title())} | {
    spelling: spelling.lower() for spelling in (b"MCP-Protocol-Version", b"MCP-Session-Id", b"X-API-Key")
}
_NONE: Final[frozenset[bytes]] = frozenset()

Lines = Sequence[tuple[bytes, bytes]]
"""Names and values of a head in their order, as they came."""
Fields = dict[bytes, bytes]


def size_of(lines: Lines) -> int:
    """Return the bytes that these lines took on the wire, with colon, blank and line end."""
    return sum(map(len, chain.from_iterable(lines))) + 4 * len(lines)


def folded(lines: Lines) -> tuple[Fields, frozenset[bytes]]:
    """Return the kept fields by their lower-case names, and the names that came more than once (the first is kept)."""
    fields = {_SPELLED[name]: value.strip(b" \t") for name, value in lines if name in _SPELLED}
    if len(fields) == len(lines):
        return fields, _NONE
    return _folded_one_by_one(lines)


def _folded_one_by_one(lines: Lines) -> tuple[Fields, frozenset[bytes]]:
    fields: Fields = {}
    repeated: set[bytes] = set()
    for name, value in lines:
        kept = _SPELLED.get(name) or name.lower()
        if kept not in _KEPT and not kept.startswith(_PARAM):
            continue
        if kept in fields:
            repeated.add(kept)
            if kept in _LISTS:
                fields[kept] += b"," + value
        else:
            fields[kept] = value.strip(b" \t")
    return fields, frozenset(repeated)
