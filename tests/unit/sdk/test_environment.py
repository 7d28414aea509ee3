"""Secrets by name: vault first, environment second, nothing printed, every value known to redaction (attack 86)."""

import copy

import pytest

from mcpward.core.secret import Secret
from mcpward.sdk.environment import Environment, ServerSecrets
from mcpward.sdk.errors import AuthoringError, MissingSecret, MissingText


@pytest.fixture
def env(monkeypatch) -> Environment:
    monkeypatch.setenv("SHOP_KEY", "from-the-environment")
    monkeypatch.setenv("SHOP_EMPTY", "")
    return Environment()


def vault(**values: str) -> dict[str, ServerSecrets]:
    """A site of one server, whose vault keeps these."""
    return {"shop": ServerSecrets({name: Secret(value, name) for name, value in values.items()})}


def test_a_name_gives_a_secret_that_does_not_show(env):
    assert env.SHOP_KEY.reveal() == "from-the-environment"
    assert "environment" not in f"{env.SHOP_KEY} {env.SHOP_KEY!r} {env!r}"


def test_a_missing_name_is_told_by_name_alone(env):
    with pytest.raises(MissingSecret, match="SHOP_NOTHING"):
        _ = env.SHOP_NOTHING
    assert env.get("SHOP_NOTHING") is None
    assert not hasattr(env, "SHOP_NOTHING")


def test_an_empty_value_is_no_credential(env):
    with pytest.raises(MissingSecret):
        _ = env.SHOP_EMPTY


def test_the_vault_is_asked_first(env):
    uninstall = env.install(vault(SHOP_KEY="from-the-vault"))
    assert env.SHOP_KEY.reveal() == "from-the-vault"
    uninstall()
    assert env.SHOP_KEY.reveal() == "from-the-environment"


def test_every_value_handed_out_is_remembered_with_a_new_version(env):
    assert (env.version, env.handed_out()) == (0, [])
    assert env.SHOP_KEY is env.SHOP_KEY
    assert env.version == 1
    env.install(vault(SHOP_KEY="from-the-vault"))
    _ = env.SHOP_KEY
    assert env.version == 2
    assert {secret.reveal() for secret in env.handed_out()} == {"from-the-environment", "from-the-vault"}


def test_a_default_is_not_a_secret_of_the_house(env):
    assert env.get("SHOP_NOTHING", "sqlite:///x.db").reveal() == "sqlite:///x.db"
    assert env.handed_out() == []


def test_python_may_ask_its_own_questions(env):
    assert copy.copy(env).handed_out() == []


def test_a_setting_is_read_as_text_and_is_no_secret(env):
    assert env.text("SHOP_KEY") == "from-the-environment"
    assert env.text("SHOP_NOTHING", "EUR") == "EUR"
    assert env.text("SHOP_EMPTY", "EUR") == "EUR"
    assert (env.version, env.handed_out()) == (0, [])


def test_a_setting_that_is_not_set_and_has_no_default_is_told_with_the_two_ways_out(env):
    with pytest.raises(MissingText, match="SHOP_NOTHING is not set") as told:
        env.text("SHOP_NOTHING")
    assert told.value.hint == 'export SHOP_NOTHING=… or set a default: env.text("SHOP_NOTHING", "…")'


def test_a_secret_is_not_read_as_text(env, monkeypatch):
    env.install(vault(SHOP_KEY="from-the-vault"))
    with pytest.raises(AuthoringError, match=r"SHOP_KEY is a secret in the vault: read it as env\.SHOP_KEY") as told:
        env.text("SHOP_KEY", "x")
    assert told.value.where.startswith(f"{__file__}:")
    monkeypatch.setenv("SHOP_URL", "postgresql://shop:canary-31@db/shop")
    with pytest.raises(AuthoringError, match="SHOP_URL contains a password") as told:
        env.text("SHOP_URL")
    assert "canary" not in str(told.value)
