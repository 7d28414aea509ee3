"""Processes that are forked off this one, each with a pipe between the two for their messages.

The process that forks has one thread, no event loop and no open database; see docs/decisions/0006. A child closes the
ends of its siblings' pipes, so that each pipe ends with the two processes that it joins.
"""

import atexit
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any, Final

from msgspec.json import Decoder, Encoder

_FORK: Final = multiprocessing.get_context("fork")
#: Held back while a child has the handlers of its parent: a signal then would be lost in a copy of a list.
_HELD: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2})
_encode: Final = Encoder().encode
_decode: Final = Decoder(dict[str, Any]).decode
#: The ends of this process, of the pipes to its children.
_ours: Final[set["Connection[bytes, bytes]"]] = set()

Message = dict[str, Any]


class ControlPipe:
    """One end of a pipe; messages are small JSON objects. May be used by several threads."""

    def __init__(self, connection: "Connection[bytes, bytes]") -> None:
        self._connection = connection
        self._lock = Lock()

    def fileno(self) -> int:
        """Return the descriptor, for ``select``."""
        return self._connection.fileno()

    def send(self, **said: Any) -> None:
        """Send a message, unless the other process has gone."""
        with self._lock, suppress(OSError):
            self._connection.send_bytes(_encode(said))

    def receive(self) -> Message | None:
        """Wait for the next message and return it; None when the other process has gone."""
        try:
            return _decode(self._connection.recv_bytes())
        except (OSError, EOFError):
            return None

    def waiting(self) -> Iterator[Message]:
        """Return the messages that have come, and wait for none."""
        with suppress(OSError):
            while not self._connection.closed and self._connection.poll(0):
                message = self.receive()
                if message is None:
                    return
                yield message

    def close(self) -> None:
        """Close this end."""
        _ours.discard(self._connection)
        self._connection.close()


class ForkedProcess:
    """Runs ``work`` in a child from now on. Signals are held back there until ``work`` calls :func:`allow_signals`."""

    def __init__(self, work: Callable[[ControlPipe], None]) -> None:
        ours, theirs = _FORK.Pipe()
        stdin = _stdin()
        self._process = _FORK.Process(target=_run, args=(work, theirs, ours, stdin))
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        if stdin is not None:
            os.close(stdin)
        _ours.add(ours)
        self.pipe = ControlPipe(ours)
        self.pid: int = self._process.pid or 0

    @property
    def sentinel(self) -> int:
        """A descriptor that can be read when the process has ended."""
        return self._process.sentinel

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """Its exit code; the negative number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self._process.exitcode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, and wait for that."""
        self.send_signal(signal.SIGKILL)
        self.join()

    def join(self) -> None:
        """Wait for its end."""
        self._process.join()
        self.pipe.close()


def allow_signals() -> None:
    """Let signals come, in a child whose handlers stand."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def _stdin() -> int | None:
    """Return a copy of stdin: ``multiprocessing`` passes none to children, and an author may call ``breakpoint()``."""
    try:
        return os.dup(0)
    except OSError:
        return None


def _run(
    work: Callable[[ControlPipe], None],
    theirs: "Connection[bytes, bytes]",
    ours: "Connection[bytes, bytes]",
    stdin: int | None,
) -> None:
    for end in (ours, *_ours):
        end.close()
    _ours.clear()
    signal.set_wakeup_fd(-1)
    for number in _HELD:
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGINT):  # of a terminal, which signals all of us: the parent decides
        signal.signal(number, signal.SIG_IGN)
    if stdin is not None:
        os.dup2(stdin, 0)
        os.close(stdin)
    importlib.invalidate_caches()
    try:
        work(ControlPipe(theirs))
    finally:
        sys.stdout.flush()
        # Exit functions of the modules that authors imported; ``multiprocessing`` leaves them out.
        atexit._run_exitfuncs()  # noqa: SLF001
