"""Standard output and error of a process, without secrets: an author's ``print``, warnings, tracebacks of threads.

Does not reach what is written to the file descriptors themselves: libraries in C, and programs that a tool starts.
mcpward's own log is redacted before it is written, see ``logs.py``.
"""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final, TextIO

_MASK: Final = "[redacted]"
#: Characters without a line end that are held back, so that a secret is seen whole.
_HELD: Final = 65_536
Redact = Callable[[str], str]


class RedactedStream(io.TextIOBase):
    """Writes to ``stream`` line by line, each redacted.

    A flush writes what is left of a line only where a person reads along: a secret may be printed in halves, with a
    flush after the first. What was written of a line already is looked at together with the rest of it.
    """

    def __init__(self, stream: TextIO, redact: Redact) -> None:
        super().__init__()
        self._stream = stream
        self._redact = redact
        self._rest = ""
        self._written = self._shown = ""
        self._lock = RLock()
        self._octets = _Octets(self)

    def write(self, text: str) -> int:
        """Write whole lines and keep the rest."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with self._lock:
            lines, end, rest = (self._rest + text).rpartition("\n")
            self._rest = rest
            if end:
                self._put(lines + end)
            if len(self._rest) > _HELD:
                self.write_rest()
        return len(text)

    def flush(self) -> None:
        """Write what is left of a line if a person reads along; a prompt has no line end."""
        with self._lock:
            if self._rest and self.isatty():
                self.write_rest()
            elif not self._stream.closed:
                self._stream.flush()

    def write_rest(self) -> None:
        """Write what is left of a line, whoever reads it."""
        with self._lock:
            rest, self._rest = self._rest, ""
            if rest:
                self._put(rest)

    def isatty(self) -> bool:
        """Return whether a person reads along."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the stream itself. What is written there is not redacted."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream itself."""
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """What the stream does with characters that its encoding lacks."""
        return self._stream.errors

    @property
    def buffer(self) -> "_Octets":
        """Takes bytes, and redacts them as text."""
        return self._octets

    def __getattr__(self, name: str) -> Any:
        """Return anything else as the stream has it: ``name``, ``mode``, ``reconfigure``."""
        return getattr(self._stream, name)

    def _put(self, text: str) -> None:
        whole = self._written + text
        clean = self._clean(whole)
        self._stream.write(clean[_alike(self._shown, clean) :])  # from a mask on, if it began in what was written
        self._stream.flush()
        self._written = "" if whole.endswith("\n") else whole[-_HELD:]
        self._shown = clean if self._written == whole else self._clean(self._written)

    def _clean(self, text: str) -> str:
        try:
            return self._redact(text) if text else ""
        except Exception:  # noqa: BLE001  # what could not be looked through is not written
            return f"{_MASK}\n"


def _alike(one: str, other: str) -> int:
    """Return how many characters both begin with."""
    if other.startswith(one):
        return len(one)
    return next(at for at, char in enumerate(one) if char != other[at : at + 1])


class _Octets(io.RawIOBase):
    """The bytes of a stream of text."""

    def __init__(self, stream: RedactedStream) -> None:
        super().__init__()
        self._text = stream

    def write(self, data: Any) -> int:
        """Write bytes as the text that they are."""
        octets = bytes(data)
        self._text.write(octets.decode(self._text.encoding, "replace"))
        return len(octets)

    def flush(self) -> None:
        """Flush the text, as :meth:`RedactedStream.flush` does."""
        if not self.closed and not self._text.closed:
            self._text.flush()

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the stream itself."""
        return self._text.fileno()


@contextmanager
def redacted_streams(redact: Redact) -> Iterator[None]:
    """Redact all that Python writes to standard output and error until the block ends."""
    before = sys.stdout, sys.stderr
    ours = RedactedStream(sys.stdout, redact), RedactedStream(sys.stderr, redact)
    sys.stdout, sys.stderr = ours
    try:
        yield
    finally:
        for stream in ours:
            stream.write_rest()
        sys.stdout, sys.stderr = before
