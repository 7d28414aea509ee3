"""Attacks 68, 71 and 72: values that would break out of a statement, and statements that would break out of a tool.

Every payload goes through every string argument of a search, over HTTP, on SQLite, PostgreSQL and MariaDB: the answer
is that of a literal look-up. Sources: PayloadsAllTheThings, SQL injection; CWE-89; CAPEC-66, CAPEC-7 (blind).
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from mcpward import Database, StatementRefused
from support.leak import leak_in
from support.ward import LAVISH, Ward, serving

TOOLS = '''
import asyncio
from typing import Annotated
from pydantic import Field
from mcpward import Database, Server, like

server = Server("shop")
db = Database("URL", timeout_s=20)
Text = Annotated[str, Field(max_length=400)]
Texts = Annotated[list[Text], Field(max_length=200)]


async def found(name: str, city: str, part: str, either: list[str]) -> list[list[int]]:
    rows = await db.query(
        """
        SELECT 1 AS by_column, id FROM people WHERE name = :name
         UNION ALL SELECT 2, id FROM people WHERE (:city IS NULL OR city = :city)
         UNION ALL SELECT 3, id FROM people WHERE name LIKE :part ESCAPE '!'
         UNION ALL SELECT 4, id FROM people WHERE city IN :either
         ORDER BY 1, 2
        """,
        name=name, city=city, part=like(part), either=either,
    )
    return [[row["id"] for row in rows if row["by_column"] == column] for column in (1, 2, 3, 4)]


@server.tool(read_only=True, deadline_s=60)
async def search(names: Texts, cities: Texts, parts: Texts, either: Texts) -> list[list[list[int]]]:
    """Search for many people, each by name, city, a part of the name, and one of some cities."""
    return [
        await found(name, city, part, [one, "nowhere"])
        for name, city, part, one in zip(names, cities, parts, either, strict=True)
    ]


@server.tool(read_only=True)
async def one(name: Text, city: Text, part: Text, either: Text) -> list[list[int]]:
    """Search for one."""
    return await found(name, city, part, [either])
'''
NEAR = (
    "O'Brien", "1 OR 2 people", "rock & roll; blues", "50% off", "snake_case", "select committee", "Drop table lamp",
    "Where's Waldo?", 'the "union" of 1801', "-- dash", "C:\\temp", "a=b", "100%", "l'été", "order by phone", "#1 fan",
)  # fmt: skip
BATCH = 150


@dataclass(frozen=True)
class Shop:
    """A site whose people have payloads as names and cities."""

    ward: Ward
    kind: str
    people: Sequence[tuple[int, str, str]]
    left: Callable[[], int]

    def expected(self, text: str) -> list[list[int]]:
        """A literal look-up, by Python."""
        fold = str.lower if self.kind == "sqlite" else str  # its LIKE takes ASCII letters in both cases
        by_city = [number for number, _, city in self.people if city == text]
        return [
            [number for number, name, _ in self.people if name == text],
            by_city,
            [number for number, name, _ in self.people if fold(text) in fold(name)],
            by_city,
        ]


def texts_of(corpora: Path) -> list[str]:
    payloads = json.loads((corpora / "sql_payloads.json").read_text(encoding="utf-8"))
    near = [
        NEAR[number % len(NEAR)] + (f" {number}" if number >= len(NEAR) else "") for number in range(len(payloads) // 4)
    ]
    return [*dict.fromkeys([*payloads, *near])]


def filled(kind: str, run: Callable[[str, Any], object], people: Sequence[tuple[int, str, str]]) -> None:
    exact = " COLLATE utf8mb4_nopad_bin" if kind == "mysql" else ""
    run(f"CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(400){exact}, city VARCHAR(400){exact})", ())
    marks = ", ".join(["(%s, %s, %s)"] * len(people))
    run(f"INSERT INTO people VALUES {marks}", [value for person in people for value in person])


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mysql"])
def shop(request, tmp_path_factory, corpora) -> Iterator[Shop]:
    kind, texts = request.param, texts_of(corpora)
    people = [(number, name, texts[-number]) for number, name in enumerate(texts[::9], 1)]
    folder = tmp_path_factory.mktemp("payloads") / "site"
    with serving(
        folder, start=False, servers=f'[servers.demo]\nsource = "tools.py"\n[servers.demo.limits]\n{LAVISH}'
    ) as site:
        if kind == "sqlite":
            with closing(sqlite3.connect(folder / "shop.db")) as database, database:
                filled(kind, lambda sql, values: database.execute(sql.replace("%s", "?"), values), people)

            def left() -> int:
                with closing(sqlite3.connect(folder / "shop.db")) as database:
                    return int(database.execute("SELECT count(*) FROM people").fetchone()[0])

            url = "sqlite:///shop.db"
        else:
            server = request.getfixturevalue("postgres_server" if kind == "postgresql" else "mariadb_server")
            name = server.create()
            filled(kind, partial(run_with, server, kind, name), people)
            url, left = server.url(name), partial(count_of, server, name)
        (folder / "tools.py").write_text(TOOLS.replace("URL", url))
        site.key = site.create_key()
        yield Shop(site.start(), kind, people, left)


def run_with(server: Any, kind: str, name: str, sql: str, values: Sequence[Any]) -> None:
    def literal(value: Any) -> str:
        if isinstance(value, int):
            return str(value)
        raw = value.encode().hex()
        return f"convert_from('\\x{raw}', 'UTF8')" if kind == "postgresql" else f"CONVERT(X'{raw}' USING utf8mb4)"

    server.sql(sql % tuple(map(literal, values)) if values else sql, name)


def count_of(server: Any, name: str) -> int:
    rows = server.sql("SELECT count(*) FROM people", name)
    return int(rows if isinstance(rows, str) else rows[0][0])


def searched(shop: Shop, texts: Sequence[str]) -> list[list[list[int]]]:
    answer = shop.ward.call("search", {name: list(texts) for name in ("names", "cities", "parts", "either")})
    assert leak_in(answer.content) is None
    result = answer.json()["result"]
    assert not result.get("isError"), result
    found: list[list[list[int]]] = result["structuredContent"]["result"]
    return found


def test_attack_68_every_payload_is_looked_up_as_it_is_in_every_argument(shop: Shop, corpora: Path) -> None:
    texts = texts_of(corpora)
    assert len(texts) > 1600
    for begin in range(0, len(texts), BATCH):
        part = texts[begin : begin + BATCH]
        for text, found in zip(part, searched(shop, part), strict=True):
            assert found == shop.expected(text), text
    assert shop.left() == len(shop.people)


def test_attack_68_one_call_for_each_of_some_payloads_says_the_same(shop: Shop, corpora: Path) -> None:
    for text in texts_of(corpora)[::40]:
        answer = shop.ward.call("one", dict.fromkeys(("name", "city", "part", "either"), text))
        assert leak_in(answer.content) is None
        assert answer.json()["result"]["structuredContent"]["result"] == shop.expected(text), text


def test_attack_68_a_true_and_a_false_condition_get_the_same_answer(shop: Shop, corpora: Path) -> None:
    planted = {text for _, name, city in shop.people for text in (name, city)}
    true = [text for text in texts_of(corpora) if "1=1" in text and text not in planted]
    false = [text.replace("1=1", "1=2") for text in true]
    assert len(true) > 50
    for begin in range(0, len(true), BATCH):
        yes, no = (searched(shop, texts[begin : begin + BATCH]) for texts in (true, false))
        assert [(row[0], row[1], row[3]) for row in yes] == [(row[0], row[1], row[3]) for row in no]


def test_attack_68_harmless_texts_that_look_like_sql_are_not_refused(shop: Shop) -> None:
    for text in NEAR:
        assert searched(shop, [text]) == [shop.expected(text)]


CANARY = Path(gettempdir()) / "mcpward-canary-72"
REFUSED = re.compile(
    "not authorized|denied|must be superuser|syntax|READ ONLY|no such function|does not exist", re.IGNORECASE
)
STACKED = "SELECT 1; COMMIT; DROP TABLE people"
OUTSIDE = (
    "ATTACH DATABASE 'x.db' AS x",
    "SELECT load_extension('x')",
    "SELECT pg_read_file('/etc/passwd')",
    f"COPY people TO PROGRAM 'touch {CANARY}'",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE people",
    f"SELECT name FROM people INTO OUTFILE '{CANARY}'",
    "SELECT load_file('/etc/passwd')",
)


@pytest.mark.parametrize("read_only", [True, False])
async def test_attack_71_stacked_statements_are_refused_by_us_and_by_the_database_alone(shop: Shop, read_only: bool):
    db = Database(url_of(shop), read_only=read_only)
    with pytest.raises(StatementRefused, match="one statement"):
        await db.query(STACKED)
    await db.query("SELECT 1 AS one")
    async with db._opened().connect() as connection:
        with pytest.raises(Exception, match=r"(?i)syntax|one statement|multiple"):
            await connection.exec_driver_sql(STACKED)
    if read_only and shop.kind == "sqlite":
        async with db._opened().connect() as connection:
            with pytest.raises(Exception, match=r"(?i)not authorized|readonly"):
                await connection.exec_driver_sql("DROP TABLE people")
    await db.close()
    assert shop.left() == len(shop.people)


@pytest.mark.parametrize("sql", OUTSIDE)
async def test_attack_72_files_programs_and_extensions_are_out_of_reach(shop: Shop, sql: str, request):
    """By the text, and by the database: the locked connection of SQLite, the role, the account's rights."""
    options: dict[str, Any] = {"role": "outside"} if shop.kind == "postgresql" else {}
    if options:
        outside = "DO $$BEGIN CREATE ROLE outside NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END$$"
        request.getfixturevalue("postgres_server").sql(outside)
    url = url_of(shop)
    if shop.kind == "mysql":  # an account for one database, which may read no files
        server = request.getfixturevalue("mariadb_server")
        server.sql("CREATE USER IF NOT EXISTS shop@'127.0.0.1'")
        server.sql(f"GRANT ALL ON {url.rpartition('/')[2]}.* TO shop@'127.0.0.1'")
        url = url.replace("root@", "shop@")
    db = Database(url, read_only=False, **options)
    for run in (db.query, db.execute):
        with pytest.raises(StatementRefused):
            await run(sql)
    await db.query("SELECT 1 AS one")
    async with db._opened().connect() as connection:
        if options:
            await connection.exec_driver_sql("SET LOCAL ROLE outside")
        assert await is_refused(connection, sql)
    await db.close()
    assert not CANARY.exists()


async def is_refused(connection: Any, sql: str) -> bool:
    """Whether the database itself refuses, or answers NULL, as load_file() does to an account without the right."""
    try:
        result = await connection.exec_driver_sql(sql)
    except Exception as error:  # noqa: BLE001  # of any of three drivers
        return REFUSED.search(str(error)) is not None
    return result.returns_rows and result.fetchall() == [(None,)]


def url_of(shop: Shop) -> str:
    source = (shop.ward.folder / "tools.py").read_text()
    url = source.partition('Database("')[2].partition('"')[0]
    return url.replace("shop.db", str(shop.ward.folder / "shop.db")) if shop.kind == "sqlite" else url
