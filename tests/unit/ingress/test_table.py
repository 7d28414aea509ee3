"""Which connection is taken, which is refused, and which leaves for another."""

import logging

import pytest

from mcpward.ingress.handshakes import HandshakePace
from mcpward.ingress.holdings import Holdings
from mcpward.ingress.peer import PeerResolver
from mcpward.ingress.table import ConnectionTable, Entry, Rank
from support.clock import ManualClock

ATTACKER, HONEST, OTHER = "192.0.2.66", "192.0.2.9", "192.0.2.10"
PROXY = "10.0.0.1"


class Line:
    """A connection behind its handshake."""

    def __init__(self) -> None:
        self.is_answering = False
        self.used_at = 0.0
        self.is_ended = False

    def cut_off(self) -> None:
        self.is_ended = True


class Doors:
    """A table, and what it counted."""

    def __init__(self, clock: ManualClock, most: int = 64, pace: HandshakePace | None = None) -> None:
        self.table = ConnectionTable(most, PeerResolver([f"{PROXY}/32"]), clock, pace)
        self.refused: list[str] = []
        self.evicted: list[str] = []
        self.table.turned_away.on_refused = self.refused.append
        self.table.turned_away.on_evicted = self.evicted.append

    def take(self, address: str, *, known: bool = False, busy: bool = False) -> Entry:
        entry = self.table.admit(address)
        assert entry is not None, self.refused
        line = Line()
        line.is_answering = busy
        entry.connection = line
        if known:
            entry.serve(is_known=True)
        return entry

    def many(self, count: int, address: str, **state: bool) -> list[Entry]:
        return [self.take(address, **state) for _ in range(count)]


@pytest.fixture
def doors(clock: ManualClock) -> Doors:
    return Doors(clock)


def test_an_address_may_take_three_quarters_while_there_is_plenty(doors: Doors):
    entries = doors.many(48, HONEST)
    assert not any(entry.is_gone for entry in entries)
    assert doors.evicted == doors.refused == []


def test_attack_131_beyond_that_it_pays_with_its_own_and_the_oldest_first(doors: Doors):
    entries = doors.many(60, ATTACKER)
    assert doors.table.size == 48
    assert [entry.is_gone for entry in entries] == [True] * 12 + [False] * 48
    assert all(entry.connection.is_ended for entry in entries[:12])  # type: ignore[union-attr]  # every entry has one
    assert doors.evicted == ["stranger"] * 12
    assert len(doors.many(16, OTHER)) == 16


def test_attack_131_an_address_that_answers_all_of_its_share_is_refused_more(doors: Doors):
    doors.many(48, ATTACKER, busy=True)
    assert doors.table.admit(ATTACKER) is None
    assert doors.refused == ["address-share"]
    doors.take(HONEST)


def test_attack_131_when_all_are_taken_the_greediest_address_loses_its_oldest_stranger(doors: Doors):
    crowd = [doors.take(f"198.51.100.{number % 21}") for number in range(63)]
    doors.take(OTHER)
    assert doors.table.size == 64
    mine = doors.take(HONEST)
    assert [at for at, entry in enumerate(crowd) if entry.is_gone] == [0]
    for number in range(40):
        doors.take(f"198.51.100.{number % 21}")
    assert not mine.is_gone


def test_attack_131_who_has_shown_a_credential_leaves_after_all_strangers(doors: Doors):
    office = doors.many(30, HONEST, known=True)
    strangers = [doors.take(f"198.51.100.{number}") for number in range(34)]
    for number in range(100, 118):
        doors.take(f"198.51.100.{number}")
    assert not any(entry.is_gone for entry in office)
    assert sum(entry.is_gone for entry in strangers) == 18


def test_attack_131_known_callers_leave_a_quarter_to_those_who_come_to_be_known(doors: Doors):
    held = [entry for number in range(8) for entry in doors.many(8, f"198.51.100.{number}", known=True)]
    new = [doors.take(f"203.0.113.{number}") for number in range(17)]
    assert not any(entry.is_gone for entry in new)
    assert sum(entry.is_gone for entry in held) == 17
    assert doors.evicted == ["idle"] * 17
    doors.take("203.0.113.99")
    assert new[0].is_gone  # strangers have more than a quarter now


def test_of_known_callers_the_one_that_calls_stays(doors: Doors):
    held = [entry for number in range(8) for entry in doors.many(8, f"198.51.100.{number}", known=True)]
    held[0].connection.used_at = 1.0  # type: ignore[union-attr,misc]  # every entry has one, set by the test
    doors.take(HONEST)
    assert [at for at, entry in enumerate(held) if entry.is_gone] == [1]


