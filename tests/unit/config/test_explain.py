import json
import tomllib

import jsonschema_rs
import pytest

from mcpward.config.endpoint import endpoint
from mcpward.config.explain import explain, explain_all, schema, suggestion
from mcpward.config.load import load, read
from mcpward.config.show import masked, shown


@pytest.mark.parametrize("one", explain_all(), ids=lambda one: one.key)
def test_every_setting_is_described_and_its_example_is_taken(one, tmp_path, monkeypatch):
    assert one.help
    assert one.example
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tls").mkdir()
    for name in ("cert", "key"):
        (tmp_path / "tls" / f"{name}.pem").write_text("x")
    table, _, name = one.key.replace("<name>", "orders").rpartition(".")
    text = f"[{table}]\n{name} = {one.example}\n"
    if table.startswith("servers") and name != "source":
        text += '[servers.orders]\nsource = "a:b"\n' if table.endswith("limits") else 'source = "a:b"\n'
    text += 'mode = "public"\n' if name == "access" else ""
    text += 'trusted_proxies = ["127.0.0.1"]\n' if name in {"public_url", "behind_tls_proxy"} else ""
    if name.startswith("tls"):
        text += 'tls_key = "tls/key.pem"\n' if name == "tls_cert" else 'tls_cert = "tls/cert.pem"\n'
    (tmp_path / "mcpward.toml").write_text(text)
    loaded = read(tmp_path / "mcpward.toml", {}, {})
    assert loaded.origins[one.key.replace("<name>", "orders")].layer == "file"
    assert jsonschema_rs.validator_for(schema()).is_valid(tomllib.loads(text))


def test_the_schema_is_closed_at_every_depth():
    body = schema()
    assert body["additionalProperties"] is False
    assert all(one["additionalProperties"] is False for one in body["$defs"].values())
    assert not jsonschema_rs.validator_for(json.loads(json.dumps(body))).is_valid({"sight": {}})


def test_a_setting_of_any_server_is_explained():
    assert explain("servers.orders.mode") == explain("servers.<name>.mode")
    assert explain("site.lisen") is None
    assert suggestion("site.lisen") == "site.listen"


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
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("x://h/d?password=p", "x://h/d?***"),
        ("secret", "***"),
        ("x://u:p@a@h/d", "x://***@h/d"),
    ],
)
def test_a_database_url_is_shown_without_its_password(url, told):
    assert masked(url) == told


def test_a_server_has_its_path():
    one = load(None, {}, {"servers.a.source": "m:a"})
    two = load(
        None, {}, {"servers.a.source": "m:a", "servers.b.source": "m:b", "site.public_url": "http://localhost:9"}
    )
    assert endpoint(one, "a") == "http://127.0.0.1:8000/mcp"
    assert endpoint(two, "b") == "http://localhost:9/b/mcp"
