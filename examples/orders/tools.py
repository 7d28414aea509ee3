"""A shop's orders as MCP tools. ``mcpward serve`` in this folder serves them at http://127.0.0.1:8000/mcp.

Whose orders? A caller that holds the scope ``orders:all`` (or ``*``, as the key of the first start does) stands for the
shop and sees all of them. Any other key sees the orders of the customer whose e-mail address is its name, which the
operator chose: ``mcpward key create --name ben.berg.1@example.com``. Whoever is neither sees none.

In OAuth mode (``mcpward serve --config mcpward.oauth.toml``) each person sees their own: ``caller.subject``, which the
house took from the access token, names an account, and the account a customer. No argument of a tool has a say in it.
"""

import asyncio
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal
from zlib import crc32

from pydantic import BaseModel, Field

from mcpward import Caller, Context, Database, DateRange, Limit, Server, ToolError, env

HERE = Path(__file__).resolve().parent
DEFAULT_URL = f"sqlite:///{HERE / 'orders.db'}"

if env.get("ORDERS_DATABASE_URL") is None:
    from data import require_data

    require_data(HERE / "orders.db")

server = Server("orders", version="1.0", instructions="Orders, customers and products of a furniture shop, year 2026.")
db = Database(env.get("ORDERS_DATABASE_URL", DEFAULT_URL), name="orders", max_concurrency=5, read_only=True)
till = Database(env.get("ORDERS_DATABASE_URL", DEFAULT_URL), name="till", max_concurrency=1, read_only=False)

Status = Literal["paid", "shipped", "delivered", "cancelled"]
NO_SUCH_ORDER = "there is no such order, or it has been shipped already"
BETWEEN = DateRange("from_date", "to_date", max_days=90)


class Order(BaseModel):
    """One order. Money in cents, times in UTC."""

    id: int
    customer: str
    product: str
    quantity: int
    total_cents: int
    status: Status
    created_at: datetime


class Summary(BaseModel):
    """The orders of a period, summed up."""

    orders: int
    customers: int
    total_cents: int
    by_status: dict[str, int]


class Product(BaseModel):
    """One product. Money in cents."""

    id: int
    name: str
    price_cents: int


def is_staff(caller: Caller) -> bool:
    """Whether the caller stands for the shop. Everybody else is a customer, or nobody."""
    return not caller.scopes.isdisjoint({"orders:all", "*"})


async def customer_of(caller: Caller) -> str:
    """Return the e-mail address of the customer that the caller is; one that nobody has, for a caller that is none."""
    if caller.way.value != "oauth":
        return caller.name  # of a key, which the operator named
    if is_staff(caller):
        return ""
    known = await _account_of(caller)
    if not known:
        await _open_account(caller)
        known = await _account_of(caller)
    return known


async def _account_of(caller: Caller) -> str:
    rows = await db.query(
        """
        SELECT c.email FROM accounts a JOIN customers c ON c.id = a.customer_id
         WHERE a.issuer = :issuer AND a.subject = :subject
        """,
        issuer=caller.issuer,
        subject=caller.subject,
    )
    return rows[0]["email"] if rows else ""


async def _open_account(caller: Caller) -> None:
    """Seen for the first time: open an account.

    Where the provider's subjects are the customers' own addresses (``…@example.com``), each gets its customer, or none.
    Any other subject gets a customer whom nobody has, since these people are invented: the same one on each machine,
    unless another subject has it already.
    """
    await till.execute(
        """
        INSERT INTO accounts (issuer, subject, customer_id)
        SELECT :issuer, :subject, id FROM customers
         WHERE id NOT IN (SELECT customer_id FROM accounts)
           AND (email = :subject OR :subject NOT LIKE '%@example.com')
         ORDER BY (id + :place) % (SELECT count(*) FROM customers)
         LIMIT 1
            ON CONFLICT DO NOTHING
        """,
        issuer=caller.issuer,
        subject=caller.subject,
        place=crc32(f"{caller.issuer} {caller.subject}".encode()),
    )


@server.tool(read_only=True, rate="60/minute", guards=[BETWEEN], pools=[db])
async def query_orders(
    caller: Caller,
    from_date: datetime,
    to_date: datetime,
    status: Status | None = None,
    limit: Annotated[int, Limit(max=100)] = 20,
) -> list[Order]:
    """Orders between two dates, newest first; at most 90 days apart."""
    return await db.query(
        """
        SELECT o.id, c.email AS customer, p.name AS product, o.quantity, o.total_cents, o.status, o.created_at
          FROM orders o JOIN customers c ON c.id = o.customer_id JOIN products p ON p.id = o.product_id
         WHERE o.created_at BETWEEN :from_date AND :to_date || 'Z'
           AND (:status IS NULL OR o.status = :status)
           AND (:is_staff OR c.email = :customer)
         ORDER BY o.created_at DESC, o.id DESC
         LIMIT :limit
        """,
        from_date=from_date,
        to_date=to_date,
        status=status,
        is_staff=is_staff(caller),
        customer=await customer_of(caller),
        limit=limit,
        into=Order,
    )


