import json
import tomllib
from functools import cache

import jsonschema_rs
import pytest

from mcpward.config.address import Address
from mcpward.config.endpoint import endpoint, endpoints, metadata_at, metadata_url, served_paths
from mcpward.config.explain import explain, explain_all, schema, suggestion
from mcpward.config.load import load, read
from mcpward.config.masked import masked
from mcpward.config.show import shown

SOURCE = {"servers.<name>.source": '"a:b"'}
PROVIDER = '"https://id.example.com/.well-known/openid-configuration"'
OWN = {"issuers.<name>.metadata": PROVIDER}
TOKENS = SOURCE | {"servers.<name>.mode": '"oauth"'}
#: The needs of a setting beside itself, by the beginning of its name; the first that fits counts.
BESIDE = {
    "site.default_server": SOURCE,
    "site.public_url": {"site.trusted_proxies": '["127.0.0.1"]'},
    "site.behind_tls_proxy": {"site.trusted_proxies": '["127.0.0.1"]'},
    "site.tls_cert": {"site.tls_key": '"tls/key.pem"'},
    "site.tls_key": {"site.tls_cert": '"tls/cert.pem"'},
    "servers.<name>.source": {},
    "servers.<name>.access": SOURCE | {"servers.<name>.mode": '"public"'},
    "servers.<name>.oauth.metadata": TOKENS,
    "servers.<name>.oauth.issuers": TOKENS | {"issuers.main.metadata": PROVIDER},
    "servers.<name>.oauth.permissions.<name>.issuer": TOKENS
    | {"servers.<name>.oauth.issuers": '["main"]', "issuers.main.metadata": PROVIDER},
    "servers.<name>.oauth": TOKENS | {"servers.<name>.oauth.metadata": PROVIDER},
    "servers.<name>.tools.<name>.budgets": SOURCE | {"budgets.stripe.rate": '"25/second"'},
    "servers.<name>.rules.<name>": SOURCE | {"servers.<name>.rules.<name>.do": '"confirm"'},
    "servers": SOURCE,
    "issuers.<name>.metadata": {},
    "issuers.<name>.client_id": OWN | {"issuers.<name>.client_secret": '"env:NAME"'},
    "issuers.<name>.client_secret": OWN | {"issuers.<name>.client_id": '"mcpward"'},
    "issuers.<name>.introspection": OWN
    | {"issuers.<name>.client_id": '"mcpward"', "issuers.<name>.client_secret": '"env:NAME"'},
    "issuers": OWN,
    "secrets.manager.url": {"secrets.manager.token": '"env:NAME"'},
    "secrets.manager": {"secrets.manager.url": '"https://vault.example"', "secrets.manager.token": '"env:NAME"'},
    "budgets.<name>.rate": {},
    "budgets.<name>.quota": {},
    "budgets": {"budgets.<name>.rate": '"25/second"'},
}


@cache
def validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schema())


def named(key: str) -> str:
    return key.replace("permissions.<name>", "permissions.group:admins").replace("<name>", "orders")


def quoted(key: str) -> str:
    return ".".join(f'"{part}"' for part in named(key).split("."))


@pytest.mark.parametrize("one", explain_all(), ids=lambda one: one.key)
def test_every_setting_is_described_and_its_example_is_taken(one, tmp_path, monkeypatch):
    assert one.help
    assert one.example
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tls").mkdir()
    for name in ("cert", "key"):
        (tmp_path / "tls" / f"{name}.pem").write_text("x")
    given = next((more for key, more in BESIDE.items() if one.key.startswith(key)), {}) | {one.key: one.example}
    text = "".join(f"{quoted(key)} = {value}\n" for key, value in given.items())
    (tmp_path / "mcpward.toml").write_text(text)
    loaded = read(tmp_path / "mcpward.toml", {}, {})
    origins = [origin for key, origin in loaded.origins.items() if key.startswith(named(one.key))]
    assert {origin.layer for origin in origins} == {"file"}
    assert validator().is_valid(tomllib.loads(text))


def test_the_schema_is_closed_at_every_depth():
    body = schema()
    assert body["additionalProperties"] is False
    assert all(one["additionalProperties"] is False for one in body["$defs"].values())
    assert not jsonschema_rs.validator_for(json.loads(json.dumps(body))).is_valid({"sight": {}})


def test_a_setting_of_any_server_is_explained():
    assert explain("servers.orders.mode") == explain("servers.<name>.mode")
    assert explain("site.lisen") is None
    assert suggestion("site.lisen") == "site.listen"


def type_of(name: str) -> str:
    explained = explain(name)
    assert explained is not None
    return explained.type


def test_a_setting_of_any_name_is_explained():
    assert explain("issuers.main.metadata") == explain("issuers.<name>.metadata")
    assert type_of("servers.orders.oauth.permissions.group:admins.access") == '"read" or "write" or "destructive"'
    assert type_of("servers.orders.oauth.scopes") == "table of texts"
    assert suggestion("issuers.main.metdata") == "issuers.<name>.metadata"


