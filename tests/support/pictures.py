"""Pictures of mcpward at work for the README, from what it really prints: ``python -m support.pictures docs/images``.

Keys, times and durations are another each time; they are replaced, so that the same output is the same picture.
"""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import count
from pathlib import Path

import httpx2
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from support.ports import free_port
from support.sources import ROOT
from support.ward import environment, modern_request

WIDTH = 132
#: Files in use must still be so when they are looked at, however slow the machine is.
_SLOW_LIMITS = {
    "MCPWARD_LIMITS__AUTH_FAILURES": "10/day",
    "MCPWARD_LIMITS__REQUESTS": "400/day",
    "MCPWARD_SERVERS__ORDERS__LIMITS__READ": "100/day",
    "MCPWARD_SERVERS__ORDERS__LIMITS__QUOTA": "5000/day",
    "MCPWARD_SERVERS__ORDERS__TOOLS__QUERY_ORDERS__RATE": "60/day",
}
_MARCH = {"from_date": "2026-03-01T00:00:00Z", "to_date": "2026-03-31T00:00:00Z", "limit": 2}
_KEY = re.compile(r"sk-mcpward-([0-9A-Za-z]{12})_[0-9A-Za-z]{49}")
#: Shaped as a key and none: its checksum is wrong.
_SHOWN_KEY = "sk-mcpward-4f9QkZp2LmXa_" + "•" * 12


def pictures() -> dict[str, str]:
    """Run a shop's day, and return the pictures by their file's name, as SVG."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "orders"
        shutil.copytree(ROOT / "examples/orders", folder, ignore=shutil.ignore_patterns(".mcpward", "__py*", "*.db*"))
        port = free_port()
        with _served(folder, port) as announced:
            found = _KEY.search(announced)
            assert found is not None, announced
            _day(port, found[0])
            shown = {
                "serve": ("mcpward serve", announced),
                "log": ("mcpward log", _terminal(folder, "log")),
                "limits": ("mcpward limits", _terminal(folder, "limits")),
                "tools": ("mcpward tools", _terminal(folder, "tools")),
            }
        return {
            f"{name}.svg": _svg(name, command, _normal(text, found[1], port)) for name, (command, text) in shown.items()
        }


def _day(port: int, key: str) -> None:
    """Calls as an agent makes them, good ones and others."""
    for tool, arguments, credential in (
        ("search_products", {"words": "chair"}, key),
        ("query_orders", _MARCH, key),
        ("query_orders", _MARCH | {"to_date": "soon", "limit": 5000}, key),
        ("cancel_order", {"order_id": 7}, key),
        ("search_products", {"words": "oak"}, "sk-mcpward-guessed"),
        *(("search_products", {"words": words}, key) for words in ("lamp", "rug", "desk", "vase", "clock", "stool")),
        ("order_summary", {"from_date": "2026-01-01T00:00:00Z", "to_date": "2026-12-31T00:00:00Z"}, key),
    ):
        body, headers = modern_request("tools/call", {"name": tool, "arguments": arguments}, name=tool)
        media = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {credential}"}
        httpx2.post(f"http://127.0.0.1:{port}/mcp", json=body, headers=headers | media, timeout=30, verify=False)


@contextmanager
def _served(folder: Path, port: int) -> Iterator[str]:
    """Serve at a terminal until the end of the block; returns what it printed until it was ready."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "mcpward", "serve", "--port", str(port), "--metrics", ""]
    with subprocess.Popen(words, cwd=folder, env=_environment(), stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while not said.rstrip().endswith(b"\n}"):  # the block for a client is the last that a first start prints
            said += os.read(ours, 65_536)
        try:
            yield said.decode()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(40)
            os.close(ours)


def _terminal(folder: Path, *words: str) -> str:
    """Run a command at a terminal and return what it shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mcpward", *words]
    with subprocess.Popen(command, cwd=folder, env=_environment(), stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 65_536):
                said += part
        except OSError:  # Linux says so when the other side has closed
            pass
    os.close(ours)
    return said.decode()


def _environment() -> dict[str, str]:
    own = {name: value for name, value in environment().items() if name != "NO_COLOR"}
    return own | _SLOW_LIMITS | {"TERM": "xterm-256color", "COLUMNS": str(WIDTH)}


def _normal(text: str, key_id: str, port: int) -> str:
    for pattern, instead in (
        (r"making the example's orders[^\n]*\n", ""),
        (_KEY.pattern, _SHOWN_KEY),
        (key_id, "4f9QkZp2LmXa"),
        (rf":{port}\b", ":8000"),
        (r"  \d+\.\d(?=\r?\n)", "  1.8"),  # how long a call took
        (r"\d+[dhms](?: \d+[hms])? +(?=[█░])", f"{'1h 30m':<11}"),  # when a limit is whole again
    ):
        text = re.sub(pattern, instead, text)
    seconds = count(start=12, step=3)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lambda _: f"2026-03-31T09:30:{next(seconds):02}Z", text)


def _svg(name: str, command: str, text: str) -> str:
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(f"$ {command}\n{text.rstrip()}".replace("\r\n", "\n")), soft_wrap=False)
    svg = console.export_svg(title=command, theme=MONOKAI, unique_id=f"mcpward-{name}")
    # The fonts that rich names are fetched from elsewhere; a reader's own will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main(words: Sequence[str]) -> None:
    """Write the pictures into a folder."""
    for name, svg in pictures().items():
        (Path(words[0]) / name).write_text(svg)


if __name__ == "__main__":
    main(sys.argv[1:])
