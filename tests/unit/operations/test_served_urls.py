import pytest

from mcpward.config.load import load
from mcpward.operations.served_urls import lost, served

TWO = {"servers.orders.source": "m:a", "servers.notes.source": "m:b"}
PROXY = {"site.trusted_proxies": ["127.0.0.1/32"]}


def told(before, after, base="http://127.0.0.1:8000"):
    return list(lost(load(None, {}, after), served(load(None, {}, before)), base))


@pytest.mark.parametrize("more", [{}, {"site.default_server": "orders"}, {"servers.orders.hosts": ["o.example"]}])
def test_what_stays_is_not_spoken_of(more):
    assert told(TWO | more, TWO | more) == []
    assert told(TWO, TWO | more) == []


def test_a_host_that_is_taken_away_is_told_with_its_line():
    (line,) = told(TWO | {"servers.orders.hosts": ["o.example"]}, TWO)
    assert "server orders at o.example/mcp, which is nobody's now" in line
    assert line.endswith('write [servers.orders] hosts = ["o.example"]')
    (line,) = told(TWO | {"servers.orders.hosts": ["o.example"]}, TWO | {"servers.notes.hosts": ["o.example"]})
    assert "which is server notes now" in line


def test_another_public_url_is_told_once_and_a_first_one_is_not():
    old, new = {"site.public_url": "https://a.example/ai"}, {"site.public_url": "https://b.example"}
    (line,) = told(TWO | PROXY | old, TWO | PROXY | new, "https://b.example")
    assert line.startswith("clients of the last start use https://a.example/ai, and this site is https://b.example now")
    assert line.endswith('write [site] public_url = "https://a.example/ai"')
    assert told(TWO, TWO | PROXY | new, "https://b.example") == []


def test_a_server_that_has_another_name_now_is_told_once():
    (line,) = told({"servers.orders.source": "m:a"}, {"servers.order.source": "m:a"})
    assert "server orders, and there is no such server now" in line
    assert line.endswith("keep its name ([servers.orders], or --name orders)")
