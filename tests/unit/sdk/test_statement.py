"""SQL is one statement with named parameters, or it does not reach the database (attacks 71, 72)."""

import pytest
import sqlalchemy

from mcpward.sdk.database.rewriting import rewritten
from mcpward.sdk.database.statement import (
    read_statement,
    require_mysql,
    require_parameters,
    require_read,
    require_write,
)
from mcpward.sdk.errors import StatementRefused


@pytest.mark.parametrize(
    "sql,names",
    [
        ("SELECT 1", set()),
        ("SELECT * FROM t WHERE a = :a AND b = :b ;", {"a", "b"}),
        ("select ':no', \":no\", [:no], `:no` -- :no\n/* :no */ , :yes", {"yes"}),
        ("SELECT 'it''s', x::text, :a", {"a"}),
        ("SELECT 1; -- a last word", set()),
        ("SELECT '; DELETE FROM t'", set()),
    ],
)
def test_one_statement_is_read_with_its_parameters(sql, names):
    assert read_statement(sql).names == names


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "  -- nothing",
        ";",
        "SELECT 1; SELECT 2",
        "SELECT 1; COMMIT; DROP TABLE t",
        "SELECT 1 ;/**/; SELECT 2",
        "SELECT 'open",
        'SELECT "open',
        "SELECT 1 /* open",
        "SELECT 1 /* a */ */ 'b",
        "SELECT ?",
        "SELECT 1\0",
        "SELECT '__[POSTCOMPILE_a]' FROM t WHERE a IN :a",
        "ATTACH 'x' AS y",
        "SELECT load_extension('x')",
        "SELECT LOAD_EXTENSION ('x')",
        "PRAGMA query_only = OFF",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_anything_else_is_refused(sql):
    with pytest.raises(StatementRefused):
        require_read(read_statement(sql))


@pytest.mark.parametrize(
    "sql", ["DELETE FROM t", "UPDATE t SET a = 1", "DROP TABLE t", "BEGIN", "VACUUM", "EXPLAIN SELECT 1"]
)
def test_a_query_only_reads(sql):
    with pytest.raises(StatementRefused):
        require_read(read_statement(sql))


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1", "WITH a AS (SELECT 1) SELECT 1", "DROP TABLE t", "CREATE TABLE t (a)", "REPLACE INTO t VALUES (1)"],
)
def test_execute_takes_three_verbs(sql):
    with pytest.raises(StatementRefused):
        require_write(read_statement(sql))


def test_parameters_match_exactly():
    statement = read_statement("SELECT :a, :b")
    require_parameters(statement, frozenset({"a", "b"}))
    with pytest.raises(StatementRefused, match=":b is not given"):
        require_parameters(statement, frozenset({"a"}))
    with pytest.raises(StatementRefused, match="no parameter :c"):
        require_parameters(statement, frozenset({"a", "b", "c"}))


def test_a_long_hostile_text_is_read_in_linear_time():
    for text in ("'" * 100_001, "/*" * 50_000, "--" * 50_000, "(" * 100_000, "a" * 100_000):
        try:
            read_statement("SELECT " + text)
        except StatementRefused:
            continue


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ':no', \":no\", [:no], `:no` -- :no\n/* :no */ , :yes",
        "SELECT '12:30:45', 'a::no', ':::no', 'a\\:no', x::text, :yes -- :no:",
    ],
)
def test_a_driver_is_given_parameters_only_where_they_are_read(sql):
    clause = sqlalchemy.text(rewritten(sql, arrays=frozenset(), expanding=frozenset(), is_postgresql=True)[0])
    assert [*clause._bindparams] == ["yes"]
    assert str(clause) == sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM t WHERE a LIKE :a ESCAPE '\\' AND b = :b",
        "SELECT 1 # it's :a\n, :a",
        "SELECT 1 --' \n + :a --'",
        "SELECT 1 /*! , :a */",
        "SELECT 1 /*M! , :a */",
    ],
)
def test_what_mysql_reads_otherwise_is_refused_there(sql):
    with pytest.raises(StatementRefused):
        require_mysql(sql)


def test_plain_comments_and_quotes_are_the_same_to_mysql():
    require_mysql("SELECT '#', '--x', `a#`, 'it''s' -- a comment\n/* #1 --x */ FROM t --")
