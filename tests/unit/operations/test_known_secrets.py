"""Attack 85: a secret that was just handed out is masked at once, however many are known already."""

import logging
from threading import Thread

import pytest

from mcpward.config.model import Settings
from mcpward.core.secret import Secret
from mcpward.operations.known_secrets import Secrets
from mcpward.sdk.environment import env
from support.wire import until


def many(count: int) -> dict[str, dict[str, Secret]]:
    return {"demo": {f"S{n}": Secret(f"{n * 7919:06}-of-many-{n:06x}", f"S{n}") for n in range(count)}}


@pytest.mark.parametrize("known", [3, 60])
def test_a_secret_that_is_handed_out_is_masked_from_the_next_text_on(known, monkeypatch):
    secrets = Secrets(Settings(), many(known))
    for number in range(8):
        value = f"brand-new-{known}-{number}-Zx81"
        assert secrets.text(f"it is {value}") == f"it is {value}"
        monkeypatch.setenv(f"NEW_{known}_{number}", value)
        assert env.find(f"NEW_{known}_{number}")
        assert secrets.text(f"it is {value}") == "it is [redacted]"
        assert secrets.text("it is 000000-of-many-000000") == "it is [redacted]"


def test_many_redactors_become_one_on_another_thread(monkeypatch):
    secrets = Secrets(Settings(), many(60))
    for number in range(5):
        monkeypatch.setenv(f"LATER_{number}", f"later-{number}-Zx81-spectrum")
        assert env.find(f"LATER_{number}")
        secrets.redactor()
    until(lambda: secrets.redactor().looks < 4)
    for number in range(5):
        assert secrets.text(f"later-{number}-Zx81-spectrum") == "[redacted]"


def test_a_weak_secret_is_told_once_with_its_reason(caplog):
    weak = {"demo": {"WORD": Secret("localhost", "WORD"), "SHORT": Secret("hunter2", "SHORT")}}
    with caplog.at_level(logging.WARNING, "mcpward.secrets"):
        Secrets(Settings(), weak)
    assert [line for line in caplog.messages if "WORD" in line] == [
        "the secret WORD is too common to be redacted: it is a word that people use"
    ]
    assert [line for line in caplog.messages if "SHORT" in line] == [
        "the secret SHORT has fewer than 8 characters: it can be guessed"
    ]
    assert "hunter2" not in caplog.text


def test_a_weak_secret_that_comes_while_the_log_is_redacted_stops_nothing(monkeypatch, capsys):
    """The warning is a line of the log, which is redacted by what is being made."""
    secrets = Secrets(Settings(), many(3))
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(lambda record: bool(secrets.text(record.getMessage())))
    logger = logging.getLogger("mcpward.secrets")
    logger.addHandler(handler)
    try:
        monkeypatch.setenv("WEAK_ONE", "eu1")
        assert env.find("WEAK_ONE")
        asking = Thread(target=secrets.redactor, daemon=True)
        asking.start()
        asking.join(10)
        assert not asking.is_alive()
    finally:
        logger.removeHandler(handler)


def test_after_a_failure_no_text_leaves_until_the_new_secrets_are_known(monkeypatch):
    secrets = Secrets(Settings(), many(3))
    monkeypatch.setenv("FRAGILE", "fragile-value-71-Zx")
    assert env.find("FRAGILE")
    with monkeypatch.context() as broken:
        broken.setattr("mcpward.operations.known_secrets.Redactor", lambda *_: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                secrets.text("fragile-value-71-Zx")
    assert secrets.text("fragile-value-71-Zx") == "[redacted]"
