"""The asynchronous drivers of databases: which one a URL takes, and the pip package that it is part of."""

from typing import Final

#: What a plain name stands for.
DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
    "mariadb": "mariadb+aiomysql",
}
MYSQL: Final = frozenset({"mysql", "mariadb"})
#: Where a module is not called as the package that brings it.
_PACKAGES: Final = {"pymysql": "aiomysql"}


def package_of(module: str) -> str:
    """Return the pip package that brings a driver's module."""
    return _PACKAGES.get(module, module)
