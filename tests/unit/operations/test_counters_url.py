"""The URL of the counters: from the settings, or from the variable that these name; its password stays inside."""

import pytest

from mcpward.config.load import load
from mcpward.core.errors import Misconfigured
from mcpward.operations.counters_url import counters_url
from mcpward.operations.known_secrets import Secrets

PASSWORD = "kx93 long-hidden"
WRITTEN = "kx93%20long-hidden"


def settings(counters):
    return load(None, {}, {"limits.counters": counters})


def test_memory_has_no_url():
    assert counters_url(settings("memory")) is None


def test_the_url_is_a_secret():
    url = counters_url(settings("redis://127.0.0.1:7"))
    assert url is not None
    assert (url.reveal(), repr(url)) == ("redis://127.0.0.1:7", "Secret(***)")


def test_a_variable_holds_it(monkeypatch):
    monkeypatch.setenv("SHOP_REDIS", " redis://127.0.0.1:7\n")
    url = counters_url(settings("env:SHOP_REDIS"))
    assert url is not None
    assert url.reveal() == "redis://127.0.0.1:7"


@pytest.mark.parametrize("value", [None, "", "kx93", "http://kx93@h", "redis://:kx93@redis.example.com"])
def test_a_variable_without_a_fit_url_is_told_and_its_value_is_not(monkeypatch, value):
    monkeypatch.delenv("SHOP_REDIS", raising=False)
    if value is not None:
        monkeypatch.setenv("SHOP_REDIS", value)
    with pytest.raises(Misconfigured) as wrong:
        counters_url(settings("env:SHOP_REDIS"))
    [finding] = wrong.value.findings
    assert finding.where == "limits.counters"
    assert "kx93" not in finding.what + finding.hint


@pytest.mark.parametrize("is_named", [False, True])
def test_its_password_is_redacted_as_it_is_and_as_it_is_written(monkeypatch, is_named):
    url = f"redis://house:{WRITTEN}@127.0.0.1"
    monkeypatch.setenv("SHOP_REDIS", url)
    secrets = Secrets(settings("env:SHOP_REDIS" if is_named else url), {})
    for said in (PASSWORD, WRITTEN):
        assert said not in secrets.text(f"cannot log in with {said}")
