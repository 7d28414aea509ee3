"""MariaDB, from its Debian package, one server for a run of the tests and a database of its own for each that asks."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pymysql
import pytest

from support.ports import free_port
from support.wire import until

_TIMEOUT_S: Final = 60
#: What ``mariadb-install-db`` does, without the client's programs that it needs.
_TABLES: Final = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
_SHARE: Final = Path("/usr/share/mysql")
#: Durability is the disk's to show, not these tests'.
_SETTINGS: Final = (
    "--innodb-log-file-size=4M", "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0",
)  # fmt: skip


class MariaDbServer:
    """One server on the loopback interface, which takes the user ``root`` without a password."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def start(self) -> "MariaDbServer":
        """Make the system's tables and start it; return when it takes connections."""
        (self._folder / "data").mkdir(parents=True)
        tables = "\n".join((_SHARE / name).read_text(encoding="utf-8") for name in _TABLES)
        words = f"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n{tables}"
        done = subprocess.run(
            [*self._command(), "--bootstrap"],
            input=words.encode(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        log = self._folder / "log"
        listening = (f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve", *_SETTINGS)
        slots = (f"--socket={self._folder}/socket", f"--pid-file={self._folder}/pid")
        with log.open("wb") as errors:
            self._process = subprocess.Popen([*self._command(), *listening, *slots], stderr=errors, stdout=errors)
        until(lambda: "ready for connections" in log.read_text(encoding="utf-8"), seconds=_TIMEOUT_S)
        return self

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_TIMEOUT_S)

    def sql(self, statement: str, database: str = "") -> list[tuple[Any, ...]]:
        """Run a statement, and return its rows."""
        connected = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database or None, autocommit=True
        )
        with closing(connected), connected.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def create(self) -> str:
        """Make a database, and return its name."""
        name = f"test_{token_hex(8)}"
        self.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    def _command(self) -> list[str]:
        program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
        assert program, "MariaDB is missing: apt install mariadb-server-core"
        # Root must say that it means to; no other user may say so.
        account = ["--user=root"] if os.geteuid() == 0 else []
        return [program, "--no-defaults", *account, f"--datadir={self._folder}/data"]


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDbServer]:
    """MariaDB, started once for all tests of a worker."""
    folder = tmp_path_factory.mktemp("mariadb")
    server = MariaDbServer(folder)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
