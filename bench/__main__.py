"""The verbs: ``python -m bench``, ``python -m bench idle``, ``limits``, ``redaction`` and ``guards``."""

import argparse
import sys

from rich.console import Console

from bench import guards, idle, limits, redaction, report, rounds
from bench.peers import chosen
from bench.process import BenchFailed, cores


def main() -> int:
    wanted = _arguments()
    console = Console(stderr=False)
    if len(set(cores())) == 1:
        console.print("this machine gives one core: server and load share it, the figures mean little", style="yellow")
    try:
        if wanted.verb == "idle":
            idle.measure(chosen(wanted.only or "mcpward,sdk"), wanted.connections, console)
            return 0
        if wanted.verb == "limits":
            limits.measure(wanted.rounds, wanted.seconds, console)
            return 0
        if wanted.verb == "guards":
            guards.measure(console)
            return 0
        if wanted.verb == "redaction":
            redaction.measure(console)
            return 0
        _compare(wanted, console)
    except BenchFailed as failed:
        Console(stderr=True).print(f"error: {failed}", markup=False, highlight=False)
        return 1
    return 0


def _compare(wanted: argparse.Namespace, console: Console) -> None:
    peers = chosen(wanted.only)
    with console.status("starting") as status:
        rows = rounds.run(peers, wanted.rounds, wanted.seconds, status.update)
    report.tell(console, rows)
    console.print(f"written: {report.save(rows, wanted.seconds)}")
    try:
        from bench.plot import draw

        console.print(f"drawn: {draw(rows)}")
    except ModuleNotFoundError:
        console.print("no picture: matplotlib is not installed", style="yellow")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="what a tool call costs, beside others")
    parser.add_argument("verb", nargs="?", choices=["calls", "idle", "limits", "redaction", "guards"], default="calls")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="load for each turn (default 4)")
    parser.add_argument("--connections", type=int, default=5000, help="idle: connections (default 5000)")
    parser.add_argument("--only", metavar="NAMES", help="comma-separated names of the servers to measure")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
