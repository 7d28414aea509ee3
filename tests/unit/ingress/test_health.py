"""The health that an orchestrator reads: send calls here or not, and what is missing."""

import json

import pytest

from mcpward.ingress.health import Health, Probe
from mcpward.ingress.routes import Place


def asked(*probes: Probe, place: Place = Place.READY) -> tuple[int, dict[str, object]]:
    reply = Health(probes, lambda: b"").answer(place)
    return reply.status, json.loads(reply.body)


def probe(name: str, *, holds: bool = False, needed: bool = True) -> Probe:
    return Probe(name, lambda: holds, needed=needed)


def test_a_house_that_has_all_it_needs_is_ready_in_one_word():
    assert asked(probe("keys", holds=True), probe("counters", holds=True, needed=False)) == (200, {"status": "ok"})


def test_what_is_missing_and_not_needed_is_named_and_calls_come_all_the_same():
    assert asked(probe("keys", holds=True), probe("counters", needed=False), probe("more", needed=False)) == (
        200,
        {"status": "ok", "degraded": ["counters", "more"]},
    )


@pytest.mark.parametrize("turn", [1, -1])
def test_what_is_missing_and_needed_keeps_calls_away(turn):
    probes = [probe("counters", needed=False), probe("keys")][::turn]
    assert asked(*probes) == (503, {"status": "unready", "waiting_for": "keys"})


def test_a_process_is_alive_whatever_it_lacks():
    assert asked(probe("keys"), probe("counters", needed=False), place=Place.HEALTH) == (200, {"status": "ok"})
