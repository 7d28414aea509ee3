"""``Identifier`` and ``sql``: what they publish, how they stand in a statement, and what they refuse (attack 69)."""

from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mcpward import Identifier, StatementRefused, ToolError, sql
from mcpward.sdk.database.composed import render
from mcpward.sdk.errors import AuthoringError

SORT = Identifier("name", "o.price", newest="created_at")


@pytest.mark.parametrize(
    "dialect,expected",
    [
        ("sqlite", "SELECT `name`, `o`.`price`, `created_at` FROM t"),
        ("mysql", "SELECT `name`, `o`.`price`, `created_at` FROM t"),
        ("postgresql", 'SELECT "name", "o"."price", "created_at" FROM t'),
    ],
)
def test_a_chosen_name_is_quoted_as_its_database_reads_it(dialect, expected):
    made = sql("SELECT {a}, {b}, {c} FROM t", a=SORT("name"), b=SORT("o.price"), c=SORT("newest"))
    assert render(made, dialect) == expected


def test_its_choices_are_published_and_nothing_else_is_taken():
    adapter = TypeAdapter(Annotated[str, SORT])
    assert adapter.json_schema()["enum"] == ["name", "o.price", "newest"]
    assert adapter.validate_python("newest") == "newest"
    for other in ("created_at", "NAME", "name ", "name, price", ""):
        with pytest.raises(ValidationError):
            adapter.validate_python(other)
        with pytest.raises(ToolError, match=r"choose one of name, o\.price, newest"):
            SORT(other)


@pytest.mark.parametrize("names", [(), ("a b",), ("a;",), ('a"',), ("a`",), ("1a",), ("a.b.c.d",), (1,), ("",), ("ä",)])
def test_a_list_of_other_things_is_refused_at_once(names):
    with pytest.raises(AuthoringError):
        Identifier(*names)


def test_parts_are_joined_and_those_that_are_none_left_out():
    both = sql.where(sql("a = :a"), None, sql("b = :b OR c"))
    spaced = " ".join(render(sql("SELECT 1") + both, "sqlite").split())
    assert spaced == "SELECT 1 WHERE ( a = :a ) AND ( b = :b OR c )"
    assert render(sql("SELECT 1") + sql.where(None), "sqlite") == "SELECT 1"
    assert render(sql(",").join([sql("a"), None, sql("b")]), "sqlite").split() == ["a", ",", "b"]
    assert repr(both) == "sql(…)"


def test_a_comment_at_the_end_of_a_part_hides_no_other_part():
    assert render(sql("SELECT 1 -- one") + sql("WHERE a"), "sqlite").splitlines() == ["SELECT 1 -- one", "WHERE a"]


def test_braces_without_a_name_are_text():
    assert render(sql("SELECT '{a}'"), "sqlite") == "SELECT '{a}'"


@pytest.mark.parametrize("given", ["name", 1, None, SORT, ["name"]])
def test_only_chosen_names_and_sql_go_into_braces(given):
    with pytest.raises(StatementRefused, match="choose a name by Identifier"):
        sql("SELECT {a}", a=given)


def test_a_brace_that_stays_empty_or_is_not_there_is_refused():
    with pytest.raises(StatementRefused, match="not in the text"):
        render(sql("SELECT 1", a=SORT("name")), "sqlite")
    with pytest.raises(StatementRefused, match="not given"):
        render(sql("SELECT {a}, {b}", a=SORT("name")), "sqlite")


def test_texts_are_not_added_to_sql():
    text: Any = "b"
    for add in (lambda: sql("a") + text, lambda: text + sql("a"), lambda: sql("a").join([text])):
        with pytest.raises(StatementRefused):
            add()


def test_a_file_lies_beside_the_module_or_below():
    for name, problem in (("../x.sql", "lies elsewhere"), ("none.sql", "cannot be read"), ("/etc/hosts", "elsewhere")):
        with pytest.raises(AuthoringError, match=problem):
            sql.file(name)
