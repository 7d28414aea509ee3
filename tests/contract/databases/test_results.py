"""Lists, NULLs, patterns, caps, streams and typed rows mean the same on SQLite, PostgreSQL and MariaDB."""

from collections.abc import AsyncIterator
from datetime import date
from enum import StrEnum

import pytest
from pydantic import BaseModel

from mcpward import Changed, Database, DatabaseFailed, RowList, StatementRefused, ToolError, like
from support.databases import KINDS, Place, empty_database

WRITING = {
    "sqlite": "WITH x AS (SELECT 'new' AS a) INSERT INTO products (name) SELECT a FROM x RETURNING id",
    "postgresql": "WITH x AS (INSERT INTO products (name) VALUES ('new') RETURNING id) SELECT id FROM x",
    "mysql": "WITH x AS (SELECT 1 AS a) DELETE FROM products WHERE id IN (SELECT a FROM x)",
}
NUMBERED = {
    "sqlite": "INTEGER PRIMARY KEY",
    "postgresql": "SERIAL PRIMARY KEY",
    "mysql": "INT AUTO_INCREMENT PRIMARY KEY",
}
NAMES = ("lamp", "chair", "table", "o'clock", "50%")


class Product(BaseModel):
    id: int
    name: str


@pytest.fixture(params=KINDS)
def place(request, tmp_path) -> Place:
    made, numbered = empty_database(request, tmp_path), NUMBERED[request.param]
    made.run(f"CREATE TABLE products (id {numbered}, name VARCHAR(50) NOT NULL UNIQUE, kind VARCHAR(9), since DATE)")
    rows = ", ".join(f"('{name.replace(chr(39), chr(39) * 2)}', '{'ab'[n % 2]}', '2026-01-0{n + 1}')"
                     for n, name in enumerate(NAMES))  # fmt: skip
    made.run(f"INSERT INTO products (name, kind, since) VALUES {rows}")
    made.run("UPDATE products SET kind = NULL WHERE id = 5")
    return made


@pytest.fixture
async def db(place) -> AsyncIterator[Database]:
    db = Database(place.url, read_only=False, row_cap=100)
    yield db
    await db.close()


def ids(rows) -> list[int]:
    return [row["id"] for row in rows]


@pytest.mark.parametrize("given,found", [([1, 3, 99], [1, 3]), ((2,), [2]), (set(), []), (frozenset({5}), [5])])
async def test_a_list_of_numbers(db, given, found):
    assert ids(await db.query("SELECT id FROM products WHERE id IN :ids ORDER BY id", ids=given)) == found
    assert ids(await db.query("SELECT id FROM products WHERE id IN (:ids) ORDER BY id", ids=given)) == found
    others = [number for number in range(1, 6) if number not in found]
    assert ids(await db.query("SELECT id FROM products WHERE id NOT IN :ids ORDER BY id", ids=given)) == others


@pytest.mark.parametrize("given,found", [(["lamp", "o'clock"], [1, 4]), ([], []), (["') OR 1=1 --"], [])])
async def test_a_list_of_texts_beside_other_parameters(db, given, found):
    sql = "SELECT id FROM products WHERE (name IN :names AND id < :most) OR id = :most - 101 ORDER BY id"
    assert ids(await db.query(sql, names=given, most=100)) == found


async def test_a_list_of_dates(db):
    sql = "SELECT id FROM products WHERE since IN :days ORDER BY id"
    assert ids(await db.query(sql, days=[date(2026, 1, 2), date(2026, 1, 9)])) == [2]
    assert ids(await db.query(sql, days=[])) == []


async def test_a_list_in_a_change(db):
    assert await db.execute("DELETE FROM products WHERE id IN :ids", ids=[]) == 0
    assert await db.execute("DELETE FROM products WHERE id IN :ids", ids=[1, 2]) == 2