def test_a_request_that_is_answered_is_not_cut_off(doors: Doors):
    busy = [doors.take(f"198.51.100.{number}", busy=True) for number in range(64)]
    assert doors.table.admit(HONEST) is None
    assert doors.refused == ["full"]
    busy[5].connection.is_answering = False  # type: ignore[union-attr,misc]  # every entry has one, set by the test
    doors.take(HONEST)
    assert busy[5].is_gone


def test_a_declared_proxy_has_no_share_and_leaves_last(doors: Doors):
    entries = doors.many(64, PROXY)
    assert not any(entry.is_gone for entry in entries)
    assert entries[0].is_trusted
    doors.take(HONEST)
    doors.take(PROXY)
    assert [entry.is_gone for entry in entries[:2]] == [True, False]
    assert doors.evicted == ["idle", "stranger"]


def test_attack_132_a_handshake_counts_and_can_be_ended(clock: ManualClock):
    doors = Doors(clock, most=4)
    ended: list[int] = []
    for number in range(4):
        entry = doors.table.admit(f"198.51.100.{number}")
        assert entry is not None
        entry.end_handshake = lambda number=number: ended.append(number)
    doors.take(HONEST)
    assert ended == [0]
    assert doors.evicted == ["handshake"]


def test_an_ipv6_network_is_one_address(doors: Doors):
    for number in range(60):
        doors.take(f"2001:db8::{number:x}")
    assert doors.table.size == 48


def test_who_has_gone_is_gone_once(doors: Doors):
    entry = doors.take(HONEST)
    entry.leave()
    entry.leave()
    entry.serve(is_known=True)  # the answer comes too late
    assert doors.table.size == 0
    assert doors.table.admit(HONEST) is not None


def test_what_is_let_in_may_be_idle_for_long(doors: Doors):
    entry = doors.take(HONEST)
    assert not entry.is_trusted
    entry.serve(is_known=False)
    assert (entry.is_trusted, entry.rank) == (True, Rank.STRANGER)


def test_attack_132_handshakes_for_nothing_are_paced(clock: ManualClock):
    doors = Doors(clock, most=10_000, pace=HandshakePace(clock))
    doors.many(100, ATTACKER)
    assert doors.table.admit(ATTACKER) is None
    assert doors.refused == ["address-rate"]
    doors.take(HONEST)
    clock.advance(0.1)
    doors.take(ATTACKER)
    assert doors.table.admit(ATTACKER) is None


def test_a_handshake_whose_connection_is_let_in_costs_nothing(clock: ManualClock):
    doors = Doors(clock, most=10_000, pace=HandshakePace(clock))
    doors.many(1000, HONEST, known=True)
    for _ in range(1000):
        doors.take(OTHER).serve(is_known=False)
    assert doors.refused == []


def test_a_bad_neighbour_of_known_callers_has_more_handshakes(clock: ManualClock):
    doors = Doors(clock, most=10_000, pace=HandshakePace(clock))
    doors.take(HONEST, known=True)
    doors.many(1000, HONEST)
    assert doors.table.admit(HONEST) is None


def test_a_search_costs_little_however_many_are_busy():
    class Thing:
        bucket = "one"
        looks = 0

        @property
        def is_busy(self) -> bool:
            Thing.looks += 1
            return True

        def was_used(self) -> bool:
            return False

    held: Holdings[Thing] = Holdings()
    for _ in range(1000):
        held.add(Thing())
    assert held.find_idle_of_greediest() is None
    assert Thing.looks == 64


def test_it_is_logged_once_a_minute_with_the_address_that_had_most(doors: Doors, clock: ManualClock, caplog):
    caplog.set_level(logging.WARNING)
    tell = doors.table.turned_away.tell
    tell()
    assert not caplog.records
    doors.many(60, ATTACKER)
    tell()
    doors.many(5, ATTACKER)
    tell()
    assert len(caplog.records) == 1
    assert "0 refused, 12 ended for others; 12 of them from 192.0.2.66, of 1 addresses" in caplog.text
    clock.advance(60)
    tell()
    assert "0 refused, 5 ended" in caplog.text


def test_attack_131_the_log_remembers_few_addresses(clock: ManualClock, caplog):
    doors = Doors(clock)
    for number in range(5000):
        doors.table.turned_away.refuse(f"198.51.{number // 250}.{number % 250}", "full")
    doors.table.turned_away.tell()
    assert "5000 refused" in caplog.text
    assert "of 257 addresses" in caplog.text
