"""Things that an answer must never tell a stranger: where the code lies, what it is made of, what went wrong inside."""

import re

_LEAKS = re.compile(
    rb"Traceback|File \"|line \d+, in|\.py\b|site-packages|/usr/|/tmp/|/etc/|/proc/|\.mcpward|mcpward\.db|master\.key"
    rb"|\b(?:SELECT|INSERT|UPDATE|PRAGMA) |sqlite|sqlalchemy|aiosqlite|asyncpg|uvicorn|uvloop|httptools|llhttp"
    rb"|pydantic|msgspec|structlog|CPython|Python/|asyncio|(?:Value|Type|Key|Runtime|Attribute|OS)Error"
    rb"|<(?:function|class|object) |0x[0-9a-f]{8,}|\x1b\[",
    re.IGNORECASE,
)


def leak_in(answer: bytes) -> str | None:
    """Return what leaks, or None."""
    found = _LEAKS.search(answer)
    return None if found is None else repr(answer[max(0, found.start() - 40) : found.end() + 40])
