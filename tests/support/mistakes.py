"""Mistakes of authors, each a file ``tools.py``; ``docs/mistakes.md`` shows what each one gets. Made into the page by
``python -m support.mistakes`` from this folder's parent.
"""

# ruff: noqa: E501  # the files are as authors write them

import asyncio
import contextlib
import functools
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mcpward.config.model import Settings
from mcpward.core.errors import Finding, Misconfigured
from mcpward.operations.sources import load_sources
from mcpward.operations.tool_sources import tool_sources_of
from mcpward.tools.bodies import remarks_of

PREAMBLE = """from datetime import date
from typing import Annotated, Any, Literal
from pydantic import BaseModel, Field
from mcpward import *
server = Server("shop")
"""
ALONE = ""  # the whole file is the mistake

MISTAKES: tuple[tuple[str, str, str], ...] = (
    (
        "an option that is spelt otherwise",
        PREAMBLE,
        '@server.tool(readonly=True)\ndef f() -> str:\n    """D."""\n    return ""\n',
    ),
    ("an option of Server that does not exist", PREAMBLE, 'server2 = Server("x", instruction="hm")\n'),
    (
        "an option of resource in another spelling",
        PREAMBLE,
        '@server.resource("shop://x", mimetype="text/plain")\ndef f() -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "an option of prompt with a slip",
        PREAMBLE,
        '@server.prompt(titel="x")\ndef f() -> str:\n    """D."""\n    return ""\n',
    ),
    ("options by place", PREAMBLE, '@server.tool("f", "Does f")\ndef f() -> str:\n    """D."""\n    return ""\n'),
    ("a parameter without annotation", PREAMBLE, '@server.tool\ndef f(x) -> str:\n    """D."""\n    return ""\n'),
    ("`*args`", PREAMBLE, '@server.tool\ndef f(*args: str) -> str:\n    """D."""\n    return ""\n'),
    ("`**kwargs`", PREAMBLE, '@server.tool\ndef f(**kw: str) -> str:\n    """D."""\n    return ""\n'),
    (
        "a class that is no schema",
        PREAMBLE,
        'class Order:\n    pass\n@server.tool\ndef f(o: Order) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a class that is no schema, returned",
        PREAMBLE,
        'class Order:\n    pass\n@server.tool\ndef f() -> Order:\n    """D."""\n    return Order()\n',
    ),
    ("a class that is no schema in a model", PREAMBLE, "class Order:\n    pass\nclass M(BaseModel):\n    o: Order\n"),
    (
        "a function as a parameter",
        PREAMBLE,
        'from collections.abc import Callable\n@server.tool\ndef f(o: Callable[[int], int]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "Limit on a text",
        PREAMBLE,
        '@server.tool\ndef f(o: Annotated[str, Limit(max=5)]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "Limit by place",
        PREAMBLE,
        '@server.tool\ndef f(o: Annotated[int, Limit(1, 5)]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "Limit with another word",
        PREAMBLE,
        '@server.tool\ndef f(o: Annotated[int, Limit(maximum=5)]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "Limit as a default",
        PREAMBLE,
        '@server.tool\ndef f(o: int = Limit(max=5)) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "Limit upside down",
        PREAMBLE,
        '@server.tool\ndef f(o: Annotated[int, Limit(max=5, min=10)]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a bound of numbers on a text",
        PREAMBLE,
        '@server.tool\ndef f(x: Annotated[str, Field(ge=1)]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a length of a number",
        PREAMBLE,
        '@server.tool\ndef f(x: Annotated[int, Field(max_length=1)]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a default outside of its limit",
        PREAMBLE,
        '@server.tool\ndef f(o: Annotated[int, Limit(max=5)] = 10) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "None as the default of an int",
        PREAMBLE,
        '@server.tool\ndef f(o: int = None) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a guard over no parameter",
        PREAMBLE,
        '@server.tool(guards=[DateRange("a", "b", max_days=3)])\ndef f(a: date, c: date) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a guard of dates over texts",
        PREAMBLE,
        '@server.tool(guards=[DateRange("a", "b", max_days=3)])\ndef f(a: str, b: str) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a guard without a list",
        PREAMBLE,
        '@server.tool(guards=DateRange("a", "b", max_days=3))\ndef f(a: date, b: date) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a guard of a value in guards",
        PREAMBLE,
        '@server.tool(guards=[Email()])\ndef f(a: str) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a guard on another type",
        PREAMBLE,
        '@server.tool\ndef f(a: Annotated[int, Email()]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a path as a text",
        PREAMBLE,
        '@server.tool\ndef f(a: Annotated[str, SafePath("/")]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a file without its folder",
        PREAMBLE,
        '@server.tool\ndef f(a: SafeFile) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a URL as a text",
        PREAMBLE,
        '@server.tool\ndef f(a: Annotated[str, HttpUrl(["example.com"])]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a pattern with lookahead in a guard",
        PREAMBLE,
        '@server.tool\ndef f(a: Annotated[str, Pattern("(?=x)")]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a rule over no parameter",
        PREAMBLE,
        '@server.tool(guards=[lambda x: None])\ndef f(a: date, b: date) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "the class of a guard",
        PREAMBLE,
        '@server.tool(guards=[DateRange])\ndef f(a: date, b: date) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a guard without its bound",
        PREAMBLE,
        '@server.tool(guards=[DateRange("a", "b")])\ndef f(a: date, b: date) -> str:\n    """D."""\n    return ""\n',
    ),
    ("a rate in words", PREAMBLE, '@server.tool(rate="60 per minute")\ndef f() -> str:\n    """D."""\n    return ""\n'),
    ("a rate as a number", PREAMBLE, '@server.tool(rate=60)\ndef f() -> str:\n    """D."""\n    return ""\n'),
    (
        "a budget that is not defined",
        PREAMBLE,
        '@server.tool(budgets={"stripe": 2})\ndef f() -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a cost by no argument",
        PREAMBLE,
        '@server.tool(budgets={"stripe": "tokens"})\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a cost that may be negative",
        PREAMBLE,
        '@server.tool(budgets={"stripe": "n"})\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a cost of nothing",
        PREAMBLE,
        '@server.tool(budgets={"stripe": 0})\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "budgets as one text",
        PREAMBLE,
        '@server.tool(budgets="stripe")\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a pool that is not defined",
        PREAMBLE,
        '@server.tool(pools=["gpu"])\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    ("pools as one text", PREAMBLE, '@server.tool(pools="gpu")\ndef f(n: int) -> str:\n    """D."""\n    return ""\n'),
    ("a pool that is none", PREAMBLE, '@server.tool(pools=[3])\ndef f(n: int) -> str:\n    """D."""\n    return ""\n'),
    (
        "concurrency of none",
        PREAMBLE,
        '@server.tool(concurrency=0)\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "scopes as one text",
        PREAMBLE,
        '@server.tool(scopes="orders:read")\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "two scopes in one text",
        PREAMBLE,
        '@server.tool(scopes=["orders:read orders:write"])\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "read_only as a text",
        PREAMBLE,
        '@server.tool(read_only="yes")\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "read_only and destructive",
        PREAMBLE,
        '@server.tool(read_only=True, destructive=True)\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a deadline as a text",
        PREAMBLE,
        '@server.tool(deadline_s="10")\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a deadline below zero",
        PREAMBLE,
        '@server.tool(deadline_s=-1)\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a title that is no text",
        PREAMBLE,
        '@server.tool(title=3)\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a name with a space",
        PREAMBLE,
        '@server.tool("list orders")\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    ("a server's name with a space", PREAMBLE, 's = Server("my shop")\n'),
    ("a server without a name", PREAMBLE, "s = Server()\n"),
    (
        "two tools of one name",
        PREAMBLE,
        '@server.tool\ndef f(n: int) -> str:\n    """D."""\n    return ""\n@server.tool\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    ("a lambda", PREAMBLE, "server.tool(lambda x: x)\n"),
    ("a class as a tool", PREAMBLE, '@server.tool\nclass F:\n    def __call__(self) -> str: return ""\n'),
    (
        "a method as a tool",
        PREAMBLE,
        'class F:\n    @server.tool\n    def f(self, x: int) -> str:\n        """D."""\n        return ""\n',
    ),
    ("a generator", PREAMBLE, '@server.tool\ndef f(x: int) -> str:\n    """D."""\n    yield ""\n'),
    ("a parameter with an underscore", PREAMBLE, '@server.tool\ndef f(_x: int) -> str:\n    """D."""\n    return ""\n'),
    ("a positional-only parameter", PREAMBLE, '@server.tool\ndef f(x: int, /) -> str:\n    """D."""\n    return ""\n'),
    ("Caller twice", PREAMBLE, '@server.tool\ndef f(a: Caller, b: Caller) -> str:\n    """D."""\n    return ""\n'),
    ("caller without annotation", PREAMBLE, '@server.tool\ndef f(caller) -> str:\n    """D."""\n    return ""\n'),
    (
        "a pattern with lookahead",
        PREAMBLE,
        '@server.tool\ndef f(x: Annotated[str, Field(pattern="(?=a)b")]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a header with a space",
        PREAMBLE,
        '@server.tool\ndef f(r: Annotated[str, Header("My Region")]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a header of a float",
        PREAMBLE,
        '@server.tool\ndef f(r: Annotated[float, Header("R")]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "one header twice",
        PREAMBLE,
        '@server.tool\ndef f(r: Annotated[str, Header("R")], s: Annotated[str, Header("r")]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a header of a prompt",
        PREAMBLE,
        '@server.prompt\ndef f(r: Annotated[str, Header("R")]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "the class Header",
        PREAMBLE,
        '@server.tool\ndef f(r: Annotated[str, Header]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a resource without a scheme",
        PREAMBLE,
        '@server.resource("orders")\ndef f() -> str:\n    """D."""\n    return ""\n',
    ),
    ("resource without a URI", PREAMBLE, '@server.resource\ndef f() -> str:\n    """D."""\n    return ""\n'),
    (
        "variables that are not the parameters",
        PREAMBLE,
        '@server.resource("shop://{id}")\ndef f(order_id: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "arguments at a fixed URI",
        PREAMBLE,
        '@server.resource("shop://x")\ndef f(order_id: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a query in a template",
        PREAMBLE,
        '@server.resource("shop://x{?q}")\ndef f(q: str) -> str:\n    """D."""\n    return ""\n',
    ),
    ("an open brace", PREAMBLE, '@server.resource("shop://{x")\ndef f(x: str) -> str:\n    """D."""\n    return ""\n'),
    (
        "two variables in one segment",
        PREAMBLE,
        '@server.resource("shop://{a}{b}")\ndef f(a: str, b: str) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "one URI twice",
        PREAMBLE,
        '@server.resource("shop://a")\ndef f() -> str:\n    """D."""\n    return ""\n@server.resource("shop://a")\ndef g() -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a lifetime as a text",
        PREAMBLE,
        '@server.resource("shop://a", ttl_s="1h")\ndef f() -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "an unknown annotation",
        PREAMBLE,
        '@server.resource("shop://a", annotations={"prio": 1})\ndef f() -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a prompt that takes a model",
        PREAMBLE,
        'class M(BaseModel):\n    x: int\n@server.prompt\ndef f(x: M) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "a prompt that takes a list",
        PREAMBLE,
        '@server.prompt\ndef f(x: list[int]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "completion of no prompt",
        PREAMBLE,
        '@server.completion(prompt="x", argument="y")\ndef f(value: str) -> list[str]:\n    return []\n',
    ),
    (
        "completion of no argument",
        PREAMBLE,
        '@server.prompt\ndef p(product: str) -> str:\n    """D."""\n    return ""\n@server.completion(prompt="p", argument="products")\ndef f(value: str) -> list[str]:\n    return []\n',
    ),
    (
        "a completion that takes something else",
        PREAMBLE,
        '@server.prompt\ndef p(product: str) -> str:\n    """D."""\n    return ""\n@server.completion(prompt="p", argument="product")\ndef f(text: str) -> list[str]:\n    return []\n',
    ),
    (
        "completion of two things",
        PREAMBLE,
        '@server.completion(prompt="p", resource="x", argument="product")\ndef f(text: str) -> list[str]:\n    return []\n',
    ),
    (
        "a completion that returns a text",
        PREAMBLE,
        '@server.prompt\ndef p(product: str) -> str:\n    """D."""\n    return ""\n@server.completion(prompt="p", argument="product")\ndef f(value: str) -> str:\n    return ""\n',
    ),
    ("`asyncio.run` at import", PREAMBLE, "import asyncio\nasync def x(): pass\nasyncio.run(x())\n"),
    ("`server.run()`", PREAMBLE, "server.run()\n"),
    ("`server.add_tool`", PREAMBLE, 'def f() -> str: return ""\nserver.add_tool(f)\n'),
    ("a slip in a decorator", PREAMBLE, '@server.tols\ndef f() -> str: return ""\n'),
    ("a server of FastMCP", ALONE, 'from fastmcp import FastMCP\nmcp = FastMCP("x")\n'),
    (
        "a server of the SDK",
        ALONE,
        'from mcp.server.mcpserver import MCPServer\nmcp = MCPServer("x")\n@mcp.tool()\ndef f() -> str:\n    return ""\n',
    ),
    ("no server", ALONE, "x = 1\n"),
    ("a server within a function", ALONE, 'from mcpward import Server\ndef make():\n    return Server("x")\n'),
    ("two servers", PREAMBLE, 'other = Server("other")\n'),
    ("a function without a return", PREAMBLE, '@server.tool\ndef f(x: int) -> str:\n    """D."""\n    x + 1\n'),
    ("a function without a body", PREAMBLE, '@server.tool\ndef f(x: int) -> str:\n    """D."""\n    ...\n'),
    ("a slip in an import", ALONE, "from mcpward import Server, DateRanges\n"),
    ("a module that is not installed", PREAMBLE, "import shopkit_of_none\n"),
    ("a syntax error", PREAMBLE, "def f(:\n"),
    ("a missing indentation", PREAMBLE, "def f():\nreturn 1\n"),
    ("await at the top level", PREAMBLE, 'db = Database("sqlite:///x.db")\nrows = await db.query("SELECT 1")\n'),
    ("an exception", PREAMBLE, "x = 1 / 0\n"),
    ("an exception with its text", PREAMBLE, 'raise ValueError("the file of prices is empty")\n'),
    (
        "an exception that holds a password",
        PREAMBLE,
        'raise ValueError("cannot connect to postgres://u:hunter2secret@h/x")\n',
    ),
    ("a variable that is not set", PREAMBLE, 'import os\nos.environ["NOT_SET_X"]\n'),
    ("a secret that is not set", PREAMBLE, "env.NOT_SET_X\n"),
    (
        "an annotation that is not known",
        PREAMBLE,
        '@server.tool\ndef f(x: "Oder") -> str:\n    """D."""\n    return ""\n',
    ),
    ("a name that is not defined", PREAMBLE, "class Order(BaseModel):\n    x: int\nOder(x=1)\n"),
    ("`sys.exit` at import", PREAMBLE, 'import sys\nsys.exit("no config")\n'),
    ("a file that is not there", PREAMBLE, 'open("nowhere.csv")\n'),
    ("a model with a wrong value", PREAMBLE, 'class M(BaseModel):\n    x: int\nm = M(x="secretvalue")\n'),
    ("another word for ToolResult", PREAMBLE, 'x = ToolResult("a", structured={}, isError=True)\n'),
    (
        "a decorator without wraps",
        PREAMBLE,
        'import functools\ndef log(fn):\n    def inner(*a, **k):\n        return fn(*a, **k)\n    return inner\n@server.tool\n@log\ndef f(x: int) -> str:\n    """D."""\n    return ""\n',
    ),
    ("a tool that is not declared", PREAMBLE, 'server.disable(tool="x")\n'),
    (
        "titles of other values",
        PREAMBLE,
        '@server.tool\ndef f(x: Annotated[Literal["a"], Titles(b="B")]) -> str:\n    """D."""\n    return ""\n',
    ),
    ("a path as a database URL", PREAMBLE, 'db = Database("shop.db")\n'),
    ("an option of Database in another spelling", PREAMBLE, 'db = Database("sqlite:///x.db", readonly=True)\n'),
    ("a database without a URL", PREAMBLE, 'db = Database(env.get("NOT_SET"))\n'),
    ("a database for no statements", PREAMBLE, 'db = Database("sqlite:///x.db", max_concurrency=0)\n'),
    ("a secret in an f-string", PREAMBLE, 'db = Database(f"postgresql+asyncpg://u:{env.HOME}@h/x")\n'),
    (
        "SQL by f-string",
        PREAMBLE,
        'db = Database("sqlite:///x.db")\n@server.tool\nasync def f(name: str) -> str:\n    """D."""\n    return str(await db.query(f"SELECT * FROM x WHERE name = \'{name}\'"))\n',
    ),
    (
        "SQL from an argument",
        PREAMBLE,
        'db = Database("sqlite:///x.db")\n@server.tool\nasync def f(query: str) -> str:\n    """D."""\n    return str(await db.query(query))\n',
    ),
    (
        "SQL that the file builds",
        PREAMBLE,
        'db = Database("sqlite:///x.db")\nALL = "SELECT * FROM x"\nSORTED = ALL + " ORDER BY y"\n@server.tool\nasync def f() -> str:\n    """D."""\n    return str(await db.query(SORTED))\n',
    ),
    (
        "row security without PostgreSQL",
        PREAMBLE,
        'db = Database("sqlite:///x.db", session={"app.user": "caller.subject"})\n',
    ),
    (
        "a query without await",
        PREAMBLE,
        'db = Database("sqlite:///x.db")\n@server.tool\nasync def f(name: str) -> list[dict[str, Any]]:\n    """D."""\n    return db.query("SELECT 1")\n',
    ),
    (
        "a query in a def",
        PREAMBLE,
        'db = Database("sqlite:///x.db")\n@server.tool\ndef f(name: str) -> list[dict[str, Any]]:\n    """D."""\n    rows = db.query("SELECT 1")\n    return [r for r in rows]\n',
    ),
    ("a query at import", PREAMBLE, 'rows = Database("sqlite:///x.db").query("SELECT 1")\n'),
    (
        "a question without await",
        PREAMBLE,
        '@server.tool\nasync def f(c: Context) -> str:\n    """D."""\n    a = c.elicit("x")\n    return a.action\n',
    ),
    (
        "a question in a def",
        PREAMBLE,
        '@server.tool\ndef f(c: Context) -> str:\n    """D."""\n    a = c.elicit("x")\n    return a.action\n',
    ),
    (
        "a form that asks for a password",
        PREAMBLE,
        'q = Elicit("x", schema={"type": "object", "properties": {"password": {"type": "string"}}})\n',
    ),
    (
        "the same, within a tool",
        PREAMBLE,
        'class A(BaseModel):\n    password: str\n@server.tool\nasync def f(c: Context) -> str:\n    """D."""\n    a = await c.elicit("x", A)\n    return a.action\n',
    ),
    (
        "a form that is not flat",
        PREAMBLE,
        'class A(BaseModel):\n    x: int\nclass B(BaseModel):\n    a: A\nq = Elicit("x", B)\n',
    ),
    ("a schema in the model's place", PREAMBLE, 'q = Elicit("x", {"type": "object"})\n'),
    ("a page without https", PREAMBLE, 'q = ElicitUrl("x", "http://example.com")\n'),
    ("an empty question", PREAMBLE, '@server.tool(confirm="")\ndef f(n: int) -> str:\n    """D."""\n    return ""\n'),
    ("task as a word", PREAMBLE, '@server.tool(task="yes")\ndef f(n: int) -> str:\n    """D."""\n    return ""\n'),
    (
        "ask_first without a task",
        PREAMBLE,
        '@server.tool(ask_first=True)\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "input_schema beside parameters",
        PREAMBLE,
        '@server.tool(input_schema={"type": "object"})\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "input_schema without an object",
        PREAMBLE,
        '@server.tool(input_schema={"type": "objekt"})\ndef f(arguments: dict[str, Any]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "input_schema elsewhere",
        PREAMBLE,
        '@server.tool(input_schema={"type": "object", "$ref": "https://x.example/a"})\ndef f(arguments: dict[str, Any]) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "an icon as a text",
        PREAMBLE,
        '@server.tool(icons=["https://x"])\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    ("an icon without TLS", PREAMBLE, 'i = Icon("http://x.example/a.png")\n'),
    (
        "meta that JSON does not have",
        PREAMBLE,
        '@server.tool(meta={"a/b": object()})\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "structured without annotation",
        PREAMBLE,
        '@server.tool(structured=True)\ndef f(n: int):\n    """D."""\n    return ""\n',
    ),
    (
        "FromCaller with a path that there is none of",
        PREAMBLE,
        '@server.tool\ndef f(user: Annotated[str, FromCaller("email")]) -> str:\n    """D."""\n    return user\n',
    ),
    (
        "FromCaller with a default",
        PREAMBLE,
        '@server.tool\ndef f(user: Annotated[str, FromCaller("subject")] = "") -> str:\n    """D."""\n    return user\n',
    ),
    (
        "FromCaller as a default",
        PREAMBLE,
        '@server.tool\ndef f(user: str = FromCaller("subject")) -> str:\n    """D."""\n    return user\n',
    ),
    (
        "FromCaller within another type",
        PREAMBLE,
        '@server.tool\ndef f(user: Annotated[str, FromCaller("subject")] | None) -> str:\n    """D."""\n    return user\n',
    ),
    (
        "FromCaller for a type that no tag has",
        PREAMBLE,
        '@server.tool\ndef f(n: Annotated[float, FromCaller("tags.n")]) -> float:\n    """D."""\n    return n\n',
    ),
    (
        "FromCaller in a prompt",
        PREAMBLE,
        '@server.prompt\ndef f(user: Annotated[str, FromCaller("subject")]) -> str:\n    """D."""\n    return user\n',
    ),
    (
        "Owned over a text",
        PREAMBLE,
        '@server.tool(guards=[Owned(by="user_id")])\ndef f() -> str:\n    """D."""\n    return ""\n',
    ),
    (
        "Owned by a member that the rows do not have",
        PREAMBLE,
        'class Order(BaseModel):\n    user: str\n@server.tool(guards=[Owned(by="usr")])\ndef f() -> list[Order]:\n    """D."""\n    return []\n',
    ),
    (
        "unknown_arguments as another word",
        PREAMBLE,
        '@server.tool(unknown_arguments="ignore")\ndef f(n: int) -> str:\n    """D."""\n    return ""\n',
    ),
    ("a website without a scheme", PREAMBLE, 's = Server("x", website_url="example.com")\n'),
    ("an extension without prefix", PREAMBLE, 's = Server("x", extensions={"x": {}})\n'),
    ("no docstring", PREAMBLE, '@server.tool\ndef f() -> str:\n    return ""\n'),
    (
        "a path without a return",
        PREAMBLE,
        '@server.tool\ndef f(x: int) -> str:\n    """D."""\n    if x:\n        return "x"\n',
    ),
    (
        "`time.sleep` in async def",
        PREAMBLE,
        'import time\n@server.tool\nasync def f() -> str:\n    """D."""\n    time.sleep(5)\n    return ""\n',
    ),
    (
        "the server as an argument of its decorator",
        PREAMBLE,
        '@server.tool(server)\ndef f() -> str:\n    """D."""\n    return ""\n',
    ),
    ("the decorator of the class", PREAMBLE, '@Server.tool()\ndef f() -> str:\n    """D."""\n    return ""\n'),
    ("the server as a decorator", PREAMBLE, '@server\ndef f() -> str:\n    """D."""\n    return ""\n'),
    ("the list as a decorator", PREAMBLE, '@server.tools\ndef f() -> str:\n    """D."""\n    return ""\n'),
    ("a decorator that is imported", PREAMBLE, "from mcpward import tool\n"),
    (
        "a completion of nothing",
        PREAMBLE,
        '@server.completion\ndef f(value: str) -> list[str]:\n    """D."""\n    return []\n',
    ),
    ("a hook with parentheses", PREAMBLE, "@server.on_start()\ndef f() -> None:\n    pass\n"),
    (
        "a partial as a tool",
        PREAMBLE,
        'from functools import partial\ndef f(n: int) -> str:\n    """D."""\n    return ""\nserver.tool(partial(f, 1))\n',
    ),
    (
        "a class method as a tool",
        PREAMBLE,
        'class Shop:\n    @server.tool\n    @classmethod\n    def f(cls) -> str:\n        """D."""\n        return ""\n',
    ),
    (
        "a parameter that is spelt otherwise",
        PREAMBLE,
        'db = Database("sqlite:///x.db")\n@server.tool\nasync def f(name: str) -> str:\n    """D."""\n    return str(await db.query("SELECT 1 WHERE 1 = :name", nmae=name))\n',
    ),
    (
        "values of SQL by place",
        PREAMBLE,
        'db = Database("sqlite:///x.db")\n@server.tool\nasync def f(name: str) -> str:\n    """D."""\n    return str(await db.query("SELECT 1 WHERE 1 = ?", name))\n',
    ),
    (
        "a change in a query",
        PREAMBLE,
        'db = Database("sqlite:///x.db", read_only=False)\n@server.tool\nasync def f() -> str:\n    """D."""\n    return str(await db.query("DELETE FROM x"))\n',
    ),
    (
        "a change of a read-only database",
        PREAMBLE,
        'db = Database("sqlite:///x.db")\n@server.tool\nasync def f() -> int:\n    """D."""\n    return await db.execute("DELETE FROM x")\n',
    ),
    ("a driver that blocks", PREAMBLE, 'db = Database("mysql+pymysql://u@h/x")\n'),
    ("a driver that is not installed", PREAMBLE, 'db = Database("mysql+asyncmy://u@h/x")\n'),
    (
        "a change in a read-only tool",
        PREAMBLE,
        'db = Database("sqlite://", read_only=False)\n@server.tool(read_only=True)\nasync def f() -> int:\n    """D."""\n    return await db.execute("DELETE FROM x")\n',
    ),
    ("the caller as an argument", PREAMBLE, '@server.tool\ndef f(caller: str) -> str:\n    """D."""\n    return ""\n'),
)


class Told(NamedTuple):
    """The outcome of one mistake: ``at`` is ``refused`` or ``warned``."""

    title: str
    code: str
    at: str
    findings: tuple[Finding, ...]


@functools.cache
def told() -> list[Told]:
    """Load every mistake as a site's start does."""
    return [Told(title, code, *_of(before + code)) for title, before, code in MISTAKES]


def _of(text: str) -> tuple[str, tuple[Finding, ...]]:
    with tempfile.TemporaryDirectory() as folder, _within(Path(folder)):
        Path("tools.py").write_text(text, encoding="utf-8")
        try:
            return "warned", asyncio.run(_loaded())  # within a loop, as a worker loads it
        except Misconfigured as wrong:
            return "refused", wrong.findings


async def _loaded() -> tuple[Finding, ...]:
    settings = Settings.model_validate({"servers": {"shop": {"source": "tools.py"}}})
    sources = load_sources(settings, {})
    tool_sources_of(settings, sources)
    return tuple(remarks_of(sources["shop"]))


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    """Change to a folder; afterwards nothing is left of what was loaded there."""
    before, path, modules = Path.cwd(), list(sys.path), set(sys.modules)
    variables = {name: os.environ.pop(name) for name in ("NOT_SET_X",) if name in os.environ}
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.update(variables)
        sys.path[:] = path
        for name in [one for one in sys.modules if one not in modules and one.startswith("mcpward_source_")]:
            del sys.modules[name]


_HEAD = """# Mistakes, and what they get

A test makes this page. Each row is a file `tools.py` that begins with the same five lines: imports, and
`server = Server("shop")` in line 5. The last columns are the output of `mcpward serve`: where, what is wrong, what to
write. *Refused* files are not served. *Warned* files are served, with a warning at each start.

`tools.py:6` is the author's own file and line, never a library's. Texts of exceptions are shown without secrets. These are
values of `env`, of the environment and of the vault, users and passwords in URLs, and text that looks like a token.

| mistake | written | | where | what | hint |
|---|---|---|---|---|---|
"""
_BORING = re.compile(r'^\s*(?:"""D\."""|return ""|return \[\])$')


def page() -> str:
    """Return docs/mistakes.md."""
    rows = []
    for one in told():
        written = (
            "<br>".join(f"`{line}`" for line in one.code.splitlines() if not _BORING.match(line)) or "(nothing else)"
        )
        for finding in one.findings:
            cells = (one.title, written, one.at, finding.where, finding.what, finding.hint)
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
