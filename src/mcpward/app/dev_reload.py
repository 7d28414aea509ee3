"""``serve --reload``: serves anew at every save, each version in a process of its own.

The new version starts beside the old one, on the same listener. When it is ready the old one finishes its calls and
ends; when it cannot be loaded the old one goes on. So nothing is refused meanwhile, and no module of an old version is
left in the new one. For development: limits that are counted in memory begin anew with each version.
"""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

from mcpward.app.inherited import READY, Inherited, addresses_of, arguments_of
from mcpward.app.listeners import bind, bind_metrics
from mcpward.app.stand_in import StandIn
from mcpward.app.watched_files import changed, roots_of, stamps_of
from mcpward.config.model import Settings
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Finding, Misconfigured

_CLOCK: Final = SystemClock()
_LOOK_EVERY_S: Final = 0.2
_KILL_AFTER_S: Final = 5.0
_MODULE: Final = "mcpward.cli.dev_version"
Tell = Callable[[str], None]


def run_reloading(settings: Settings, config: Path | None, words: Sequence[str], tell: Tell) -> int:
    """Serve until SIGTERM or SIGINT. ``words`` are those of ``mcpward serve``; ``tell`` shows a line to the developer.

    Raises:
        Misconfigured: the addresses are not only of this machine.
        Unreachable: an address cannot be bound.
    """
    require_loopback(settings)
    site = settings.site
    listener = bind(site.address)
    try:
        metrics = bind_metrics(site)
        return _Reloader(settings, config, words, listener, metrics, tell).run()
    finally:
        listener.close()


def require_loopback(settings: Settings) -> None:
    """Refuse to reload where others could reach it: everyone who may write the files would decide what is served.

    Raises:
        Misconfigured: with the addresses that are not loopback.
    """
    site = settings.site
    named = {"site.listen": site.address, "site.metrics_listen": site.metrics_address}
    findings = [
        Finding(f"--reload serves only on loopback, and {key} is {address}", key, "--host 127.0.0.1")
        for key, address in named.items()
        if address is not None and not address.is_loopback
    ]
    if site.behind_tls_proxy:
        findings.append(Finding("--reload serves only this machine, and no proxy", "site.behind_tls_proxy"))
    if findings:
        raise Misconfigured(settings.placed(findings))


class _Version:
    """One process that serves, or tries to. ``heard`` is its report on its start, None until it has come."""

    def __init__(self, command: Sequence[str], inherited: Inherited, ends: int) -> None:
        metrics = () if inherited.metrics is None else (inherited.metrics.fileno(),)
        self.process = subprocess.Popen(  # noqa: S603  # ourselves, with the words that we were started with
            [*command], pass_fds=(inherited.listener.fileno(), *metrics, inherited.ready)
        )
        os.close(inherited.ready)
        os.set_blocking(ends, False)
        self._pipe = ends
        self.heard: str | None = None
        self.since = _CLOCK.monotonic()

    def listen(self) -> None:
        """Read what it has reported of its start so far."""
        if self.heard is not None:
            return
        with suppress(BlockingIOError):
            said = os.read(self._pipe, 4096).decode(errors="replace")
            self.heard = said or f"the start ended with exit code {self.process.wait()}"
            os.close(self._pipe)

    @property
    def took_s(self) -> float:
        """Seconds since it was started."""
        return _CLOCK.monotonic() - self.since

    def stop(self) -> None:
        """Have it finish its calls and end."""
        if self.process.poll() is None:
            self.process.terminate()


class _Reloader:
    def __init__(
        self,
        settings: Settings,
        config: Path | None,
        words: Sequence[str],
        listener: socket.socket,
        metrics: socket.socket | None,
        tell: Tell,
    ) -> None:
        self._words = words
        self._listener = listener
        self._metrics = metrics
        self._addresses = addresses_of(settings)
        self._roots = roots_of(settings, config)
        self._is_tls = settings.site.tls_cert is not None
        self._drain_s = settings.site.drain_s
        self._tell = tell
        self._current: _Version | None = None
        self._next: _Version | None = None
        self._leaving: list[_Version] = []
        self._stand_in: StandIn | None = None
        self._is_announced = False
        self._is_over = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        seen = stamps_of(self._roots)
        self._start()
        while not self._is_over:
            _pause(_LOOK_EVERY_S)
            if files := changed(seen, stamps_of(self._roots)):
                seen = self._settled(seen)
                self._tell(f"{_named(files)} changed")
            self._look()  # first: a process that is ready now must serve until the next one is
            if files:
                self._start()
        return self._end()

    def _settled(self, stamps: Any) -> Any:
        """Return how the files are when nothing has been written for a moment: editors write in several steps."""
        while (later := stamps_of(self._roots)) != stamps:
            stamps = later
            _pause(_LOOK_EVERY_S / 2)
        return stamps

    def _start(self) -> None:
        if self._next is not None:  # its files have changed again
            self._leave(self._next)
        ours, theirs = os.pipe()
        inherited = Inherited(
            self._listener, self._metrics, theirs, self._addresses, not self._is_announced, os.getpid()
        )
        command = [sys.executable, "-m", _MODULE, *arguments_of(inherited), *self._words]
        self._next = _Version(command, inherited, ours)

    def _look(self) -> None:
        """See how the start goes, whether what serves still does, and who has ended."""
        if self._is_over:  # the terminal has signalled them all to stop
            return
        if self._next is not None:
            self._next.listen()
            if self._next.heard == READY:
                self._take_over(self._next)
            elif self._next.heard is not None:
                self._fail(self._next)
        current = self._current
        if current is not None and current.process.poll() is not None:
            self._tell(f"the server has ended with exit code {current.process.returncode}; the next save starts it")
            self._current = None
        for version in [*self._leaving]:
            if version.process.poll() is not None:
                self._leaving.remove(version)
            elif version.took_s > self._drain_s + _KILL_AFTER_S:
                version.process.kill()

    def _take_over(self, version: _Version) -> None:
        self._silence()
        if self._is_announced:
            self._tell(f"reloaded in {version.took_s:.1f} s")
        self._is_announced = True
        if self._current is not None:
            self._leave(self._current)
        self._current, self._next = version, None

    def _fail(self, version: _Version) -> None:
        """Report the process that answers meanwhile, and the next try. The failed process has reported its error
        itself.
        """
        assert version.heard is not None
        self._next = None
        if self._current is not None:
            self._tell("not reloaded: the last good version keeps answering; the next save tries again")
            return
        self._tell("nothing is served: the next save tries again")
        self._silence()
        if not self._is_tls:  # callers of a TLS site wait until there is something
            self._stand_in = StandIn(self._listener, f"the server cannot be loaded: {version.heard}")

    def _leave(self, version: _Version) -> None:
        version.since = _CLOCK.monotonic()
        version.stop()
        self._leaving.append(version)

    def _silence(self) -> None:
        if self._stand_in is not None:
            self._stand_in.stop()
            self._stand_in = None

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_over = True

    def _end(self) -> int:
        self._silence()
        versions = [version for version in (self._current, self._next, *self._leaving) if version is not None]
        for version in versions:
            version.stop()
        for version in versions:
            try:
                version.process.wait(self._drain_s + _KILL_AFTER_S)
            except subprocess.TimeoutExpired:
                version.process.kill()
        return 0


def _pause(seconds: float) -> None:
    """Wait. No lock, which a signal's handler could need as well."""
    select.select([], [], [], seconds)


def _named(files: Sequence[Path]) -> str:
    first = os.path.relpath(files[0])
    return first if len(files) == 1 else f"{first} and {len(files) - 1} more"
