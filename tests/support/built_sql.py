# ruff: noqa: E501  # bodies of tools, as an author may write them
"""Ways in which a tool's code makes SQL of an argument, each the body of one tool; and honest dynamic statements."""

from textwrap import dedent
from typing import Final

#: ``given`` is the tool's argument. HELPER is another module beside the tool's.
HOSTILE: Final = {
    "f-string": """return await db.query(f"SELECT name FROM products WHERE name = '{given}'")""",
    "percent": """return await db.query("SELECT name FROM products WHERE name = '%s'" % given)""",
    "plus": """return await db.query("SELECT name FROM products WHERE name = '" + given + "'")""",
    "added to": """
        text = "SELECT name FROM products WHERE name = '"
        text += given + "'"
        return await db.query(text)""",
    "format": """return await db.query("SELECT name FROM products WHERE name = '{}'".format(given))""",
    "format_map": """return await db.query("SELECT name FROM products WHERE name = '{g}'".format_map({"g": given}))""",
    "join": """return await db.query("'".join(["SELECT name FROM products WHERE name = ", given, ""]))""",
    "replace": """return await db.query("SELECT name FROM products WHERE name = 'X'".replace("X", given))""",
    "Template": """
        text = string.Template("SELECT name FROM products WHERE name = '$g'")
        return await db.query(text.substitute(g=given))""",
    "a helper in another module": """return await db.query(helper.built(given))""",
    "a helper that runs it": """return await helper.run(db, given)""",
    "a class attribute": """
        Texts.one = f"SELECT name FROM products WHERE name = '{given}'"
        return await db.query(Texts.one)""",
    "a walrus": """return await db.query(text := "SELECT name FROM products WHERE name = '" + given + "'")""",
    "a subclass of str": """return await db.query(Same(f"SELECT name FROM products WHERE name = '{given}'"))""",
    "a subclass of str, read at once": """
        text = Same("SELECT name FROM products")
        text.__dict__["rest"] = given
        return await db.query(text)""",
    "bytes": """
        raw = b"SELECT name FROM products WHERE name = '" + given.encode() + b"'"
        return await db.query(raw.decode())""",
    "eval": """return await db.query(eval(repr("SELECT name FROM products WHERE name = '" + given + "'")))""",
    "a function of exec": """
        code = "async def made(db):\\n    return await db.query(" + repr("SELECT 1 AS a -- " + given) + ")"
        names = {}
        exec(code, names)
        return await names["made"](db)""",
    "a function of compile, under the name of this file": """
        code = "async def made(db):\\n    return await db.query(" + repr("SELECT 1 AS a -- " + given) + ")"
        names = {"__name__": __name__, "__file__": __file__}
        exec(compile(code, __file__, "exec"), names)
        globals()["made"] = names["made"]
        return await made(db)""",
    "a module made by hand": """
        text = "SELECT 1 AS a -- " + given
        module = types.ModuleType("made_by_hand")
        module.__file__ = __file__
        exec("SQL = " + repr(text), vars(module))
        sys.modules["made_by_hand"] = module
        return await db.query(module.SQL)""",
    "sys.intern": """return await db.query(sys.intern("SELECT name FROM products WHERE name = '" + given + "'"))""",
    "getattr": """
        build = getattr(getattr(builtins, "str"), "for" + "mat")
        return await db.query(build("SELECT name FROM products WHERE name = '{}'", given))""",
    "an edited constant": """
        text = "SELECT name FROM products WHERE name = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"
        await db.query(text)
        part = given.encode()[:47]
        at = id(text) + sys.getsizeof(text) - 1 - len(part) - 1
        ctypes.memmove(at, part, len(part))
        return await db.query(text)""",
    "edited code": """
        found = tuple("SELECT 1 AS a -- " + given if one == "SELECT 1 AS a" else one for one in one_row.__code__.co_consts)
        one_row.__code__ = one_row.__code__.replace(co_consts=found)
        return await one_row()""",
    "sql with an argument": """return await db.query(sql(given))""",
    "sql with an f-string": """return await db.query(sql("SELECT name FROM products") + sql(f"WHERE name = '{given}'"))""",
    "sql with an argument in its braces": """
        return await db.query(sql("SELECT name FROM products ORDER BY {by}", by=given))""",
    "sql by hand": """
        made = sql.__new__(sql)
        made._nodes = (("SELECT name FROM products WHERE name = '" + given + "'", {}),)
        return await db.query(made)""",
    "a subclass of sql": """
        made = Mine("SELECT 1 AS a")
        made._nodes = (("SELECT 1 AS a -- " + given, {}),)
        return await db.query(made)""",
    "pickle": """
        made = sql("SELECT 1 AS a")
        raw = pickle.dumps(made, 5).replace(b"\\x8c\\x0dSELECT 1 AS a", b"\\x8c\\x16SELECT 1 AS a /*" + given.encode()[:4] + b"*/")
        return await db.query(pickle.loads(raw))""",
    "sql of a file that is named by the argument": """return await db.query(sql.file(given))""",
    "an Identifier of the argument": """
        one = re.sub("[^a-z0-9_]", "", given)
        return await db.query(sql("SELECT {by} FROM products", by=Identifier(one)(one)))""",
    "a name by hand": """
        by = Identifier("name")("name")
        by.text = given
        return await db.query(sql("SELECT {by} FROM products", by=by))""",
    "an attribute of a module": """
        helper.ALL = "SELECT name FROM products WHERE name = '" + given + "'"
        return await db.query(helper.ALL)""",
    "a piece of a constant": """return await db.query("SELECT name FROM products WHERE name = 'a' OR 1=1"[: -len(given)])""",
    "a parameter": """return await db.query(given)""",
    "a parameter of another function": """return await rows_of(given)""",
    "a stream": """return [row async for row in db.stream(f"SELECT name FROM products WHERE name = '{given}'")]""",
    "a transaction": """
        async with db.transaction() as tx:
            return await tx.query(f"SELECT name FROM products WHERE name = '{given}'")""",
    "a default that is changed": """
        fixed.__defaults__ = ("SELECT 1 AS a -- " + given,)
        return await fixed()""",
}  # fmt: skip

