"""A record as a row of the traffic table, fit to keep: redacted, cut, and valid text. Runs in the writer's batch."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, Final

from msgspec.structs import astuple

from mcpward.traffic.record import MAX_DETAIL, MAX_NAME, MAX_RAW_ARGUMENTS, Limits, Record
from mcpward.traffic.subject import Subject

_log: Final = logging.getLogger("mcpward.traffic")
#: Fields of a record from here on go into its row as they are.
_FIRST_PLAIN: Final = Record.__struct_fields__.index("id")
#: The columns of a row, in its order. ``would_refuse`` is names with commas between.
COLUMNS: Final = (
    "server", "method", "tool", "era", "version", "way", "principal", "client", "key_id",  # of the subject
    *Record.__struct_fields__[_FIRST_PLAIN:],
    "outcome", "duration_us", "arguments",
    "trace", "limit_name", "would_refuse", "detail",
)  # fmt: skip
Row = tuple[Any, ...]
Redact = Callable[[bytes], bytes]

MAX_ARGUMENTS: Final = 4096
_NONE: Final[Row] = (None, None, None, None)
_NOBODY: Final[Row] = (None, None, None)
_NO_LIMITS: Final[Limits] = (None, ())
#: A secret that the cut of the raw arguments split in two is not found any more: this much before the cut goes too.
_MARGIN: Final = MAX_RAW_ARGUMENTS // 2
#: An escape that JSON does not ask for, after whole pairs of backslashes.
_NEEDLESS: Final = re.compile(rb"(?<!\\)((?:\\\\)*+)\\(/|u[0-9a-fA-F]{4})")
_FIRST_PRINTABLE: Final = 0x20
_ALWAYS_ESCAPED: Final = frozenset(b'"\\')
_SURROGATES: Final = range(0xD800, 0xE000)
_arguments_of: Final = attrgetter("arguments")
# W3C Trace Context: anything else is not a trace, whatever the field was called.
_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class RowMaker:
    """Makes rows. Without ``redact`` no arguments are kept: unredacted ones never are.

    ``redact_json`` is for arguments that are whole: it reads the text as JSON does, however the caller escaped it. If
    it returns the very bytes that it was given, they held nothing to redact, nor did any part of them.
    """

    def __init__(self, redact: Redact | None = None, redact_json: Redact | None = None) -> None:
        self._redact = redact
        self._redact_json = redact_json or redact

    def all(self, records: Sequence[Record]) -> list[Row]:
        """Return the rows of a batch. Its arguments are looked through at once: most batches hold nothing to redact."""
        raws = list(map(_arguments_of, records))
        return self._made(records, self._texts(raws, self._are_clean(raws)))

    def of(self, record: Record) -> Row:
        """Return the row of one record."""
        return self._made((record,), self._texts([record.arguments], are_clean=False))[0]

    def _made(self, records: Sequence[Record], arguments: Iterable[str | None]) -> list[Row]:
        rows = []
        for record, text_of in zip(records, arguments, strict=True):
            subject = record.subject
            is_plain = record.limits is None and record.trace is None and record.detail is None
            rare = _NONE if is_plain else (*_rare(record), self._detail(record.detail))
            # ``value`` is a property in Python and costs as much as a column.
            own = (record.outcome._value_, int(record.duration_s * 1e6), text_of)
            plain = astuple(record)[_FIRST_PLAIN:]
            rows.append((subject.columns or self._columns(subject)) + plain + own + rare)
        return rows

    def _are_clean(self, raws: Sequence[bytes | None]) -> bool:
        """Return whether none of the arguments that are whole holds anything to redact: one look at all, as one array.

        A doubt means no, and each is checked by itself.
        """
        if self._redact_json is None:
            return False
        whole: list[bytes] = list(filter(None, raws))
        if max(map(len, whole), default=0) > MAX_ARGUMENTS:
            whole = [raw for raw in whole if len(raw) <= MAX_ARGUMENTS]
        array = b"[" + b",".join(whole) + b"]"
        return self._clean(array, self._redact_json) is array

    def _texts(self, raws: Sequence[bytes | None], are_clean: bool) -> Iterable[str | None]:
        """Return what is kept of the arguments. ``are_clean`` says that those that are whole were looked through."""
        given: list[bytes] = list(filter(None, raws))
        longest = max(map(len, given), default=0)
        if are_clean and len(given) == len(raws) and longest <= MAX_ARGUMENTS:  # most batches are so
            return map(str, given, repeat("utf-8"), repeat("replace"))
        return [
            raw.decode("utf-8", "replace") if are_clean and raw and len(raw) <= MAX_ARGUMENTS else self._arguments(raw)
            for raw in raws
        ]

    def _columns(self, subject: Subject) -> Row:
        """Make the columns of a subject, once: a principal, a tool and a version stay what they are."""
        who, era, method = subject.principal, subject.era, subject.method
        who_columns: Row = (*_NOBODY, subject.refused_key)
        if who is not None:
            who_columns = (who.way._value_, text(who.key), text(who.client) or None, who.key_id)
        columns = subject.columns = (
            subject.server,
            method if method.isascii() and "\0" not in method else text(method),
            subject.tool if subject.is_listed else self._stranger(subject.tool),
            None if era is None else era._value_,
            subject.version or None,
            *who_columns,
        )
        return columns

    def _stranger(self, tool: str) -> str | None:
        """A tool of ours goes by its name; any other name is a stranger's text and may hold anything (attack 85)."""
        if not tool:
            return None
        clean = self._clean(tool.encode(errors="replace"), self._redact)
        return "?" if clean is None else cut(clean, 4 * MAX_NAME)

    def _detail(self, detail: str | None) -> str | None:
        """Names of members are in it, and those of an open object are data."""
        if detail is None:
            return None
        clean = self._clean(detail.encode(errors="replace"), self._redact)
        return None if clean is None else cut(clean, MAX_DETAIL)

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
        except Exception as error:  # noqa: BLE001  # its text may quote what was to be redacted, so it is not logged
            _log.error("a traffic record is stored without its texts: redaction failed (%s)", type(error).__name__)
            return None


def _rare(record: Record) -> Row:
    """Return the columns that most records have nothing in, but for the last: trace, limit_name and would_refuse."""
    limit, shadows = record.limits or _NO_LIMITS
    traced = record.trace if record.trace and _TRACE.fullmatch(record.trace) else None
    return traced, limit, ",".join(shadows) or None


def unescaped(piece: bytes) -> bytes:
    r"""Return a piece of JSON with needless escapes written out: ``v\u0061lue`` hides a secret from a search for bytes.

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
    """Return at most ``size`` bytes of a UTF-8 text, whole characters only; bytes that are none become U+FFFD."""
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
