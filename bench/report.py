"""What was measured: on the terminal, as JSON and as a picture."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.peers import machine
from bench.rounds import CONNECTIONS, Row

RESULTS = Path(__file__).parent / "results"
SUBJECT = "mcpward"
BUSY = 0.9


def table(rows: Sequence[Row]) -> Table:
    """One line for each server; ``ratio`` says how many times its rate the subject's is."""
    subject = next((row for row in rows if row.name == SUBJECT), None)
    drawn = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        title=f"tools/call, one core, {CONNECTIONS} connections, medians of {len(rows[0].turns)} rounds",
    )
    drawn.add_column("server", no_wrap=True)
    for heading in ("calls/s", "±", "p50 ms", "p99 ms", "CPU µs", f"{SUBJECT} is"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        drawn.add_row(
            row.title,
            f"{row.rate:,.0f}",
            f"{(row.fastest - row.slowest) / 2 / row.rate:.0%}",
            f"{row.p50_ms:.2f}",
            f"{row.p99_ms:.2f}",
            f"{row.cpu_us:.1f}",
            f"{subject.rate / row.rate:.2f} ×" if subject and subject is not row else "",
            style="bold" if row is subject else "",
        )
    return drawn


def verdicts(rows: Sequence[Row]) -> list[str]:
    """What the table implies and what it hides."""
    by_name = {row.name: row for row in rows}
    subject, bare = by_name.get(SUBJECT), by_name.get("mcpward-open")
    said = []
    if subject and bare:
        added = subject.cpu_us - bare.cpu_us
        share = added / bare.cpu_us
        said.append(
            f"all controls together add {added:.1f} µs of CPU to a call: {share:.0%} of what it costs without them"
        )
    said += [
        f"{row.title}: the load's core was {row.load_busy:.0%} busy, so the server may be faster than it looks"
        for row in rows
        if row.load_busy > BUSY
    ]
    starved = [row.title for row in rows if row.server_busy < BUSY and row.load_busy < BUSY]
    if starved:
        said.append(f"others used these servers' core too, trust their CPU µs alone: {'; '.join(starved)}")
    return said


def save(rows: Sequence[Row], seconds: float) -> Path:
    """Write ``latest.json``."""
    subject = next((row for row in rows if row.name == SUBJECT), None)
    found = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "connections": CONNECTIONS,
        "rounds": len(rows[0].turns),
        "seconds": seconds,
        "rows": [row.as_json() for row in rows],
        "ratios": {row.name: subject.rate / row.rate for row in rows if row is not subject} if subject else {},
        "ratios_by_cpu": {row.name: row.cpu_us / subject.cpu_us for row in rows if row is not subject}
        if subject
        else {},
        "verdicts": verdicts(rows),
    }
    return write("latest.json", found)


def write(name: str, found: dict[str, object]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / name
    path.write_text(json.dumps(found, indent=2) + "\n")
    return path


def tell(console: Console, rows: Sequence[Row]) -> None:
    console.print(table(rows))
    for sentence in verdicts(rows):
        console.print(sentence)