_TOP: Final = '''
import builtins, ctypes, pickle, re, string, sys, types
from typing import Annotated, Any
from pydantic import Field
import HELPER as helper
from mcpward import Database, Identifier, Server, like, sql

server = Server("shop")
db = Database("URL", read_only=False)


class Texts:
    one = "SELECT name FROM products"


class Same(str):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash("SELECT name FROM products")


class Mine(sql):
    __slots__ = ()


async def one_row():
    return await db.query("SELECT 1 AS a")


async def rows_of(text):
    return await db.query(text)


async def fixed(text="SELECT 1 AS a"):
    return await db.query(text)


@server.tool()
async def known() -> list[dict[str, Any]]:
    """The known."""
    return await db.query("SELECT name FROM products")


@server.tool()
async def attack(given: Annotated[str, Field(max_length=4000)]) -> list[dict[str, Any]]:
    """The rows."""
'''
HELPER: Final = """
ALL = "SELECT name FROM products"


def built(given):
    return "SELECT name FROM products WHERE name = '" + given + "'"


async def run(db, given):
    return await db.query(f"SELECT name FROM products WHERE name = '{given}'")
"""


def hostile_source(body: str, url: str, helper: str) -> str:
    """Return the source of a server whose tool ``attack`` has that body."""
    top = _TOP.replace("URL", url).replace("HELPER", helper)
    return top + "\n".join(f"    {line}" for line in dedent(body).strip().splitlines()) + "\n"


