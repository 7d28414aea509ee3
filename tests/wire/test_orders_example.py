"""examples/orders as it is shipped: a range of dates that has a bound, and a cancellation that a person agrees to."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.orders import FORM, approval_in, call, make_key, reason_of, text_of
from support.ports import free_port
from support.sources import ROOT
from support.ward import LAVISH, Ward, configure
from support.wire import rows, until

EXAMPLE = ROOT / "examples" / "orders"
YES = {"action": "accept", "content": {"confirm": True}}
NO = {"action": "decline"}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder: Path = tmp_path_factory.mktemp("example") / "orders"
    folder.mkdir()
    ward = Ward(folder, free_port(), free_port())
    servers = f'[servers.orders]\nsource = "tools.py"\n[servers.orders.limits]\n{LAVISH}'
    configure(folder, ward.port, ward.metrics_port, "", servers)
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.db*", "*.toml", ".mcpward"), dirs_exist_ok=True)
    ward.key = make_key(ward, "staff", "--scope", "*")
    ward.start()
    try:
        yield ward
    finally:
        ward.stop()


@pytest.fixture
def paid(ward: Ward) -> Iterator[tuple[int, int]]:
    """An order that may be cancelled, with its total; each test has its own."""
    with closing(sqlite3.connect(ward.folder / "orders.db")) as db:
        row = db.execute("SELECT id, total_cents FROM orders WHERE status = 'paid' ORDER BY id LIMIT 1").fetchone()
    yield row
    with closing(sqlite3.connect(ward.folder / "orders.db")) as db, db:
        db.execute("UPDATE orders SET status = 'shipped' WHERE id = ?", row[:1])


def status(ward: Ward, order: int) -> str:
    with closing(sqlite3.connect(ward.folder / "orders.db")) as db:
        return str(db.execute("SELECT status FROM orders WHERE id = ?", [order]).fetchone()[0])


def query(ward: Ward, start: str, end: str) -> dict[str, Any]:
    return call(ward, "query_orders", {"from_date": f"{start}T00:00:00Z", "to_date": f"{end}T00:00:00Z"})


def answered(ward: Ward, order: int, answer: dict[str, Any], **more: Any) -> tuple[str, dict[str, Any]]:
    """Call, answer the question, and return it with the second answer."""
    asked = call(ward, "cancel_order", {"order_id": order}, capabilities=FORM)
    ((key, question),) = asked["inputRequests"].items()
    state = asked["requestState"]
    arguments = more.pop("arguments", {"order_id": order})
    second = call(
        ward, "cancel_order", arguments, capabilities=FORM, inputResponses={key: answer}, requestState=state, **more
    )
    return question["params"]["message"], second


def test_ten_years_are_refused_with_the_number_of_days_and_89_days_are_served(ward: Ward):
    refused = query(ward, "2016-03-01", "2026-03-01")
    assert refused["isError"]
    assert "90 days" in text_of(refused)
    assert "3652" in text_of(refused)
    served = query(ward, "2026-01-01", "2026-03-31")
    assert not served.get("isError")
    assert len(served["structuredContent"]["result"]) == 20


def test_a_cancellation_names_the_worth_and_runs_once_on_yes(ward: Ward, paid: tuple[int, int]):
    order, cents = paid
    question, done = answered(ward, order, YES)
    assert question.startswith(f"Cancel order {order} of {cents / 100:,.2f}?")
    assert text_of(done) == f"order {order} is cancelled"
    assert status(ward, order) == "cancelled"


def test_no_cancels_nothing(ward: Ward, paid: tuple[int, int]):
    _, refused = answered(ward, paid[0], NO)
    assert reason_of(refused) == "consent-missing"
    assert status(ward, paid[0]) == "paid"


def test_a_yes_is_for_these_arguments_and_this_caller(ward: Ward, paid: tuple[int, int]):
    other = make_key(ward, "other-staff", "--scope", "*")
    until(lambda: "error" not in call(ward, "search_products", {"words": "oak"}, key=other), 3.0)
    for changed in ({"arguments": {"order_id": paid[0] + 1}}, {"key": other}):
        _, refused = answered(ward, paid[0], YES, **changed)
        assert reason_of(refused), refused
    assert status(ward, paid[0]) == "paid"


def test_where_the_client_cannot_ask_the_operator_approves_one_call(ward: Ward, paid: tuple[int, int]):
    order = paid[0]
    waiting = approval_in(call(ward, "cancel_order", {"order_id": order}))
    assert f"Cancel order {order} of" in ward.cli("approve", "show", waiting).stdout
    assert status(ward, order) == "paid"
    ward.cli("approve", "call", waiting, "--yes")
    assert text_of(call(ward, "cancel_order", {"order_id": order})) == f"order {order} is cancelled"
    assert reason_of(call(ward, "cancel_order", {"order_id": order})) == "consent-missing"
    assert until(lambda: rows(ward, "tool = 'cancel_order' AND outcome = 'ok'"))


def test_nobody_is_asked_about_an_order_that_is_not_there(ward: Ward):
    refused = call(ward, "cancel_order", {"order_id": 999_999}, capabilities=FORM)
    assert refused["isError"]
    assert "there is no such order" in text_of(refused)
