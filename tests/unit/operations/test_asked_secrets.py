"""Which secrets a site's servers ask for, by which tool, and which of them are set."""

from pathlib import Path

import pytest

from mcpward.config.load import load
from mcpward.core.secret import Secret
from mcpward.operations.asked_secrets import AskedSecret, asked_secrets
from mcpward.operations.sources import load_sources
from mcpward.operations.tool_sources import tool_sources_of

ORDERS = '''
from mcpward import Server, env

server = Server("orders")
TOKEN = env.ORDERS_TOKEN
OPTIONAL = env.get("ORDERS_OPTIONAL")
DEBUG = hasattr(env, "ORDERS_DEBUG")


@server.tool(read_only=True)
async def query_orders() -> str:
    """Query."""
    return env.STRIPE_KEY.reveal()


@server.tool(read_only=True)
async def list_orders() -> str:
    """List."""
    return env.STRIPE_KEY.reveal() + env.get("ORDERS_CACHE", "").reveal()


@server.resource("orders://all")
async def everything() -> str:
    """Everything."""
    return env.UNREADABLE.reveal()
'''


@pytest.fixture
def asked(tmp_path: Path) -> dict[tuple[str, str], AskedSecret]:
    (tmp_path / "orders.py").write_text(ORDERS)
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "UNREADABLE").write_bytes(b"\xff")
    config = tmp_path / "mcpward.toml"
    config.write_text('[secrets]\nfiles = ["mounted"]\n[servers.orders]\nsource = "orders.py"\n')
    settings = load(config, {}, {"site.data": str(tmp_path / "data")})
    vault = {"orders": {"ORDERS_TOKEN": Secret("canary-of-the-token", "ORDERS_TOKEN")}}
    found = asked_secrets(tool_sources_of(settings, load_sources(settings, vault)))
    assert "canary" not in repr(found)
    return {(one.name, one.by): one for one in found if one.server == "orders"}


def test_each_secret_is_named_with_each_tool_that_asks_for_it(asked):
    assert set(asked) == {
        ("ORDERS_TOKEN", "the import of its source"),
        ("ORDERS_OPTIONAL", "the import of its source"),
        ("ORDERS_DEBUG", "the import of its source"),
        ("STRIPE_KEY", "tool query_orders"),
        ("STRIPE_KEY", "tool list_orders"),
        ("ORDERS_CACHE", "tool list_orders"),
        ("UNREADABLE", "resource orders://all"),
    }


def test_what_is_missing_is_what_a_call_would_fail_for(asked):
    assert {key for key, one in asked.items() if one.is_missing} == {
        ("STRIPE_KEY", "tool query_orders"),
        ("STRIPE_KEY", "tool list_orders"),
        ("UNREADABLE", "resource orders://all"),
    }
    assert asked["ORDERS_TOKEN", "the import of its source"].is_set
    missing = asked["STRIPE_KEY", "tool query_orders"]
    assert missing.hint == "mcpward secret set STRIPE_KEY --server orders"
    assert missing.where.endswith("orders.py:13")


def test_a_file_that_cannot_be_read_says_why(asked):
    one = asked["UNREADABLE", "resource orders://all"]
    assert one.problem.startswith("which cannot be read: ")
    assert one.problem.endswith("UNREADABLE is not UTF-8")
    assert one.hint == 'read it yourself: env.path("UNREADABLE")'