HONEST: Final = '''
from typing import Annotated, Any, Literal
from pydantic import BaseModel
from mcpward import Database, Identifier, Limit, Server, like, sql

server = Server("shop")
db = Database("URL", read_only=False)
SORT = Identifier("name", "id", cheapest="stock")
TABLE = Identifier("products", "shelves")
WAY = {"asc": sql("ASC"), "desc": sql("DESC")}
FROM = sql("SELECT id, name FROM products")
Rows = list[dict[str, Any]]


class Product(BaseModel):
    id: int
    name: str


@server.tool(read_only=True)
async def sorted_by(sort: Annotated[str, SORT] = "name") -> Rows:
    """A chosen column."""
    return await db.query(sql("SELECT id, name FROM products ORDER BY {column}", column=SORT(sort)))


@server.tool(read_only=True)
async def directed(sort: Annotated[str, SORT] = "name", way: Literal["asc", "desc"] = "desc") -> Rows:
    """A chosen column and direction."""
    return await db.query(FROM + sql("ORDER BY {column} {way}", column=SORT(sort), way=WAY[way]))


@server.tool(read_only=True)
async def filtered(name: str | None = None, least: int | None = None) -> list[Product]:
    """Optional conditions."""
    where = sql.where(
        sql("name = :name") if name is not None else None, sql("stock >= :least") if least is not None else None
    )
    return await db.query(FROM + where + sql("ORDER BY id"), name=name, least=least, into=Product)


@server.tool(read_only=True)
async def counted(table: Annotated[str, TABLE]) -> Rows:
    """A chosen table."""
    return await db.query(sql("SELECT count(*) AS n FROM {table}", table=TABLE(table)))


@server.tool(read_only=True)
async def chosen(columns: list[Annotated[str, SORT]]) -> Rows:
    """Chosen columns."""
    listed = sql(",").join(sql("{c}", c=SORT(one)) for one in columns)
    return await db.query(sql("SELECT {columns} FROM products ORDER BY id", columns=listed))


@server.tool(read_only=True)
async def either(names: list[str]) -> Rows:
    """Any number of alternatives, and a list."""
    return await db.query("SELECT id, name FROM products WHERE name IN :names ORDER BY id", names=names)


@server.tool(read_only=True)
async def maybe(name: str | None = None) -> Rows:
    """One statement for both."""
    return await db.query(
        "SELECT id, name FROM products WHERE (:name IS NULL OR name = :name) ORDER BY id", name=name
    )


@server.tool(read_only=True)
async def search(words: str) -> Rows:
    """A part of a name."""
    return await db.query(
        "SELECT id, name FROM products WHERE name LIKE :words ESCAPE '!' ORDER BY id", words=like(words)
    )


@server.tool(read_only=True)
async def from_file(least: int) -> Rows:
    """SQL that stands in a file."""
    return await db.query(sql.file("stock.sql"), least=least)


@server.tool(read_only=True)
async def paged(sort: Annotated[str, SORT] = "id", limit: Annotated[int, Limit(max=10)] = 1, skip: int = 0) -> Rows:
    """A page in a chosen order, by adding to a text."""
    query = FROM
    query += sql("ORDER BY {column}", column=SORT(sort))
    query += sql("LIMIT :limit OFFSET :skip")
    return await db.query(query, limit=limit, skip=skip)


@server.tool()
async def set_column(column: Annotated[str, Identifier("name", "stock")], id: int, to: int) -> int:
    """A change of a chosen column."""
    column = Identifier("stock")(column)
    return await db.execute(sql("UPDATE products SET {column} = :to WHERE id = :id", column=column), id=id, to=to)


@server.tool(read_only=True)
async def many() -> int:
    """A stream of a statement of parts."""
    return len([row async for row in db.stream(FROM + sql("WHERE id > :id"), id=0)])
'''
STOCK_SQL: Final = "-- what there is\nSELECT id, name FROM products\n WHERE stock >= :least\n ORDER BY id\n"