def test_tables_of_values_are_shown_with_the_place_where_they_begin(tmp_path):
    (tmp_path / "mcpward.toml").write_text(
        f'issuers.main.metadata = {PROVIDER}\n[servers.a]\nsource = "m:a"\nmode = "oauth"\n[servers.a.oauth]\n'
        'issuers = ["main"]\n[servers.a.oauth.scopes]\n"a:read" = "Read"\n'
        '[servers.a.oauth.permissions."group:admins"]\naccess = "write"\n'
    )
    by_key = {row.key: row for row in shown(read(tmp_path / "mcpward.toml", {}, {}))}
    scopes = by_key["servers.a.oauth.scopes"]
    assert (scopes.text, scopes.origin.where[-2:]) == ('{ "a:read" = "Read" }', ":8")
    assert by_key["servers.a.oauth.permissions.group:admins.access"].value == "write"
    assert by_key["issuers.main.leeway_s"].origin.layer == "default"


def test_shown_is_every_setting_once(tmp_path):
    (tmp_path / "mcpward.toml").write_text(
        '[servers.b]\nsource = "m:b"\n[servers.a]\nsource = "m:a"\nmode = "public"\n'
    )
    rows = shown(read(tmp_path / "mcpward.toml", {}, {}))
    keys = [row.key for row in rows]
    assert len(set(keys)) == len(keys)
    assert {"site.listen", "servers.a.limits.read", "servers.b.mode"} <= set(keys)
    by_key = {row.key: row for row in rows}
    assert by_key["servers.a.mode"].origin.where.endswith("mcpward.toml:5")
    assert by_key["servers.b.mode"].origin.layer == "default"
    assert by_key["servers.b.limits.read"].value == "120/minute"


@pytest.mark.parametrize(
    "url,told",
    [
        ("postgresql://u:p@h/d", "postgresql://***@h/d"),
        ("redis://u:p@h:1,i:2/0", "redis://***@h:1,i:2/0"),
        ("memory", "memory"),
        ("env:REDIS_URL", "env:REDIS_URL"),
        ("env:p/w", "***"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("x://h/d?password=p", "x://h/d?***"),
        ("secret", "***"),
        ("x://u:p@a@h/d", "x://***@h/d"),
    ],
)
def test_a_database_url_is_shown_without_its_password(url, told):
    assert masked(url) == told


def test_a_server_has_a_url_that_no_other_server_changes():
    one = load(None, {}, {"servers.a.source": "m:a"})
    two = load(
        None, {}, {"servers.a.source": "m:a", "servers.b.source": "m:b", "site.public_url": "http://localhost:9"}
    )
    assert endpoints(one, "a") == ("http://127.0.0.1:8000/a/mcp", "http://127.0.0.1:8000/mcp")
    assert endpoints(two, "b") == ("http://localhost:9/b/mcp",)
    assert endpoint(one, "a", Address(host="::1", port=7)) == "http://[::1]:7/a/mcp"


def test_the_default_server_has_the_short_url_too():
    site = {"servers.a.source": "m:a", "servers.b.source": "m:b", "site.default_server": "b"}
    settings = load(None, {}, site)
    assert endpoints(settings, "a") == ("http://127.0.0.1:8000/a/mcp",)
    assert endpoints(settings, "b") == ("http://127.0.0.1:8000/b/mcp", "http://127.0.0.1:8000/mcp")


def test_a_path_of_the_public_url_may_arrive_or_be_taken_away():
    oauth = {
        "servers.a.mode": "oauth",
        "servers.a.oauth.metadata": "https://id.example.com/.well-known/openid-configuration",
    }
    site = {
        "site.public_url": "https://h.example/ai/",
        "site.trusted_proxies": ["127.0.0.1"],
        "servers.a.source": "m:a",
    }
    short, known = "https://h.example/ai/mcp", "/.well-known/oauth-protected-resource"
    assert [(one.path, one.url, one.metadata) for one in served_paths(load(None, {}, site | oauth))] == [
        ("/a/mcp", "", f"{known}/a/mcp"),
        ("/mcp", short, f"{known}/mcp"),
        ("/ai/a/mcp", "", f"{known}/ai/a/mcp"),
        ("/ai/mcp", short, f"{known}/ai/mcp"),
    ]
    assert not any(one.metadata for one in served_paths(load(None, {}, site)))


@pytest.mark.parametrize(
    "url,told",
    [
        ("https://h.example", "https://h.example/.well-known/oauth-protected-resource/a/mcp"),
        ("https://h.example/tenant/", "https://h.example/.well-known/oauth-protected-resource/tenant/a/mcp"),
        ("https://H.example:8443", "https://h.example:8443/.well-known/oauth-protected-resource/a/mcp"),
    ],
)
def test_metadata_stand_at_a_path_inserted_before_that_of_the_server(url, told):
    site = {"servers.a.source": "m:a", "site.public_url": url, "site.trusted_proxies": ["127.0.0.1"]}
    settings = load(None, {}, site)
    assert metadata_url(settings, "a") == told
    assert metadata_at(endpoints(settings, "a")[1]) == told.replace("/a/mcp", "/mcp")
