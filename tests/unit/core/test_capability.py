"""A client's declared capabilities against the required ones: nothing is taken for declared that was not."""

from typing import Any

import pytest

from mcpward.core.capability import lacks, together

FORM: dict[str, Any] = {"elicitation": {"form": {}}}
URL: dict[str, Any] = {"elicitation": {"url": {}}}
TOOLS: dict[str, Any] = {"sampling": {"tools": {}}}


@pytest.mark.parametrize(
    "declared,needed",
    [
        (FORM, FORM),
        ({"elicitation": {}}, FORM),
        ({"elicitation": {"form": {"x": 1}, "url": {}}}, URL),
        ({"sampling": {"tools": {}}}, {"sampling": {}}),
        (TOOLS, TOOLS),
        ({"roots": {"listChanged": True}}, {"roots": {}}),
        ({}, {}),
        ({"extensions": {"a/b": {}}}, {"extensions": {"a/b": {}}}),
    ],
)
def test_what_was_declared_is_not_lacking(declared, needed):
    assert lacks(declared, needed) is None


@pytest.mark.parametrize(
    "declared,needed,missing",
    [
        ({}, FORM, FORM),
        ({"elicitation": {}}, URL, URL),
        ({"elicitation": {"url": {}}}, FORM, FORM),
        ({"elicitation": {"form": None}}, FORM, FORM),
        ({"elicitation": True}, FORM, FORM),
        ({"elicitation": []}, FORM, FORM),
        ({"sampling": {}}, TOOLS, TOOLS),
        ({"roots": {}}, {"roots": {}, "sampling": {}}, {"sampling": {}}),
        ({"extensions": {}}, {"extensions": {"a/b": {}}}, {"extensions": {"a/b": {}}}),
    ],
)
def test_what_was_not_declared_is_told_as_capabilities(declared, needed, missing):
    assert lacks(declared, needed) == missing


def test_several_needs_are_one():
    assert together([FORM, {"sampling": {}}, URL, TOOLS]) == {
        "elicitation": {"form": {}, "url": {}},
        "sampling": {"tools": {}},
    }
