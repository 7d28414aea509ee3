"""The advice to the operator after a refused host or origin, and how often."""

import logging

import pytest

from mcpward.ingress.advice import Advice
from support.clock import ManualClock


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "mcpward.ingress"]


@pytest.mark.parametrize(
    "host, line",
    [
        (b"10.0.0.5:8000", '[site] allowed_hosts = ["10.0.0.5:8000"]'),
        (b"MCP_Server", '[site] allowed_hosts = ["mcp_server"]'),
        (b"[::1]:80", '[site] allowed_hosts = ["[::1]:80"]'),
    ],
)
def test_the_line_is_the_whole_setting(host, line):
    assert Advice(ManualClock()).on_host(host).endswith(f"write in mcpward.toml: {line}")


def test_what_is_allowed_already_stays_in_the_line():
    advice = Advice(ManualClock(), ["a", "b:1"], ["https://a"])
    assert advice.on_host(b"c").endswith('[site] allowed_hosts = ["a", "b:1", "c"]')
    assert advice.on_origin(b"tauri://localhost").endswith(
        '[site] allowed_origins = ["https://a", "tauri://localhost"]'
    )
    many = Advice(ManualClock(), [f"host{at}.example" for at in range(200)])
    assert many.on_host(b"c").endswith('[site] allowed_hosts, one more entry: "c"')


@pytest.mark.parametrize(
    "value",
    [b"", b"a b", b'a"]', b"\x1b[31m", b"\xff", b"*", b"u@a", b"a/b", b"a:b", b"a" * 400, b"a:1:2", b"<a>"],
)
def test_attack_110_what_no_setting_could_hold_is_not_quoted(value, caplog):
    advice = Advice(ManualClock())
    for text in (advice.on_host(value), advice.on_origin(value)):
        assert value.decode("latin-1") not in text or not value
        assert "mcpward.toml" not in text
    assert lines(caplog) == []


def test_null_is_told_apart(caplog):
    assert "cannot be allowed" in Advice(ManualClock()).on_origin(b"null")
    assert lines(caplog) == []


def test_the_log_has_each_value_once_and_not_too_many(caplog):
    clock = ManualClock()
    advice = Advice(clock)
    with caplog.at_level(logging.WARNING, "mcpward.ingress"):
        for _ in range(5):
            advice.on_host(b"a.example")
        assert len(lines(caplog)) == 1
        for at in range(1000):
            advice.on_host(b"flood%d.example" % at)
        assert len(lines(caplog)) == 6
        clock.advance(61)
        advice.on_host(b"a.example")
        assert len(lines(caplog)) == 6
        advice.on_host(b"b.example")
        assert len(lines(caplog)) == 7
        clock.advance(600)
        advice.on_host(b"a.example")
        assert len(lines(caplog)) == 8


def test_what_is_remembered_is_bounded():
    clock = ManualClock()
    advice = Advice(clock)
    for at in range(1000):
        advice.on_host(b"flood%d.example" % at)
        clock.advance(15)
    assert len(advice._logged) <= 64
