"""The record for other programs, one row at a time: JSON lines, CSV, and events of the OCSF."""

import csv
import io
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mcpward.traffic import ocsf
from mcpward.traffic.line import line

Row = Mapping[str, Any]
#: The columns of the CSV, in their order.
CSV_COLUMNS: Final = (
    "time", "seq", "id", "server", "method", "tool", "era", "version", "way", "principal", "client", "key_id", "peer",
    "phase", "outcome", "reason", "error_id", "status", "duration_us", "bytes_in", "bytes_out", "limit_name",
    "would_refuse", "consent", "count", "last_at", "trace", "detail", "arguments", "chain", "at",
)  # fmt: skip
#: The characters that begin a formula in a spreadsheet (CWE-1236); callers choose the contents of some cells. One that
#: takes ";" (much of Europe) or a tab for the separator begins a cell within ours. Full-width signs count where they
#: are typed.
_FORMULA: Final = re.compile(r"""^(?=[=+@＝＋－＠\t\r-])|(?<=[;\t\r\n])(?="*[=+@＝＋－＠-])""")


def json_line(row: Row) -> str:
    """Return a row as ``mcpward log --json`` prints it."""
    return line({"time": _time(row["at"]), **row})


def csv_line(row: Row) -> str:
    """Return a row as a line of CSV (RFC 4180, without the end of the line). An apostrophe stands before what a
    spreadsheet would take for a formula, whichever its separator is; control characters are written as their escapes,
    so that a row is a line.
    """
    return _csv([row.get(name) if name != "time" else _time(row["at"]) for name in CSV_COLUMNS])


def ocsf_line(row: Row) -> str:
    """Return a row as an event of the class API Activity."""
    return line(ocsf.event(row))


#: By name: what makes a line of a row, and the first line, if there is one.
FORMATS: Final[Mapping[str, tuple[Callable[[Row], str], str | None]]] = {
    "jsonl": (json_line, None),
    "csv": (csv_line, ",".join(CSV_COLUMNS)),
    "ocsf": (ocsf_line, None),
}


def _csv(values: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([_cell(value) for value in values])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = _FORMULA.sub("'", value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