@pytest.mark.parametrize("given", ["a", None])
async def test_a_condition_that_null_leaves_out(db, given):
    expected = [1, 3] if given else [1, 2, 3, 4, 5]
    for sql in (
        "SELECT id FROM products WHERE (:kind IS NULL OR kind = :kind) ORDER BY id",
        "SELECT id FROM products WHERE kind = :kind OR :kind IS NULL ORDER BY id",
        "SELECT id FROM products WHERE NOT (:kind IS NOT NULL AND (kind <> :kind OR kind IS NULL)) ORDER BY id",
    ):
        assert ids(await db.query(sql, kind=given)) == expected, sql


@pytest.mark.parametrize("given,found", [(date(2026, 1, 4), [4, 5]), (None, [1, 2, 3, 4, 5])])
async def test_null_for_a_date_and_for_a_number(db, given, found):
    sql = "SELECT id FROM products WHERE (:since IS NULL OR since >= :since) AND (:id IS NULL OR id > :id) ORDER BY id"
    assert ids(await db.query(sql, since=given, id=None)) == found
    assert ids(await db.query(sql, since=given, id=4)) == [5]


async def test_whether_a_parameter_is_null_by_itself(db):
    assert ids(await db.query("SELECT id FROM products WHERE :a IS NULL AND id = 1", a=None)) == [1]
    assert ids(await db.query("SELECT id FROM products WHERE :a IS NULL AND id = 1", a=3)) == []


@pytest.mark.parametrize("ids,found", [(None, [1, 2, 3, 4, 5]), ([], []), ([2, 4], [2, 4])])
async def test_a_list_that_null_leaves_out(db, ids, found):
    rows = await db.query("SELECT id FROM products WHERE :ids IS NULL OR id IN :ids ORDER BY id", ids=ids)
    assert [row["id"] for row in rows] == found
    rows = await db.query("SELECT id FROM products WHERE (:ids IS NULL OR id IN (:ids)) ORDER BY id", ids=ids)
    assert [row["id"] for row in rows] == found
    rows = await db.query("SELECT id FROM products WHERE :ids IS NOT NULL AND id IN :ids ORDER BY id", ids=ids)
    assert [row["id"] for row in rows] == (found if ids is not None else [])


class Statements(StrEnum):
    LAMP = "SELECT id FROM products WHERE name = 'lamp'"


async def test_a_statement_may_be_a_member_of_an_enum(db):
    assert await db.query(Statements.LAMP) == [{"id": 1}]


async def test_null_in_place_of_a_list_finds_nothing(db):
    assert await db.query("SELECT id FROM products WHERE id IN :ids", ids=None) == []
    assert await db.query("SELECT id FROM products WHERE id NOT IN :ids", ids=None) == []


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_casts_arrays_and_slices_of_postgresql_are_no_names(db):
    rows = await db.query("SELECT :number::int AS n, :x::text AS t", number=7, x="y")
    assert rows == [{"n": 7, "t": "y"}]
    rows = await db.query("SELECT id FROM products WHERE name = ANY(ARRAY[:a, :b]) ORDER BY id", a="lamp", b="table")
    assert [row["id"] for row in rows] == [1, 3]
    rows = await db.query("SELECT (ARRAY[1, 2, 3])[1:CAST(:upto AS int)] AS part", upto=2)
    assert rows == [{"part": [1, 2]}]


async def test_the_byte_cap_counts_bytes_and_those_of_arrays(place):
    db = Database(place.url, byte_cap=1000)
    try:
        with pytest.raises(ToolError, match="1000 bytes"):
            await db.query("SELECT :text AS text", text="\N{GRINNING FACE}" * 300)
        if place.kind == "postgresql":
            with pytest.raises(ToolError, match="1000 bytes"):
                await db.query("SELECT array_agg(repeat(name, 100)) AS names FROM products")
    finally:
        await db.close()


async def test_null_is_stored_and_found(db):
    assert await db.execute("UPDATE products SET kind = :kind, since = :since WHERE id = 1", kind=None, since=None) == 1
    assert await db.query("SELECT kind, since FROM products WHERE id = 1") == [{"kind": None, "since": None}]


