"""``Owned``: which rows are the caller's, and which return types have rows at all."""

import copy
from typing import Any

import pytest
from pydantic import BaseModel

from mcpward import Owned, Server
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.owned import ForeignRows

MINE, THEIRS = {"id": 1, "user_id": "me"}, {"id": 2, "user_id": "you"}


class Order(BaseModel):
    id: int
    user_id: str


class Page(BaseModel):
    items: list[Order]
    total: int


class Outer(BaseModel):
    page: Page


@pytest.mark.parametrize(
    "within,value",
    [
        ("", []), ("", [MINE]), ("", MINE), ("", None), ("items", {"items": [MINE], "total": 1}),
        ("page.items", {"page": {"items": []}}), ("items", {"items": None}), ("row", {"row": MINE}),
    ],
)  # fmt: skip
def test_the_callers_own_rows_stay_as_they_are(within: str, value: Any):
    before = copy.deepcopy(value)
    assert Owned(by="user_id", within=within).own(value, "me") == (before, 0)


@pytest.mark.parametrize(
    "within,value",
    [
        ("", [MINE, THEIRS]), ("", THEIRS), ("items", {"items": [THEIRS]}), ("page.items", {"page": {"items": THEIRS}}),
        ("", [{"id": 1}]), ("", [{"user_id": None}]), ("", ["me"]), ("", "me"), ("", [[MINE]]), ("items", {"rows": []}),
        ("items", [MINE]), ("", [{"user_id": True}]), ("", [{"user_id": ["me"]}]), ("", [{"user_id": "ME"}]),
    ],
)  # fmt: skip
def test_anything_else_is_refused(within: str, value: Any):
    with pytest.raises(ForeignRows) as found:
        Owned(by="user_id", within=within).own(value, "me")
    assert "you" not in str(found.value)


def test_rows_of_others_are_dropped_from_a_list_and_from_nowhere_else():
    dropping = Owned(by="user_id", foreign="drop")
    assert dropping.own([MINE, THEIRS, MINE], "me") == ([MINE, MINE], 1)
    assert Owned(by="user_id", within="items", foreign="drop").own({"items": [THEIRS]}, "me") == ({"items": []}, 1)
    for value in (THEIRS, [{"id": 1}]):
        with pytest.raises(ForeignRows):
            dropping.own(value, "me")


def test_a_number_in_a_row_is_the_text_of_a_tag_and_nothing_is_nobodys():
    assert Owned(by="n").own([{"n": 42}], "42") == ([{"n": 42}], 0)
    for row, own in (({"n": 42}, "042"), ({"n": "42"}, 42), ({"n": 1}, True), ({"n": None}, None)):
        with pytest.raises(ForeignRows):
            Owned(by="n").own([row], own)


@pytest.mark.parametrize(
    "returns,within",
    [(list[Order], ""), (Order, ""), (Order | None, ""), (Page, "items"), (Outer, "page.items"), (list[dict], "")],
)
def test_a_return_type_with_rows_is_taken(returns: Any, within: str):
    assert declare(returns, Owned(by="user_id", within=within)).tools


@pytest.mark.parametrize(
    "returns,within,said",
    [
        (str, "", "Owned finds no rows"), (list[int], "", "Owned finds no rows"), (None, "", "publishes none"),
        (list[Order], "items", "Owned names 'items'"), (Page, "", "Owned names 'user_id'"),
        (Page, "itmes", "Owned names 'itmes'"), (list[Page], "", "Owned names 'user_id'"),
    ],
)  # fmt: skip
def test_a_return_type_without_rows_is_an_authors_mistake(returns: Any, within: str, said: str):
    with pytest.raises(AuthoringError) as wrong:
        declare(returns, Owned(by="user_id", within=within))
    assert said in str(wrong.value)
    assert wrong.value.hint


def test_options_that_name_nothing_are_an_authors_mistake():
    for given in ({"by": ""}, {"by": 1}, {"by": "a", "caller": "email"}, {"by": "a", "foreign": "hide"}):
        with pytest.raises(AuthoringError, match="Owned: ") as wrong:
            Owned(**given)
        assert wrong.value.hint


def declare(returns: Any, guard: Owned) -> Server:
    server = Server("shop")

    def act() -> Any:
        """Act."""

    act.__annotations__["return"] = returns
    server.tool(guards=[guard])(act)
    return server
