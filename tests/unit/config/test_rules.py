import pytest

from mcpward.config.load import load
from mcpward.config.rules import RULES
from mcpward.core.errors import Misconfigured

PROXIES = {"site.trusted_proxies": ["10.0.0.0/8"]}
OPEN = {"site.listen": "0.0.0.0:8000", "site.public_url": "https://mcp.example.com"} | PROXIES
METADATA = "https://id.example.com/.well-known/openid-configuration"


def keyed(**more):
    return {"servers.a.source": "m:a"} | {key.replace("__", "."): value for key, value in more.items()}


def whats(overrides):
    with pytest.raises(Misconfigured) as caught:
        load(None, {}, overrides)
    return [finding.what + " | " + finding.hint for finding in caught.value.findings]


def test_a_key_in_clear_does_not_start():
    (told,) = whats(OPEN | keyed())
    assert "credentials would be sent in clear" in told
    assert "behind_tls_proxy = true" in told
    assert load(None, {}, OPEN | keyed(site__behind_tls_proxy=True))


def test_an_unlisted_url_is_a_credential_too():
    assert whats(OPEN | keyed(servers__a__mode="unlisted"))


def test_tls_makes_a_key_fit_to_travel(tmp_path):
    for name in ("cert", "key"):
        (tmp_path / name).write_text("x")
    assert load(None, {}, OPEN | keyed(site__tls_cert=str(tmp_path / "cert"), site__tls_key=str(tmp_path / "key")))


@pytest.mark.parametrize("proxy", [True, False])
def test_public_on_the_network_needs_a_typed_yes(proxy):
    public = OPEN | keyed(servers__a__mode="public", site__behind_tls_proxy=proxy)
    (told,) = whats(public)
    assert "server a is public" in told
    assert "allow_unauthenticated = true" in told
    assert load(None, {}, public | {"site.allow_unauthenticated": True})


def test_the_typed_yes_for_public_does_not_cover_a_key_beside_it():
    mixed = OPEN | keyed(servers__a__mode="public", servers__b__source="m:b", site__allow_unauthenticated=True)
    (told,) = whats(mixed)
    assert "in clear" in told


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "localhost:1", "[::1]:1"])
def test_loopback_needs_neither(listen):
    assert load(None, {}, keyed(site__listen=listen, servers__a__mode="public"))


def test_a_half_tls_pair_and_an_unreadable_file_are_told(tmp_path):
    told = whats(keyed(site__tls_cert=str(tmp_path / "no.pem")))
    assert any("tls_key is missing" in one for one in told)


def test_a_wildcard_bind_needs_a_name():
    (told,) = whats({"site.listen": "[::]:1", "site.behind_tls_proxy": True} | PROXIES | keyed())
    assert "public_url" in told


@pytest.mark.parametrize(
    "mode,access,label",
    [
        ("public", None, "read"),
        ("unlisted", None, "write"),
        ("public", "destructive", "destructive"),
        ("unlisted", "read", "read"),
    ],
)
def test_callers_without_a_key_have_the_class_of_the_mode_or_the_one_that_is_set(mode, access, label):
    given = keyed(servers__a__mode=mode) | ({"servers.a.access": access} if access else {})
    assert load(None, {}, given).servers["a"].keyless_access.label == label


def test_a_class_for_callers_without_a_key_is_refused_where_there_are_none():
    (told,) = whats(keyed(servers__a__access="write"))
    assert "key create --class" in told
    (told,) = whats(keyed(servers__a__access="write", servers__a__mode="oauth", servers__a__oauth__metadata=METADATA))
    assert "[servers.a.oauth.access]" in told
    assert whats(keyed(servers__a__mode="public", servers__a__access="admin"))


def test_a_host_leads_to_one_server():
    (told,) = whats(
        keyed(servers__b__source="m:b") | {"servers.a.hosts": ["x.example"], "servers.b.hosts": ["X.example"]}
    )
    assert "leads to server a already" in told


SEVERAL = {"servers.orders.source": "m:a", "servers.notes.source": "m:b"}


def test_the_default_server_is_one_of_the_site():
    assert load(None, {}, SEVERAL | {"site.default_server": "notes"}).site.default_server == "notes"
    (told,) = whats(SEVERAL | {"site.default_server": "note"})
    assert told == "site.default_server: there is no server note | did you mean 'notes'?"
    (told,) = whats(SEVERAL | {"site.default_server": "zzz"})
    assert told.endswith("there are: orders, notes")
    (told,) = whats({"site.default_server": "zzz"})
    assert told.endswith("write a table [servers.zzz]")
    (told,) = whats(SEVERAL | {"site.default_server": "Not A Name"})
    assert told.startswith("site.default_server: a server's name is")


def test_the_short_path_of_one_host_leads_to_one_server():
    host = "mcp.example.com"
    site = SEVERAL | PROXIES | {"site.public_url": f"https://{host}", "servers.orders.hosts": [host]}
    assert load(None, {}, site)
    assert load(None, {}, site | {"site.default_server": "orders"})
    (told,) = whats(site | {"site.default_server": "notes"})
    assert "/mcp of mcp.example.com would be server notes" in told


