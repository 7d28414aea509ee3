"""``like``: a caller's text inside a LIKE pattern, where its ``%`` and ``_`` are letters (attack 70)."""

import re
from typing import Any, Final, Literal

from mcpward.sdk.database.statement import Statement
from mcpward.sdk.errors import StatementRefused

#: Not a backslash: in MySQL it would escape the quote that follows it.
_ESCAPE: Final = "!"
_SPECIAL: Final = re.compile(r"[!%_]")
_CLAUSE: Final = re.compile(r"ESCAPE\s+'!'", re.IGNORECASE)


class LikePattern(str):
    """A pattern for ``LIKE :name ESCAPE '!'``."""

    __slots__ = ()


def like(text: str, at: Literal["anywhere", "start", "end"] = "anywhere") -> LikePattern:
    """Return the pattern that finds ``text`` in a column: ``name LIKE :pattern ESCAPE '!'``, alike on every database.

    ``at`` is where the text must stand. A statement without ``ESCAPE '!'`` is refused.
    """
    escaped = _SPECIAL.sub(lambda found: _ESCAPE + found[0], text)
    before, after = "" if at == "start" else "%", "" if at == "end" else "%"
    return LikePattern(f"{before}{escaped}{after}")


def require_escape(name: str, value: Any, statement: Statement) -> None:
    """Raise :class:`StatementRefused` if a pattern goes into a statement that would read its escapes as letters."""
    if isinstance(value, LikePattern) and not _CLAUSE.search(statement.text):
        raise StatementRefused(f"the parameter :{name} is a pattern of like(): write LIKE :{name} ESCAPE '!'")
