"""The same eight tools with FastMCP, for comparison: what tools.py leaves to mcpward is written out here by hand.

Not here, for it takes more than some lines: keys that are made and revoked, limits per caller and tool, the carrier's
quota, secrets taken out of results and errors, and a record of who did what.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import aiosqlite
import asyncpg
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_access_token
from httpx2 import AsyncClient
from pydantic import Field

MANUAL = {page.stem: page for page in sorted(Path(__file__).with_name("manual").glob("*.md"))}
ROWS, SECONDS = 1000, 10
Row = dict[str, Any]
Number = Annotated[int, Field(ge=1, le=2_147_483_647)]


@dataclass
class Shop:
    """What the tools share: two databases and the carrier."""

    catalogue: aiosqlite.Connection
    catalogue_places: asyncio.Semaphore
    sales: asyncpg.Pool
    carrier: AsyncClient


@asynccontextmanager
async def lifespan(_: FastMCP) -> AsyncIterator[Shop]:
    """Open what the tools share, and close it."""
    path = os.environ["CATALOGUE_URL"].removeprefix("sqlite:///")
    headers = {"Authorization": f"Bearer {os.environ['CARRIER_TOKEN']}"}
    async with (
        aiosqlite.connect(f"file:{path}?mode=ro", uri=True) as catalogue,
        asyncpg.create_pool(os.environ["SALES_URL"], min_size=1, max_size=5, command_timeout=SECONDS) as sales,
        AsyncClient(base_url=os.environ["CARRIER_URL"], headers=headers) as carrier,
    ):
        catalogue.row_factory = aiosqlite.Row
        yield Shop(catalogue, asyncio.Semaphore(5), sales, carrier)


mcp = FastMCP(
    "shop",
    instructions="Products, orders, parcels and the manual of a shop.",
    lifespan=lifespan,
    mask_error_details=True,
    strict_input_validation=True,
)


def shop_of(ctx: Context) -> Shop:
    """Return what the lifespan opened; FastMCP has it without a type."""
    return ctx.lifespan_context  # type: ignore[return-value]


def customer() -> str:
    """Return whose orders these are; the model must not choose."""
    token = get_access_token()
    if token is None:
        raise ToolError("sign in first")
    return str(token.claims["sub"])


async def from_catalogue(ctx: Context, sql: str, **values: Any) -> list[Row]:
    """Return rows of the catalogue: not too many, and within a time."""
    shop = shop_of(ctx)
    async with asyncio.timeout(SECONDS), shop.catalogue_places, shop.catalogue.execute(sql, values) as cursor:
        rows = list(await cursor.fetchmany(ROWS + 1))
    if len(rows) > ROWS:
        raise ToolError(f"more than {ROWS} rows: ask for less")
    return [dict(row) for row in rows]


async def from_sales(ctx: Context, sql: str, *values: Any) -> list[Row]:
    """Return rows of the orders: in a transaction that cannot write, not too many, and within a time."""
    async with shop_of(ctx).sales.acquire(timeout=SECONDS) as connection, connection.transaction(readonly=True):
        rows = await (await connection.cursor(sql, *values)).fetch(ROWS + 1)
    if len(rows) > ROWS:
        raise ToolError(f"more than {ROWS} rows: ask for less")
    return [dict(row) for row in rows]


@mcp.tool(annotations={"readOnlyHint": True})
async def products(ctx: Context, word: str, limit: Annotated[int, Field(ge=1, le=50)] = 10) -> list[Row]:
    """Products with a word in their name. Prices are in cents."""
    return await from_catalogue(ctx, "SELECT * FROM products WHERE instr(name, :word) LIMIT :n", word=word, n=limit)


@mcp.tool(annotations={"readOnlyHint": True}, timeout=60)
async def stock(ctx: Context) -> dict[str, int]:
    """Pieces in each warehouse."""
    pieces = {"north": 0, "south": 0}
    for step, name in enumerate(pieces, 1):
        rows = await from_catalogue(ctx, "SELECT sum(pieces) AS pieces FROM stock WHERE warehouse = :name", name=name)
        pieces[name] = rows[0]["pieces"]
        await ctx.report_progress(step, len(pieces), name)
    return pieces


@mcp.tool(annotations={"readOnlyHint": True})
async def orders(ctx: Context, since: date, until: date) -> list[Row]:
    """The caller's orders of some days."""
    if not 0 <= (until - since).days <= 90:
        raise ToolError("ask for 90 days at the most, the first one first")
    sql = "SELECT id, product, cents, status FROM orders WHERE customer = $1 AND day BETWEEN $2 AND $3"
    return await from_sales(ctx, sql, customer(), since, until)


@mcp.tool(annotations={"readOnlyHint": True})
async def spent(ctx: Context) -> list[Row]:
    """What the caller has spent on each product, in cents."""
    sql = "SELECT product, sum(cents)::bigint AS cents FROM orders WHERE customer = $1 GROUP BY product"
    return await from_sales(ctx, sql, customer())


@mcp.tool(annotations={"destructiveHint": True})
async def cancel(ctx: Context, order: Number) -> None:
    """Cancel an order of the caller that has not been shipped."""
    answer = await ctx.elicit(f"Order {order} is cancelled for good. Go on?", response_type=["yes", "no"])
    if answer.action != "accept" or answer.data != "yes":
        raise ToolError("nobody agreed to it")
    sql = "UPDATE orders SET status = 'cancelled' WHERE id = $1 AND customer = $2 AND status = 'paid'"
    async with shop_of(ctx).sales.acquire(timeout=SECONDS) as connection:
        done = await connection.execute(sql, order, customer())
    if done == "UPDATE 0":
        raise ToolError("you have no order of that number that is not shipped")


@mcp.tool(annotations={"readOnlyHint": True, "openWorldHint": True}, timeout=30)
async def parcel(ctx: Context, order: Number) -> Row:
    """Where the parcel of an order is."""
    return (await shop_of(ctx).carrier.get(f"/parcels/{order}")).raise_for_status().json()


@mcp.tool(annotations={"openWorldHint": True}, timeout=30)
async def send(ctx: Context, order: Number) -> Row:
    """Have the carrier fetch the parcel of an order."""
    return (await shop_of(ctx).carrier.post("/parcels", json={"order": order})).raise_for_status().json()


@mcp.tool(annotations={"readOnlyHint": True})
def manual(word: Annotated[str, Field(min_length=2)]) -> list[str]:
    """Pages of the manual that have a word."""
    return [name for name, page in MANUAL.items() if word.lower() in page.read_text().lower()]


@mcp.resource("shop://manual/{name}", mime_type="text/markdown")
def page(name: str) -> str:
    """A page of the manual."""
    return MANUAL[name].read_text() if name in MANUAL else "There is no such page."


@mcp.prompt(title="Late parcels")
def late(since: date, until: date) -> str:
    """Find the parcels that are late."""
    return f"List my orders from {since} to {until}, look where each parcel is, and name those that are late."
