"""The asynchronous drivers of databases: which one a URL takes, and the pip package that it is part of."""

from typing import Final

#: The drivers of plain names.
DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
    "mariadb": "mariadb+aiomysql",
}
MYSQL: Final = frozenset({"mysql", "mariadb"})
#: Modules whose names differ from the packages that bring them.
_PACKAGES: Final = {"pymysql": "aiomysql"}


def package_of(module: str) -> str:
    """Return the pip package that brings a driver's module."""
    return _PACKAGES.get(module, module)
