"""The example's data: a real SQLite database, the same on every machine, made at the first start.

500 customers, 200 products and 50,000 orders of the year 2026, drawn from fixed arithmetic.
"""

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import track

CUSTOMERS = 500
PRODUCTS = 200
ORDERS = 50_000
SCHEMA = Path(__file__).with_name("schema.sql")
ACCOUNTS = Path(__file__).with_name("accounts.sql")

_BATCH = 2_500
_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
_MINUTES = 365 * 24 * 60
_FIRST = (
    "Ada",
    "Ben",
    "Chen",
    "Dina",
    "Emil",
    "Fay",
    "Goran",
    "Hana",
    "Ivo",
    "Jun",
    "Kaya",
    "Leo",
    "Mina",
    "Noor",
    "Otto",
)
_LAST = (
    "Abe",
    "Berg",
    "Costa",
    "Duarte",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Hoang",
    "Ito",
    "Jansen",
    "Kim",
    "Lopez",
    "Meyer",
)
_KIND = ("Lamp", "Chair", "Desk", "Shelf", "Rug", "Clock", "Vase", "Mirror", "Bench", "Stool")
_LOOK = ("Oak", "Steel", "Linen", "Glass", "Walnut", "Copper", "Cork", "Marble", "Bamboo", "Wool")
_STATUS = (
    "paid",
    "paid",
    "shipped",
    "shipped",
    "shipped",
    "delivered",
    "delivered",
    "delivered",
    "delivered",
    "cancelled",
)


def require_data(path: Path) -> None:
    """Make the database at ``path`` unless it is there. Several processes may do so at once: the last one wins."""
    if path.exists():
        _require_accounts(path)
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as connection, connection:
        connection.executescript(SCHEMA.read_text() + ACCOUNTS.read_text())
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", _customers())
        connection.executemany("INSERT INTO products VALUES (?, ?, ?)", _products())
        for start in _shown(range(0, ORDERS, _BATCH)):
            connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", _orders(start, start + _BATCH))
    unfinished.replace(path)


def _require_accounts(path: Path) -> None:
    """A database of an older example has no accounts yet."""
    with closing(sqlite3.connect(path)) as connection, connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'accounts'").fetchall():
            connection.executescript(ACCOUNTS.read_text())


def _shown(batches: range) -> Iterable[int]:
    """Show a progress bar where a person is watching."""
    if not sys.stderr.isatty():
        return batches
    return track(batches, description="making the example's orders", console=Console(stderr=True))


def _customers() -> Iterator[tuple[int, str, str]]:
    for number in range(1, CUSTOMERS + 1):
        first, last = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
        yield number, f"{first} {last}", f"{first}.{last}.{number}@example.com".lower()


def _products() -> Iterator[tuple[int, str, int]]:
    for number in range(1, PRODUCTS + 1):
        look, kind = _LOOK[number % len(_LOOK)], _KIND[number // len(_LOOK) % len(_KIND)]
        yield number, f"{look} {kind} {number}", 900 + _draw(number, 1) % 40_000


def _orders(start: int, end: int) -> Iterator[tuple[int, int, int, int, int, str, str]]:
    prices = {number: price for number, _, price in _products()}
    for number in range(start + 1, end + 1):
        product = 1 + _draw(number, 2) % PRODUCTS
        quantity = 1 + _draw(number, 3) % 4
        created_at = _YEAR + timedelta(minutes=_draw(number, 4) % _MINUTES)
        yield (
            number,
            1 + _draw(number, 5) % CUSTOMERS,
            product,
            quantity,
            quantity * prices[product],
            _STATUS[_draw(number, 6) % len(_STATUS)],
            f"{created_at:%Y-%m-%d %H:%M:%SZ}",
        )


def _draw(number: int, salt: int) -> int:
    """Return a number that looks random and is not: two rounds of a multiplicative hash."""
    mixed = (number * 0x9E3779B97F4A7C15 + salt * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 31)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return mixed >> 17
