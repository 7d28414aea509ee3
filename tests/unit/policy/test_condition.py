"""Conditions of rules on arguments: what cannot be judged counts for the stricter side."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel, Field

from mcpward.config.policy import Condition
from mcpward.policy.condition import ArgumentTest


class Colour(Enum):
    RED = "red"


class Customer(BaseModel):
    country: str = Field("DE", alias="land")


@dataclass
class Line:
    amount: int


def holds(value: Any, path: str = "x", *, strict: bool = True, **condition: Any) -> bool:
    return ArgumentTest(path, Condition(**condition)).holds({"x": value}, is_strict=strict)


@pytest.mark.parametrize(
    "value,condition,expected",
    [
        (101, {"above": 100}, True),
        (100, {"above": 100}, False),
        (Decimal("100.01"), {"above": 100}, True),
        (-1, {"below": 0}, True),
        (5, {"at_least": 5, "at_most": 5}, True),
        (6, {"at_least": 5, "at_most": 5}, False),
        ("DE", {"equals": "DE"}, True),
        ("de", {"equals": "DE"}, False),
        (1.0, {"equals": 1}, True),
        (True, {"equals": True}, True),
        (Colour.RED, {"one_of": ["red"]}, True),
        (date(2026, 1, 2), {"equals": "2026-01-02"}, True),
        ("FR", {"none_of": ["DE", "AT"]}, True),
        ("A@example.com", {"like": ["*@example.com"]}, True),
        ("a@evil.com", {"unlike": ["*@example.com"]}, True),
        ("abc", {"longer": 2}, True),
        (None, {"present": False}, True),
        ("a", {"present": False}, False),
        (None, {"above": 0}, False),
        (None, {"none_of": ["DE"]}, False),
    ],
)
def test_a_condition_holds_or_does_not(value, condition, expected):
    assert holds(value, **condition) is expected
    assert holds(value, strict=False, **condition) is expected


@pytest.mark.parametrize(
    "value,condition",
    [
        ("250", {"above": 100}),
        (True, {"above": 0}),
        (float("nan"), {"above": 0}),
        ("1", {"equals": 1}),
        (3, {"like": ["3"]}),
        ("x" * 5_000, {"unlike": ["y"]}),
        ([1] * 20_000, {"above": 100}),
    ],
)
def test_what_cannot_be_judged_denies_and_does_not_allow(value, condition):
    assert holds(value, **condition) is True
    assert holds(value, strict=False, **condition) is False


def test_a_path_leads_into_objects_and_any_entry_of_a_list_counts_for_a_denial():
    lines = [{"amount": 1}, {"amount": 500}]
    assert holds(lines, "x.amount", above=100)
    assert not holds(lines, "x.amount", strict=False, above=100)
    assert holds([Line(500), Line(600)], "x.amount", strict=False, above=100)
    assert holds(Customer(land="FR"), "x.land", none_of=["DE"])
    assert not holds({"other": 1}, "x.amount", above=0)
    assert not holds([], "x.amount", strict=False, above=0)


def test_an_argument_whose_name_has_the_dots_of_a_path_does_not_stand_for_the_one_at_the_path():
    test = ArgumentTest("customer.country", Condition(none_of=("DE",)))
    assert test.holds({"customer": {"country": "XX"}, "customer.country": "DE"}, is_strict=True)


@pytest.mark.parametrize(
    "value,condition,is_denied,is_allowed",
    [
        (["a", "b"], {"equals": "x"}, False, False),
        (["a", "x"], {"equals": "x"}, True, False),
        (["x", "x"], {"equals": "x"}, True, True),
        ([1, 500], {"above": 100}, True, False),
        ([1, 2], {"above": 100}, False, False),
        ([["a"], ["b"]], {"one_of": ["a", "b"]}, True, True),
        ([], {"equals": "x"}, False, False),
        (["a", "b", "c"], {"longer": 2}, True, False),
        ([], {"present": True}, True, True),
    ],
)
def test_the_entries_of_a_list_are_judged_and_the_list_itself_only_by_its_length(
    value, condition, is_denied, is_allowed
):
    assert holds(value, **condition) is is_denied
    assert holds(value, strict=False, **condition) is is_allowed
