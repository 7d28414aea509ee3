"""Cells of CSV that a spreadsheet would run: they get a quote before them, as OWASP advises. Numbers stay numbers."""

import re
from typing import Final

_TYPES: Final = frozenset({"text/csv", "application/csv", "text/tab-separated-values"})
_CELL: Final = re.compile(
    r"""((?:^|[,;\t]|(?<=\n))"?)(?=[=@]|[+-](?!\d{1,30}(?:[.,]\d{1,30})?(?:[eE][+-]?\d{1,4})?%?"?(?:[,;\t\r\n]|$)))""",
    re.MULTILINE,
)


def is_table(mime_type: object) -> bool:
    """Return whether a text of this media type is opened by spreadsheets."""
    return isinstance(mime_type, str) and mime_type.partition(";")[0].strip().lower() in _TYPES


def plain_cells(text: str) -> str:
    """Return a table in which no cell is a formula."""
    return _CELL.sub(r"\1'", text)
