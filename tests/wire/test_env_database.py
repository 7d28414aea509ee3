"""``Database(env.URL)`` while the password of its role is changed: calls go on, and the old connections end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from support.postgres import PostgresServer
from support.ward import LAVISH, Ward, serving

TOOLS = '''
from mcpward import Database, Server, env

server = Server("shop")
db = Database(env.SHOP_DATABASE_URL, max_concurrency=4, timeout_s=8)


@server.tool(read_only=True, concurrency=8)
async def pid(seconds: float) -> int:
    """The process of the database that serves this connection."""
    rows = await db.query("SELECT pg_backend_pid() AS pid FROM pg_sleep(:seconds)", seconds=seconds)
    return rows[0]["pid"]
'''
SERVER = f'[servers.shop]\nsource = "shop.py"\nmode = "public"\n[servers.shop.limits]\nconcurrency = 50\n{LAVISH}'


class Rotated:
    """A site whose database URL is a mounted file, and the role that it names."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self._mounted = folder / "mounted"
        self._mounted.mkdir(parents=True)
        self.database = server.create()
        self.role = server.create_role(self.database, "canary-old-password")
        self.mount("canary-old-password")
        self.ward: Ward

    def url(self, password: str) -> str:
        return f"postgresql://{self.role}:{password}@127.0.0.1:{self._server.port}/{self.database}"

    def mount(self, password: str) -> None:
        """Put a URL with this password in the place of the file."""
        (self._mounted / ".new").write_text(self.url(password))
        (self._mounted / ".new").rename(self._mounted / "SHOP_DATABASE_URL")

    def change_password(self, password: str) -> None:
        self._server.sql(f"ALTER ROLE {self.role} PASSWORD '{password}'")

    def call(self, seconds: float) -> int:
        """Return the connection that a call ran on; 0 if it failed."""
        answer = self.ward.call("pid", {"seconds": seconds}, path="/mcp").json()["result"]
        return 0 if answer.get("isError") else answer["structuredContent"]["result"]

    def connected(self) -> set[int]:
        """Return the connections that the database has of this role."""
        rows = self._server.sql(f"SELECT pid FROM pg_stat_activity WHERE usename = '{self.role}'")
        return set(map(int, rows.split()))


@pytest.fixture(scope="module")
def site(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotated]:
    folder = tmp_path_factory.mktemp("rotated")
    rotated = Rotated(postgres_server, folder)
    (folder / "shop.py").write_text(TOOLS)
    with serving(folder, '[secrets]\nfiles = ["mounted"]\n', SERVER) as ward:
        rotated.ward = ward
        yield rotated


def test_a_changed_password_fails_no_call_and_leaves_no_old_connection(site):
    with ThreadPoolExecutor(4) as pool:
        old = set(pool.map(site.call, [0.3] * 4))
        assert len(old) == 4
        over = Event()

        def keep_calling() -> list[int]:
            ran = []
            while not over.is_set():
                ran.append(site.call(0.02))
            return ran

        callers = [pool.submit(keep_calling) for _ in range(3)]
        long = pool.submit(site.call, 4.0)  # begun with the old password, over after it is gone
        site.change_password("canary-new-password")
        site.mount("canary-new-password")
        running = long.result()
        over.set()
        ran = [pid for caller in callers for pid in caller.result()]
    assert 0 not in ran
    assert running in old
    assert {*ran} - old
    assert not site.connected() & old
    assert site.connected() <= {*ran}


def test_new_connections_use_the_new_secret_and_no_other(site):
    site.mount("canary-of-a-password-that-is-wrong")
    tries = [site.call(0.0)]
    while tries[-1] and len(tries) < 400:
        tries.append(site.call(0.02))
    assert tries[-1] == 0
    site.mount("canary-new-password")
    while not tries[-1] and len(tries) < 400:
        tries.append(site.call(0.02))
    assert tries[-1] > 0
    assert "canary" not in site.ward.log()


def test_a_url_that_is_saved_in_the_vault_takes_new_connections_at_once(site):
    old = {site.call(0.0)}
    site.change_password("canary-of-the-vault")
    site.ward.cli("secret", "set", "SHOP_DATABASE_URL", "--server", "shop", input=site.url("canary-of-the-vault"))
    ran = [site.call(0.0)]
    while ran[-1] in old and len(ran) < 400:
        ran.append(site.call(0.02))
    assert 0 not in ran
    assert ran[-1] not in old
    assert site.connected() <= {*ran} - old
