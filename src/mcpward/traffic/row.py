"""A record as a row of the traffic table, fit to keep: redacted, cut, and valid text. Runs in the writer's batch.

Row: id, at, server, method, tool, era, version, way, principal, client, key_id, peer, phase, outcome, reason, error_id,
status, duration_us, bytes_in, bytes_out, arguments, trace, limit_name, would_refuse (names with commas between).
"""

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from mcpward.core.values import Principal
from mcpward.traffic.record import MAX_NAME, MAX_RAW_ARGUMENTS, Limits, Record

_log: Final = logging.getLogger("mcpward.traffic")
Row = dict[str, Any]
Redact = Callable[[bytes], bytes]
Identity = tuple[str | None, str | None, str | None, str | None]
"""The columns way, principal, client and key_id."""

MAX_ARGUMENTS: Final = 4096
_MAX_KNOWN: Final = 1024
_NO_LIMITS: Final[Limits] = (None, ())
#: A secret that the cut of the raw arguments split in two is not found any more: this much before the cut goes too.
_MARGIN: Final = MAX_RAW_ARGUMENTS // 2
#: An escape that JSON does not ask for, after whole pairs of backslashes.
_NEEDLESS: Final = re.compile(rb"(?<!\\)((?:\\\\)*+)\\(/|u[0-9a-fA-F]{4})")
_FIRST_PRINTABLE: Final = 0x20
_ALWAYS_ESCAPED: Final = frozenset(b'"\\')
_SURROGATES: Final = range(0xD800, 0xE000)
# W3C Trace Context: anything else is not a trace, whatever the field was called.
_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Rows:
    """Makes rows. Without ``redact`` no arguments are kept: unredacted ones never are.

    ``redact_json`` is for arguments that are whole: it reads the text as JSON does, however the caller escaped it.
    Where it gives back the very bytes it was given, there was nothing to redact in them or in any part of them.
    """

    def __init__(self, redact: Redact | None = None, redact_json: Redact | None = None) -> None:
        self._redact = redact
        self._redact_json = redact_json or redact
        self._known: dict[Principal | None, Identity] = {None: (None, None, None, None)}

    def all(self, records: Sequence[Record]) -> list[Row]:
        """Give the rows of a batch. Its arguments are looked through at once: most batches hold nothing to redact."""
        return [self.of(record, is_clean) for is_clean in (self._is_clean(records),) for record in records]

    def of(self, record: Record, is_clean: bool = False) -> Row:
        """Give the row of one record. ``is_clean`` says that its arguments were looked through with others."""
        # ``_value_`` and not ``value``, which is a property in Python and costs as much as a column.
        who = record.principal
        way, key, client, key_id = self._known.get(who) or self._identity(who)
        era, method, raw = record.era, record.method, record.arguments
        limit, shadows = record.limits or _NO_LIMITS
        return {
            "id": record.id,
            "at": record.at,
            "server": record.server,
            "method": method if method.isascii() and "\0" not in method else text(method),
            "tool": record.tool if record.is_listed else self._name(record),
            "era": None if era is None else era._value_,
            "version": record.version or None,
            "way": way,
            "principal": key,
            "client": client,
            "key_id": key_id,
            "peer": record.peer,
            "phase": record.phase,
            "outcome": record.outcome._value_,
            "reason": record.reason,
            "error_id": record.error_id,
            "status": record.status,
            "duration_us": int(record.duration_s * 1e6),
            "bytes_in": record.bytes_in,
            "bytes_out": record.bytes_out,
            "arguments": raw.decode(errors="replace")
            if is_clean and raw and len(raw) <= MAX_ARGUMENTS
            else self._arguments(raw),
            "trace": record.trace if record.trace and _TRACE.fullmatch(record.trace) else None,
            "limit_name": limit,
            "would_refuse": ",".join(shadows) if shadows else None,
        }

    def _is_clean(self, records: Sequence[Record]) -> bool:
        """Tell whether none of the arguments that are whole holds anything to redact: one look at all, as one array.

        A doubt means no, and each is looked at alone.
        """
        if self._redact_json is None:
            return False
        whole = [raw for record in records if (raw := record.arguments) and len(raw) <= MAX_ARGUMENTS]
        array = b"[" + b",".join(whole) + b"]"
        return self._clean(array, self._redact_json) is array

    def _identity(self, who: Principal | None) -> "Identity":
        """Make the columns of a principal, once: a key's principal is the same value for all of its calls."""
        assert who is not None  # None is known from the start
        if len(self._known) >= _MAX_KNOWN:
            self._known = {None: self._known[None]}
        known = self._known[who] = (who.way._value_, text(who.key), text(who.client) or None, who.key_id)
        return known

    def _name(self, record: Record) -> str | None:
        """A tool of ours goes by its name; any other name is a stranger's text and may hold anything (attack 85)."""
        if not record.tool:
            return None
        clean = self._clean(record.tool.encode(errors="replace"), self._redact)
        return "?" if clean is None else cut(clean, 4 * MAX_NAME)

    def _arguments(self, raw: bytes | None) -> str | None:
        if raw is None:
            return None
        if len(raw) < MAX_RAW_ARGUMENTS:
            clean = self._clean(raw, self._redact_json)
            return None if clean is None else cut(clean)
        clean = self._clean(unescaped(raw), self._redact)
        return None if clean is None else cut(clean[: max(0, len(clean) - _MARGIN)])

    def _clean(self, raw: bytes, redact: Redact | None) -> bytes | None:
        """Redact, or give None: what could not be redacted is not kept, and the record is written all the same."""
        if redact is None:
            return None
        try:
            return redact(raw)
        except Exception as error:  # noqa: BLE001  # its text may quote what was to be redacted, so it is not told
            _log.error("a traffic record is kept without its texts: redaction failed (%s)", type(error).__name__)
            return None


def unescaped(piece: bytes) -> bytes:
    r"""Give a piece of JSON with needless escapes written out: ``v\u0061lue`` hides a secret from who looks for bytes.

    A piece is no JSON, so no decoder takes it. Quotes, backslashes, control characters and surrogates stay escaped.
    """
    return _NEEDLESS.sub(_written_out, piece) if b"\\" in piece else piece


def _written_out(found: re.Match[bytes]) -> bytes:
    before, escape = found.groups()
    if escape == b"/":
        return before + escape
    point = int(escape[1:], 16)
    is_needed = point < _FIRST_PRINTABLE or point in _ALWAYS_ESCAPED or point in _SURROGATES
    return found[0] if is_needed else before + chr(point).encode()


def cut(utf8: bytes, size: int = MAX_ARGUMENTS) -> str:
    """Give at most ``size`` bytes of a UTF-8 text, whole characters only; bytes that are none become U+FFFD."""
    if len(utf8) > size:
        end = size
        while end > size - 4 and utf8[end] & 0xC0 == 0x80:
            end -= 1
        utf8 = utf8[:end]
    return text(utf8.decode(errors="replace"))


def text(given: str) -> str:
    """Make a text storable everywhere: no NUL (PostgreSQL has none) and no lone surrogate (UTF-8 has none)."""
    if given.isascii() and "\0" not in given:
        return given
    return given.encode(errors="replace").decode().replace("\0", "\ufffd")