async def test_a_pattern_finds_wildcards_as_letters_and_needs_its_escape(db):
    sql = "SELECT id FROM products WHERE name LIKE :part ESCAPE '!' ORDER BY id"
    assert ids(await db.query(sql, part=like("%"))) == [5]
    assert ids(await db.query(sql, part=like("o'", at="start"))) == [4]
    assert ids(await db.query(sql, part=like("le", at="end"))) == [3]
    with pytest.raises(StatementRefused, match="ESCAPE '!'"):
        await db.query("SELECT id FROM products WHERE name LIKE :part", part=like("%"))


async def test_more_than_the_caps_is_refused_or_truncated_and_says_so(place):
    db = Database(place.url, row_cap=3, byte_cap=14)
    with pytest.raises(ToolError, match="more than 3 rows"):
        await db.query("SELECT id FROM products")
    with pytest.raises(ToolError, match="more than 14 bytes"):
        await db.query("SELECT name, kind FROM products WHERE id <= 3")
    cut = await db.query("SELECT id FROM products ORDER BY id", on_cap="truncate")
    assert (ids(cut), cut.truncated, type(cut)) == ([1, 2, 3], True, RowList)
    typed = await db.query("SELECT id, name FROM products ORDER BY id", on_cap="truncate", into=Product)
    assert ([one.name for one in typed], typed.truncated) == (["lamp", "chair", "table"], True)
    cut = await db.query("SELECT name FROM products WHERE id IN :ids", ids=[4, 5], on_cap="truncate")
    assert (len(cut), cut.truncated) == (2, False)
    with pytest.raises(StatementRefused, match="on_cap"):
        await db.query("SELECT 1 AS one", on_cap="cut")  # type: ignore[call-overload]  # the mistake that is tested
    await db.close()


async def test_a_stream_has_no_cap_and_holds_few_rows_at_a_time(place):
    many = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO products (name) SELECT 'p' || i FROM n",
        "postgresql": "INSERT INTO products (name) SELECT 'p' || i FROM generate_series(1, 5000) i",
        "mysql": "INSERT INTO products (name) SELECT CONCAT('p', seq) FROM seq_1_to_5000",
    }
    if place.kind == "mysql":
        place.run("INSERT INTO products (name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                  "WHERE i < 900) SELECT CONCAT('p', i) FROM n")  # fmt: skip
    else:
        place.run(many[place.kind])
    db = Database(place.url, row_cap=10, byte_cap=10, max_concurrency=1)
    seen = [row async for row in db.stream("SELECT id, name FROM products ORDER BY id", into=Product)]
    assert [one.id for one in seen] == list(range(1, len(seen) + 1))
    assert len(seen) > 900
    async for row in db.stream("SELECT id FROM products WHERE id > :id ORDER BY id", id=3):
        assert row == {"id": 4}
        break
    assert ids(await db.query("SELECT id FROM products WHERE id = 1")) == [1]
    with pytest.raises(DatabaseFailed):
        _ = [row async for row in db.stream("SELECT nmae FROM products")]
    with pytest.raises(StatementRefused):
        _ = [row async for row in db.stream("DELETE FROM products")]
    await db.close()


async def test_returned_rows_are_typed_and_a_row_that_does_not_fit_changes_nothing(place, db):
    added = await db.execute("INSERT INTO products (name) VALUES (:name) RETURNING id, name", name="x", into=Product)
    assert isinstance(added, Changed)
    assert (added, added.rows) == (1, [Product(id=6, name="x")])
    with pytest.raises(DatabaseFailed, match="does not fit Product"):
        await db.execute("INSERT INTO products (name) VALUES ('y') RETURNING name", into=Product)
    assert ids(await db.query("SELECT id FROM products WHERE name = 'y'")) == []


async def test_a_with_that_writes_is_refused_and_not_lost(place, db):
    with pytest.raises(DatabaseFailed) as refused:
        await db.query(WRITING[place.kind])
    hint = "execute()" if place.kind != "mysql" else "client"  # MariaDB reads no such statement at all
    assert any(note.startswith("hint: ") and hint in note for note in refused.value.__notes__)
    assert ids(await db.query("SELECT id FROM products ORDER BY id")) == [1, 2, 3, 4, 5]
