"""Without a site's file, every command that needs one says so in the same words, with the command that makes one."""

import asyncio

import pytest

from mcpward.cli.site import CLOCK, settings_of
from mcpward.operations.site import open_site
from mcpward.storage.served import ServedUrl

URL = "http://127.0.0.1:8000/orders/mcp"


def serve_once(*servers):
    """Leave the data that a start without a site's file leaves."""

    async def run():
        async with open_site(settings_of(None), CLOCK) as site:
            await site.store.served.replace([ServedUrl(f"/{server}/mcp", server) for server in servers])

    asyncio.run(run())


@pytest.mark.parametrize(
    "words",
    [
        ("connect", "cursor", "--server", "orders"),
        ("access",),
        ("access", "--server", "orders"),
        ("call", "orders", "find"),
        ("tools",),
        ("tools", "orders"),
    ],
    ids=" ".join,
)
def test_a_command_that_needs_a_site_names_the_command_that_makes_one(cli, folder, words):
    server = " 'orders'" if "orders" in words else ""
    said = cli(*words)
    assert (said.code, said.out) == (2, "")
    assert f"error: there is no server{server} here: no mcpward.toml in {folder}\n" in said.err
    assert "hint: create a site: mcpward init DIR" in said.err
    (folder / "mcpward.toml").write_text('[site]\nlisten = "127.0.0.1:8123"\n')
    said = cli(*words)
    assert (said.code, said.out) == (2, "")
    assert f"error: there is no server{server} here: mcpward.toml has none\n" in said.err
    assert "hint: add [servers.NAME]" in said.err


def test_a_server_that_has_to_be_named_may_also_be_made(cli, folder):
    for words in (("connect", "cursor"), ("key", "create", "--name", "a")):
        said = cli(*words)
        assert (said.code, said.out) == (2, "")
        assert "hint: add --server NAME, or create a site: mcpward init DIR" in said.err


def test_connect_says_which_address_it_assumes_for_what_was_served_without_a_file(cli, folder):
    serve_once("orders")
    said = cli("connect", "cursor")
    assert said.code == 0
    assert URL in said.out
    assert "no mcpward.toml here: assumed that mcpward serve listens at http://127.0.0.1:8000; --url URL" in said.err
    for words in (("--url", URL), ("--config", "site.toml")):
        (folder / "site.toml").write_text('[site]\nlisten = "127.0.0.1:8000"\n')
        said = cli("connect", "cursor", *words)
        assert said.code == 0
        assert "assumed" not in said.err


def test_connect_with_a_url_needs_no_site(cli, folder):
    said = cli("connect", "cursor", "--url", "https://mcp.example.com/orders/mcp")
    assert said.code == 0
    assert "assumed" not in said.err
