"""Alternating rounds, and the medians of them."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from statistics import median

from bench import load
from bench.peers import Peer
from bench.process import BenchFailed, cores
from bench.wire import FIRST, sum_of

CONNECTIONS = 32
WARM_UP_S = 0.7


@dataclass(frozen=True)
class Turn:
    """One server's turn in one round."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    load_busy: float
    server_busy: float
    calls: int


@dataclass(frozen=True)
class Row:
    """One server over all rounds: medians, the spread of the rate, and how busy the cores were with it."""

    name: str
    title: str
    rate: float
    slowest: float
    fastest: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    load_busy: float
    server_busy: float
    turns: tuple[Turn, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def run(peers: Sequence[Peer], rounds: int, seconds: float, said: Callable[[str], None]) -> list[Row]:
    """Measure ``peers`` in alternating rounds. Raises :class:`BenchFailed` at the first wrong answer."""
    os.sched_setaffinity(0, {cores()[1]})
    turns: dict[str, list[Turn]] = {peer.name: [] for peer in peers}
    for number in range(rounds):
        for peer in peers if number % 2 == 0 else reversed(peers):
            turn = _turn(peer, seconds)
            turns[peer.name].append(turn)
            said(f"round {number + 1} of {rounds}: {peer.name} {turn.rate:,.0f} calls/s")
    return [_row(peer, turns[peer.name]) for peer in peers]


def _turn(peer: Peer, seconds: float) -> Turn:
    with peer.listening() as server:
        port, running = server.running.port, server.running
        calls = server.calls()
        try:
            _first_call(peer, port, calls)
            load.apply(port, calls, CONNECTIONS, WARM_UP_S)
            before = running.cpu_s()
            seen = load.apply(port, calls, CONNECTIONS, seconds)
            cpu_s = running.cpu_s() - before
        except BenchFailed as failed:
            raise BenchFailed(f"{peer.name}: {failed}") from None
    return Turn(
        rate=seen.rate,
        p50_ms=seen.percentile_ms(50),
        p99_ms=seen.percentile_ms(99),
        cpu_us=cpu_s / seen.calls * 1e6,
        load_busy=seen.cpu_s / seen.seconds,
        server_busy=cpu_s / seen.seconds,
        calls=seen.calls,
    )


def _first_call(peer: Peer, port: int, calls: Iterator[bytes]) -> None:
    """One call alone: whoever gives a wrong answer, or none, is not measured."""
    answer = load.apply(port, islice(calls, 1), 1, 0).last
    if not peer.echoes and sum_of(FIRST) not in answer:
        raise BenchFailed(f"the answer does not hold the sum: {answer[:400]!r}")


def _row(peer: Peer, turns: Sequence[Turn]) -> Row:
    rates = [turn.rate for turn in turns]
    return Row(
        name=peer.name,
        title=peer.title,
        rate=median(rates),
        slowest=min(rates),
        fastest=max(rates),
        p50_ms=median(turn.p50_ms for turn in turns),
        p99_ms=median(turn.p99_ms for turn in turns),
        cpu_us=median(turn.cpu_us for turn in turns),
        load_busy=median(turn.load_busy for turn in turns),
        server_busy=median(turn.server_busy for turn in turns),
        turns=tuple(turns),
    )
