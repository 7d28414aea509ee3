"""An empty database for tools on each kind of database, and how a test runs statements there as itself."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

KINDS = ("sqlite", "postgresql", "mysql")
_SERVERS = {"postgresql": "postgres_server", "mysql": "mariadb_server"}


@dataclass(frozen=True)
class Place:
    """Where a database is. ``run`` runs one statement there."""

    kind: str
    url: str
    run: Callable[[str], object]


def empty_database(request: pytest.FixtureRequest, folder: Path) -> Place:
    """Make a database of the kind that the fixture's parameter names."""
    kind = request.param
    if kind == "sqlite":
        file = folder / "tools.db"

        def run(statement: str) -> object:
            with closing(sqlite3.connect(file)) as connection, connection:
                return connection.execute(statement).fetchall()

        return Place(kind, f"sqlite:///{file}", run)
    server = request.getfixturevalue(_SERVERS[kind])
    name = server.create()
    return Place(kind, server.url(name), lambda statement: server.sql(statement, name))
