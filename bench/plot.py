"""The table as a picture: rates with their spread, and the slow end of the latencies."""

from collections.abc import Sequence
from pathlib import Path

from bench.report import RESULTS, SUBJECT
from bench.rounds import CONNECTIONS, Row

OURS, OTHERS = "#0b7285", "#adb5bd"


def draw(rows: Sequence[Row]) -> Path:
    """Write ``latest.svg`` and ``latest.png``; give the path of the first."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ordered = sorted(rows, key=lambda row: row.rate)
    names = [row.title for row in ordered]
    colours = [OURS if row.name.startswith(SUBJECT) else OTHERS for row in ordered]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 1.2 + 0.5 * len(rows)), sharey=True, layout="constrained")
    rates = [row.rate for row in ordered]
    spread = [[row.rate - row.slowest for row in ordered], [row.fastest - row.rate for row in ordered]]
    bars = left.barh(names, rates, color=colours, xerr=spread, ecolor="#495057", capsize=3)
    left.bar_label(bars, [f" {rate:,.0f}" for rate in rates], padding=4)
    left.set_xlabel("tool calls per second, one core (more is better)")
    bars = right.barh(names, [row.p99_ms for row in ordered], color=colours)
    right.bar_label(bars, [f" {row.p99_ms:.1f}" for row in ordered], padding=2)
    right.set_xlabel(f"p99 in ms at {CONNECTIONS} connections (less is better)")
    for side in (left, right):
        side.spines[["top", "right"]].set_visible(False)
        side.margins(x=0.18)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "latest.svg"
    figure.savefig(path)
    figure.savefig(path.with_suffix(".png"), dpi=150)
    plt.close(figure)
    return path
