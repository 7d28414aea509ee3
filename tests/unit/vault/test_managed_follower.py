"""An external manager that is followed: what changes is handed on, and an outage is bounded and seen once."""

import logging

import pytest

from mcpward.core.managed_secrets import ManagedSecrets
from mcpward.core.secret import Secret
from mcpward.vault.managed_follower import ManagedFollower
from mcpward.vault.secret_source import SourceFailed
from support.clock import ManualClock


class Source:
    """A manager with what a test puts in it."""

    def __init__(self) -> None:
        self.held = {"a": {"K": "1"}, "b": {}}
        self.failing: dict[str, SourceFailed] = {}
        self.asked: list[str] = []

    async def read(self, server: str) -> ManagedSecrets:
        self.asked.append(server)
        if server in self.failing:
            raise self.failing[server]
        return ManagedSecrets({name: Secret(value, name) for name, value in self.held[server].items()})


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(0.0)


@pytest.fixture
def handed() -> list[tuple[str, ManagedSecrets]]:
    return []


@pytest.fixture
def follower(source, clock, handed) -> ManagedFollower:
    return ManagedFollower(
        source, ("a", "b"), lambda server, held: handed.append((server, held)), clock, refresh_s=60.0, keep_s=100.0
    )


async def test_only_what_has_changed_is_handed_on(follower, source, handed):
    await follower.look()
    await follower.look()
    assert [(server, set(held.values)) for server, held in handed] == [("a", {"K"})]
    source.held["b"]["L"] = "2"
    await follower.look()
    assert [(server, set(held.values)) for server, held in handed] == [("a", {"K"}), ("b", {"L"})]


async def test_values_hold_for_a_bounded_time_and_come_back(follower, source, clock, handed, caplog):
    caplog.set_level(logging.INFO)
    await follower.look()
    source.failing = dict.fromkeys("ab", SourceFailed("sealed", is_away=True))
    for _ in range(3):
        clock.advance(33.0)
        await follower.look()
    assert set(follower.present["a"].values) == {"K"}
    clock.advance(2.0)
    await follower.look()
    assert not follower.present["a"].values
    assert follower.present["a"].problems == {"K": "the secret manager has not returned it for more than 100 s: sealed"}
    source.failing = {}
    await follower.look()
    assert set(follower.present["a"].values) == {"K"}
    assert [record.getMessage() for record in caplog.records] == [
        "the secret manager cannot be read for a, b: sealed; its last values stay in use for 100 s",
        "the secrets of a from the secret manager are too old, and are withdrawn: sealed",
        "the secret manager can be read again",
    ]


async def test_a_manager_that_was_never_read_is_away_and_no_name_is_known_to_be_absent(follower, source):
    source.failing = {"b": SourceFailed("refused", is_away=False)}
    await follower.look()
    assert (follower.present["a"].away, follower.present["b"].away) == ("", "refused")
    assert not follower.is_whole
    assert follower.failures == 1


async def test_one_that_is_away_is_not_asked_for_every_server(clock, handed):
    source = Source()
    names = [f"s{number}" for number in range(40)]
    source.held = {name: {} for name in names}
    source.failing = dict.fromkeys(names, SourceFailed("timeout", is_away=True))
    follower = ManagedFollower(source, names, lambda *_: None, clock, refresh_s=60.0, keep_s=0.0)
    await follower.look()
    assert len(source.asked) <= 8
    assert {held.away for held in follower.present.values()} == {"timeout"}


async def test_an_error_of_ours_keeps_the_last_values(follower, source):
    await follower.look()
    source.held = {}
    await follower.look()
    assert set(follower.present["a"].values) == {"K"}
    assert not follower.is_whole


async def test_fields_that_cannot_be_used_fill_no_log(clock, handed, caplog):
    class Odd:
        async def read(self, server: str) -> ManagedSecrets:
            return ManagedSecrets(
                problems={f"{number}\n" + "x" * 100_000: "its value is no text" for number in range(500)}
            )

    with caplog.at_level(logging.WARNING):
        await ManagedFollower(Odd(), ("a",), lambda *_: None, clock, refresh_s=60.0, keep_s=100.0).look()
    assert len(caplog.messages) == 21
    assert "480 more secrets of a in the secret manager cannot be used" in caplog.text
    assert len(caplog.text) < 10_000
