"""A server gets another name in the text of the file, and nothing else of the text changes."""

import tomllib

import pytest

from mcpward.config.renaming import NotRenamed, renamed_server

SAME = [
    '[servers.orders]\nsource = "tools.py"\n',
    '[servers."orders"]\nsource = "tools.py"\n',
    "[ servers . 'orders' ]  # orders\nsource = 'orders.py'\n",
    '[servers]\norders.source = "tools.py"\norders.mode = "public"\n',
    '[servers]\norders = { source = "tools.py" }\nnotes = { source = "orders.py" }\n',
    'servers.orders.source = "tools.py"\nservers.notes.source = "orders"\n',
    '[site]\ndefault_server = "orders"  # it\n\n[servers.orders]\nsource = "a"\n[servers.orders.limits]\n',
    '[servers.orders.tools.orders]\nrate = "1/s"\n[servers.notes]\nsource = "orders"\n[servers.orders]\nsource = "a"\n',
    '[servers.notes]\nsource = """\n[servers.orders]\n"""\n[servers.orders]\nsource = "a"\n',
    '[servers.orders]\r\nsource = "a"\r\n[servers.orders.oauth]\r\nissuers = ["orders"]\r\n',
]


@pytest.mark.parametrize("text", SAME)
def test_every_way_to_write_a_server_is_renamed_and_the_rest_stays(text):
    after = renamed_server(text, "orders", "shop")
    old, new = tomllib.loads(text), tomllib.loads(after)
    assert new["servers"].pop("shop") == old["servers"].pop("orders")
    assert new.get("site", {}).pop("default_server", "shop") == "shop"
    old.get("site", {}).pop("default_server", None)
    assert new == old
    assert after.count("#") == text.count("#")
    assert after.count("\r\n") == text.count("\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "servers = { orders = { source = 'a' } }\n",
        "[servers.notes]\n",
        "[servers.orders]\n[servers.shop]\n",
        "[servers",
    ],
)
def test_what_cannot_be_renamed_in_place_is_said_to_be_so(text):
    with pytest.raises(NotRenamed):
        renamed_server(text, "orders", "shop")