def test_a_path_of_the_public_url_is_not_taken_for_a_server():
    site = SEVERAL | PROXIES | {"site.public_url": "https://h.example/notes"}
    assert load(None, {}, site)
    assert load(None, {}, site | {"site.default_server": "notes"})
    (told,) = whats(site | {"site.default_server": "orders"})
    assert told.startswith("/notes/mcp would be server notes behind a proxy that strips the path")


def test_metrics_stand_apart():
    assert whats(keyed(site__metrics_listen="127.0.0.1:8000"))


@pytest.mark.parametrize(
    "proxied",
    [
        {"site.behind_tls_proxy": True},
        {"site.public_url": "https://mcp.example.com"},
        {"site.public_url": "https://mcp.example.com", "servers.a.mode": "public"},
    ],
)
def test_a_proxy_that_is_not_named_is_told(proxied):
    (told,) = whats(keyed() | proxied)
    assert 'trusted_proxies = ["127.0.0.1/32", "::1/128"]' in told
    assert load(None, {}, keyed() | proxied | {"site.trusted_proxies": ["127.0.0.1/32", "::1/128"]})


def test_where_no_proxy_can_be_none_need_be_named(tmp_path):
    for name in ("cert", "key"):
        (tmp_path / name).write_text("x")
    own_tls = {"site.tls_cert": str(tmp_path / "cert"), "site.tls_key": str(tmp_path / "key")}
    assert load(None, {}, keyed() | own_tls | {"site.public_url": "https://mcp.example.com"})
    assert load(None, {}, keyed(site__public_url="http://127.0.0.1:8000"))


@pytest.mark.parametrize("listen", ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:9464", "metrics.example.com:9464"])
def test_metrics_for_other_machines_need_a_typed_yes(listen):
    (told,) = whats(keyed(site__metrics_listen=listen))
    assert "allow_open_metrics = true" in told
    assert load(None, {}, keyed(site__metrics_listen=listen, site__allow_open_metrics=True))
    assert load(None, {}, keyed(site__metrics_listen="localhost:9464"))


@pytest.mark.parametrize(
    "url", ["postgresql://u:p@h/d", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:////a/", "redis://x", "x"]
)
def test_only_a_database_on_disk_is_accepted(url):
    assert whats({"store.url": url})


@pytest.mark.parametrize("given", [{}, {"enforce": False}])
def test_a_budget_limits_something(given):
    (told,) = whats(keyed() | {"budgets.stripe": given})
    assert told == 'budgets.stripe has neither rate nor quota | write rate = "25/second", quota = "10000/day", or both'


def test_a_tool_draws_on_budgets_of_the_file():
    given = keyed() | {"budgets.stripe.rate": "2/second", "servers.a.tools.pay.budgets": {"stirpe": 1, "other": 1}}
    first, second = whats(given)
    assert first == "servers.a.tools.pay.budgets: there is no [budgets.stirpe] | did you mean stripe?"
    assert second.endswith('write [budgets.other] with rate = "…"')


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pw@redis.example.com", "redis://u:pw@8.8.8.8:1/2", "redis://:pw@10.0.0.1,8.8.8.8",
        "redis://:pw@[2001:4860:4860::8888]",
    ],
)  # fmt: skip
def test_the_password_of_redis_crosses_no_public_network_in_clear(url):
    (told,) = whats(keyed() | {"limits.counters": url})
    assert "the password would travel in clear to" in told
    assert "rediss://" in told
    assert "pw" not in told
    assert load(None, {}, keyed() | {"limits.counters": url.replace("redis:", "rediss:")})


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis.example.com", "redis://:pw@127.0.0.1", "redis://:pw@redis", "redis://:pw@10.1.2.3:6380,10.1.2.4",
        "redis://:pw@cache.internal", "redis://:pw@redis.shop.svc.cluster.local", "redis://:pw@[fd00::1]",
    ],
)  # fmt: skip
def test_in_private_networks_redis_may_be_without_tls(url):
    assert load(None, {}, keyed() | {"limits.counters": url}).limits.is_shared


def test_what_cannot_be_divided_between_workers_is_told():
    given = keyed() | {
        "site.workers": 4,
        "budgets.a.rate": "100/second burst 3",
        "budgets.b.quota": "2/day",
        "budgets.c.rate": "4/second",
        "servers.a.limits.total": "3/second",
        "servers.a.limits.concurrency": 3,
        "pools.a.concurrency": 3,
        "pools.b.queue": 1,
    }
    told = whats(given)
    assert [one.partition(" ")[0] for one in told] == [
        "budgets.a.rate", "budgets.b.quota", "servers.a.limits.total", "servers.a.limits.concurrency",
        "pools.a.concurrency",
    ]  # fmt: skip
    assert "cannot be divided between 4 workers: it allows 3 at once" in told[0]
    assert load(None, {}, given | {"limits.counters": "redis://127.0.0.1"})
    assert load(None, {}, given | {"site.workers": 2})


def test_every_rule_has_a_sentence():
    assert all(rule.__doc__ for rule in RULES)
