"""Output of the commands. The answer goes to stdout, every remark to stderr; errors are ``error: what`` then ``hint:
what to do``.

Text of a caller or an author reaches a terminal only through :func:`safe`: a tool's name, a header or a configured path
may carry escape sequences (attack 110).
"""

import json
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, TextIO

from rich.cells import cell_len, set_cell_size

from mcpward.core.errors import Finding

_RED, _BLUE, _DIM, _PLAIN = "\x1b[31m", "\x1b[36m", "\x1b[2m", "\x1b[0m"
Styles = dict[str, str]
STYLES: Final[Styles] = {"error": _RED, "hint": _BLUE, "dim": _DIM}


class Exit(IntEnum):
    """The meaning of a command's exit code."""

    DONE = 0
    NO = 1
    USAGE = 2
    UNREACHABLE = 3


class CommandEnded(Exception):
    """The command ends here, with one line of what and one of what to do."""

    def __init__(self, code: Exit, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.hint = hint


def safe(text: object) -> str:
    """Write a text so that it stays on its line and moves nothing: an invisible character is shown as an escape."""
    plain = str(text)
    return plain if plain.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in plain)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def answer(text: str = "") -> None:
    """Write what was asked for, to stdout. The caller has made it safe."""
    _write(sys.stdout, text)


def answer_json(value: Any, *, indent: int | None = 2) -> None:
    """Write what was asked for as JSON in ASCII, to stdout."""
    # JSON escapes all control characters but DEL.
    _write(sys.stdout, json.dumps(value, indent=indent).replace("\x7f", "\\u007f"))


def remark(text: str = "") -> None:
    """Write what was not asked for but helps, to stderr."""
    _write(sys.stderr, text)


def progress(done: int = 0, of: int = 0) -> None:
    """Show how far a long work is, to a person at stderr; without numbers take that away again."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} of {of}" if of else "\r\x1b[K")
        sys.stderr.flush()


def error(what: str, hint: str = "") -> None:
    """Print the error and the remedy to stderr."""
    _write(sys.stderr, f"{styled('error:', 'error', sys.stderr)} {safe(what)}")
    if hint:
        _write(sys.stderr, f"{styled('hint:', 'hint', sys.stderr)} {safe(hint)}")


def words_of(finding: Finding) -> tuple[str, str]:
    """Return the fault of the configuration and its place (once, if that is the key spoken of), and the hint."""
    is_said = not finding.where or finding.what.startswith(f"{finding.where}:")
    return finding.what if is_said else f"{finding.where}: {finding.what}", finding.hint


def error_of(finding: Finding) -> None:
    """Print the problems of the configuration, and their places."""
    error(*words_of(finding))


def styled(text: str, style: str, stream: TextIO) -> str:
    """Colour a text for people; never for a program that reads it."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"{STYLES[style]}{text}{_PLAIN}"


def aligned(rows: Sequence[Sequence[object]], widths: Sequence[int] = ()) -> list[str]:
    """Lay rows out in columns, made safe, as wide as their widest cell or as ``widths`` state."""
    cells = [[safe(cell) for cell in row] for row in rows]
    wide = list(widths) or widths_of(cells)
    return ["  ".join(_cell(cell, wide[i], i + 1 == len(row)) for i, cell in enumerate(row)).rstrip() for row in cells]


def widths_of(cells: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column in terminal cells."""
    return [max(cell_len(cell) for cell in column) for column in zip(*cells, strict=True)]


def _cell(text: str, width: int, is_last: bool) -> str:
    return text if is_last or cell_len(text) >= width else set_cell_size(text, width)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table to stdout."""
    first, *rest = aligned([header, *rows])
    answer(styled(first, "dim", sys.stdout))
    for line in rest:
        answer(line)


def confirmed(question: str) -> bool:
    """Ask a person for approval. Any answer but y or yes, and a missing terminal, is a refusal."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    # A terminal in another encoding than UTF-8 must not end a command half-way.
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
