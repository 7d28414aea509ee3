"""Tool names that well-known clients do not take are reported, with the clients and the remedy."""

from mcpward.tools.portable import remarks


def test_plain_names_are_not_remarked_on():
    assert remarks("orders", ["query_orders", "cancel-order", "x" * 50]) == []


def test_a_dot_is_remarked_on_and_so_is_a_name_that_it_is_taken_for():
    dotted, clash = remarks("orders", ["calendar.read", "calendar_read"])
    assert dotted.startswith("server orders: tool name 'calendar.read': Claude Desktop, claude.ai and Codex")
    assert "rename one of the two" in clash


def test_a_name_over_64_characters_is_remarked_on():
    (long,) = remarks("s", ["x" * 65])
    assert "Claude Desktop, Claude Code and Codex take at most 64 characters" in long


def test_the_servers_name_counts_where_clients_put_it_before():
    assert remarks("orders", ["x" * 51]) == []
    (prefixed,) = remarks("orders", ["x" * 52])
    assert "mcp__orders__NAME" in prefixed
    assert "at most 51" in prefixed


def test_many_names_are_one_line():
    (line,) = remarks("s", [f"a.{number}" for number in range(100)])
    assert "and 95 more" in line
