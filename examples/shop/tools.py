"""A shop: its catalogue in SQLite, its orders in PostgreSQL, its parcels behind a REST API, its manual in a folder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from httpx2 import AsyncClient
from pydantic import Field

from mcpward import Caller, Context, Database, DateRange, Limit, Server, ToolError, env

catalogue = Database(env.CATALOGUE_URL, name="catalogue", read_only=True)
sales = Database(env.SALES_URL, name="sales", max_concurrency=5, read_only=False)
MANUAL = {page.stem: page for page in sorted(Path(__file__).with_name("manual").glob("*.md"))}
Row = dict[str, Any]
Number = Annotated[int, Field(ge=1, le=2_147_483_647)]


@asynccontextmanager
async def lifespan() -> AsyncIterator[AsyncClient]:
    """One pool of connections to the carrier, for all calls of a worker."""
    token = f"Bearer {env.CARRIER_TOKEN.reveal()}"
    async with AsyncClient(base_url=env.CARRIER_URL.reveal(), headers={"Authorization": token}) as carrier:
        yield carrier


server = Server("shop", instructions="Products, orders, parcels and the manual of a shop.", lifespan=lifespan)


@server.tool(read_only=True, pools=[catalogue])
async def products(word: Annotated[str, Field(max_length=100)], limit: Annotated[int, Limit(max=50)] = 10) -> list[Row]:
    """Products with a word in their name. Prices are in cents."""
    return await catalogue.query("SELECT * FROM products WHERE instr(name, :word) LIMIT :n", word=word, n=limit)


@server.tool(read_only=True, pools=[catalogue], deadline_s=60)
async def stock(context: Context) -> dict[str, int]:
    """Pieces in each warehouse."""
    pieces = {"north": 0, "south": 0}
    for step, name in enumerate(pieces, 1):
        rows = await catalogue.query("SELECT sum(pieces) AS pieces FROM stock WHERE warehouse = :name", name=name)
        pieces[name] = rows[0]["pieces"]
        await context.report_progress(step, len(pieces), name)
    return pieces


@server.tool(read_only=True, pools=[sales], guards=[DateRange("since", "until", max_days=90)])
async def orders(caller: Caller, since: date, until: date) -> list[Row]:
    """The caller's orders of some days."""
    sql = "SELECT id, product, cents, status FROM orders WHERE customer = :me AND day BETWEEN :since AND :until"
    return await sales.query(sql, me=caller.name, since=since, until=until)


@server.tool(read_only=True, pools=[sales])
async def spent(caller: Caller) -> list[Row]:
    """What the caller has spent on each product, in cents."""
    sql = "SELECT product, sum(cents)::bigint AS cents FROM orders WHERE customer = :me GROUP BY product"
    return await sales.query(sql, me=caller.name)


@server.tool(destructive=True, pools=[sales], confirm="The order is cancelled for good. Go on?")
async def cancel(caller: Caller, order: Number) -> None:
    """Cancel an order of the caller that has not been shipped."""
    sql = "UPDATE orders SET status = 'cancelled' WHERE id = :id AND customer = :me AND status = 'paid'"
    if not await sales.execute(sql, id=order, me=caller.name):
        raise ToolError("you have no order of that number that is not shipped")


@server.tool(read_only=True, open_world=True, budgets=["carrier"])
async def parcel(order: Number, carrier: AsyncClient) -> Row:
    """Where the parcel of an order is."""
    return (await carrier.get(f"/parcels/{order}")).raise_for_status().json()


@server.tool(open_world=True, budgets={"carrier": 2})
async def send(order: Number, carrier: AsyncClient) -> Row:
    """Have the carrier fetch the parcel of an order."""
    return (await carrier.post("/parcels", json={"order": order})).raise_for_status().json()


@server.tool(read_only=True)
def manual(word: Annotated[str, Field(min_length=2, max_length=100)]) -> list[str]:
    """Pages of the manual that have a word."""
    return [name for name, page in MANUAL.items() if word.lower() in page.read_text().lower()]


@server.resource("shop://manual/{name}", mime_type="text/markdown")
def page(name: str) -> str:
    """A page of the manual."""
    return MANUAL[name].read_text() if name in MANUAL else "There is no such page."


@server.prompt(title="Late parcels")
def late(since: date, until: date) -> str:
    """Find the parcels that are late."""
    return f"List my orders from {since} to {until}, look where each parcel is, and name those that are late."
