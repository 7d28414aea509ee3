"""The asynchronous drivers of databases: which one a URL takes, and the pip package that it is part of."""

from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from mcpward.sdk.errors import DatabaseMisuse

#: What a plain name stands for.
DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
    "mariadb": "mariadb+aiomysql",
}
MYSQL: Final = frozenset({"mysql", "mariadb"})
_KNOWN: Final = 'write "sqlite:///…", "postgresql://…" or "mysql://…"'
#: Where a module is not called as the package that brings it.
_PACKAGES: Final = {"pymysql": "aiomysql"}


def require_driver(url: URL) -> None:
    """Refuse a URL whose driver is unknown, blocks, or is not installed. Raises :class:`DatabaseMisuse`."""
    try:
        dialect = url.get_dialect()
    except SQLAlchemyError:
        raise DatabaseMisuse("Database: no such database is known", hint=_KNOWN) from None
    if not dialect.is_async:
        other = DRIVERS.get(dialect.name, "").partition("+")[2]
        hint = f'write "{dialect.name}://…", and pip install {other}, where mcpward is installed' if other else _KNOWN
        raise DatabaseMisuse(f"Database: {dialect.driver} is no asynchronous driver", hint=hint)
    try:
        dialect.import_dbapi()
    except ModuleNotFoundError as missing:
        module = (missing.name or dialect.driver).partition(".")[0]
        hint = f"pip install {_PACKAGES.get(module, module)}, where mcpward is installed"
        raise DatabaseMisuse(f"Database: the driver {module} is not installed", hint=hint) from None
