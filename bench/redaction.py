"""``python -m bench redaction``: what the search for secrets costs a harmless result, and what it costs to make it."""

import gc
import json
import time
from collections.abc import Callable
from functools import partial

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.peers import machine
from bench.report import write
from mcpward.core.ids import base62
from mcpward.core.secret import Secret
from mcpward.sanitize.data_marks import Rewriting, marked_result
from mcpward.sanitize.redact import Redactor

SIZE = 10_240
TURNS = 400
SECRETS = (20, 2_000)
WANTED_US = {20: 15.0, 2_000: 40.0}
WANTED_S = 0.3
_WORDS = ["order", "shipped", "customer", "total", "berlin", "paris", "invoice", "paid", "pending", "street", "price"]


def measure(console: Console) -> None:
    """Print and save what redaction costs."""
    with console.status("searching"):
        found = {str(many): _figures(many) for many in SECRETS}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"a harmless result of {SIZE:,} bytes, one process")
    table.add_column("secrets", justify="right")
    for heading in ("rows, µs", "with accents, µs", "JSON in text, µs", "made in ms"):
        table.add_column(heading, justify="right")
    for many, of_many in found.items():
        table.add_row(many, *(f"{figure:.1f}" for figure in of_many.values()))
    console.print(table)
    said = [
        f"{many:,} secrets: {found[str(many)]['rows_us']:.1f} µs for a harmless result; wanted are at most {wanted:.0f}"
        for many, wanted in WANTED_US.items()
    ]
    said.append(f"2,000 secrets are made ready in {found['2000']['made_ms']:.0f} ms; wanted are {WANTED_S * 1e3:.0f}")
    for sentence in said:
        console.print(sentence)
    marks = _marking_us()
    said.append(
        f"marking {SIZE:,} bytes as untrusted: {marks['marked_us']:.1f} µs; with its links as text: "
        f"{marks['links_us']:.1f} µs"
    )
    found["untrusted"] = marks
    console.print(said[-1])
    console.print(f"written: {write('redaction.json', {'machine': machine(), 'figures': found, 'verdicts': said})}")


def _figures(many: int) -> dict[str, float]:
    secrets = [Secret(f"sk-live-{base62(32)}", f"SECRET_{number}") for number in range(many)]
    rows = _rows()
    texts = {
        "rows_us": rows,
        "accents_us": rows.replace("berlin", "münchen")[:SIZE],
        "mirrored_us": json.dumps(rows)[:SIZE],
    }
    redactor = Redactor(secrets)
    found = {name: _least_us(partial(redactor.suspects, text.encode())) for name, text in texts.items()}
    return found | {"made_ms": min(_seconds(lambda: Redactor(secrets)) for _ in range(3)) * 1e3}


def _marking_us() -> dict[str, float]:
    """Return what marking a clean result costs, with and without a look at its links."""
    words = " ".join(_WORDS[number % len(_WORDS)] for number in range(SIZE // 6))
    text = f"{words[: SIZE - 60]} see [this page](https://shop.example/orders?page=2) now"
    body = json.dumps({"content": [{"type": "text", "text": text}], "isError": False}).encode()
    return {
        "marked_us": _least_us(partial(marked_result, body, "mail", None, Rewriting())),
        "links_us": _least_us(partial(marked_result, body, "mail", None, Rewriting(links=True))),
    }


def _rows() -> str:
    rows = [
        {
            "id": number,
            "status": _WORDS[number % len(_WORDS)],
            "name": " ".join(_WORDS[number * step % len(_WORDS)] for step in range(1, 5)),
            "total": number * 7919 % 100_000 / 100,
            "at": f"2026-11-29T12:00:{number % 60:02}Z",
        }
        for number in range(100)
    ]
    return json.dumps(rows)[:SIZE]


def _least_us(work: Callable[[], object]) -> float:
    return min(_seconds(work) for _ in range(TURNS)) * 1e6


def _seconds(work: Callable[[], object]) -> float:
    gc.disable()
    try:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started
    finally:
        gc.enable()