@server.tool(read_only=True, guards=[BETWEEN], pools=[db])
async def order_summary(caller: Caller, from_date: datetime, to_date: datetime) -> Summary:
    """Number, customers and worth of the orders between two dates; at most 90 days apart."""
    customer = await customer_of(caller)
    rows = await db.query(
        """
        SELECT o.status, count(*) AS orders, sum(o.total_cents) AS cents
          FROM orders o JOIN customers c ON c.id = o.customer_id
         WHERE o.created_at BETWEEN :from_date AND :to_date || 'Z'
           AND (:is_staff OR c.email = :customer)
         GROUP BY o.status ORDER BY o.status
        """,
        from_date=from_date,
        to_date=to_date,
        is_staff=is_staff(caller),
        customer=customer,
    )
    distinct = await db.query(
        """
        SELECT count(DISTINCT o.customer_id) AS customers
          FROM orders o JOIN customers c ON c.id = o.customer_id
         WHERE o.created_at BETWEEN :from_date AND :to_date || 'Z'
           AND (:is_staff OR c.email = :customer)
        """,
        from_date=from_date,
        to_date=to_date,
        is_staff=is_staff(caller),
        customer=customer,
    )
    return Summary(
        orders=sum(row["orders"] for row in rows),
        customers=distinct[0]["customers"],
        total_cents=sum(row["cents"] for row in rows),
        by_status={row["status"]: row["orders"] for row in rows},
    )


@server.tool(read_only=True, pools=[db])
async def search_products(
    words: Annotated[str, Field(min_length=2, max_length=64, description="a part of the name")],
    limit: Annotated[int, Limit(max=50)] = 10,
) -> list[Product]:
    """Products whose name contains the words."""
    return await db.query(
        """
        SELECT id, name, price_cents FROM products
         WHERE instr(lower(name), lower(:words)) > 0 ORDER BY id LIMIT :limit
        """,
        words=words,
        limit=limit,
        into=Product,
    )


async def cancellation(caller: Caller, order_id: int) -> str:
    """The question that a person answers before an order is cancelled. It names the worth, which the model did not."""
    rows = await db.query(
        """
        SELECT total_cents FROM orders
         WHERE id = :order_id AND status IN ('paid', 'cancelled')
           AND (:is_staff OR customer_id = (SELECT id FROM customers WHERE email = :customer))
        """,
        order_id=order_id,
        is_staff=is_staff(caller),
        customer=await customer_of(caller),
    )
    if not rows:
        raise ToolError(NO_SUCH_ORDER)
    return f"Cancel order {order_id} of {rows[0]['total_cents'] / 100:,.2f}?"


@server.tool(destructive=True, idempotent=True, confirm=cancellation, pools=[db, till])
async def cancel_order(caller: Caller, order_id: Annotated[int, Field(ge=1, le=2_147_483_647)]) -> str:
    """Cancel an order that has not been shipped."""
    changed = await till.execute(
        """
        UPDATE orders SET status = 'cancelled'
         WHERE id = :order_id AND status IN ('paid', 'cancelled')
           AND (:is_staff OR customer_id = (SELECT id FROM customers WHERE email = :customer))
        """,
        order_id=order_id,
        is_staff=is_staff(caller),
        customer=await customer_of(caller),
    )
    if not changed:
        raise ToolError(NO_SUCH_ORDER)
    return f"order {order_id} is cancelled"


@server.tool(read_only=True, deadline_s=60, scopes=["orders:all"])
async def slow_report(context: Context, steps: Annotated[int, Limit(max=50)] = 10) -> str:
    """A report over the whole year that takes a while, and says how far it is."""
    total = 0
    for step in range(1, steps + 1):
        rows = await db.query("SELECT sum(total_cents) AS cents FROM orders WHERE id % :n = :k", n=steps, k=step - 1)
        total += rows[0]["cents"] or 0
        await context.report_progress(step, steps, f"part {step} of {steps}")
        await asyncio.sleep(0.2)
    return f"the year's orders are worth {total / 100:,.2f}"


@server.resource("orders://schema", title="Tables", mime_type="application/sql")
def schema() -> str:
    """The tables behind these tools."""
    return (HERE / "schema.sql").read_text()


@server.prompt(title="Weekly review")
def weekly_review(week_start: date) -> str:
    """Review one week of orders."""
    return (
        f"Review the orders of the week from {week_start:%Y-%m-%d}: call order_summary for it and for the week before, "
        "compare them, and look at cancelled orders with query_orders."
    )
