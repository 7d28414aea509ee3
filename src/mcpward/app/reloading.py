"""A reload, step by step: read the settings anew, try the sources, start the next generation beside the current one.

A failure at any step changes nothing but the report. All reloads that are requested while one runs are one reload,
which begins after it: the files may have been read before they were written.
"""

from collections.abc import Callable
from typing import Final

import structlog
from msgspec.structs import replace

from mcpward.app.forked import ControlPipe, ForkedProcess, allow_signals
from mcpward.app.generation import Generation
from mcpward.app.inherited import addresses_of
from mcpward.app.running_site import ReloadReport, SiteFiles
from mcpward.app.start_check import StartCheck
from mcpward.app.start_failure import StartFailure, failure_of
from mcpward.config.model import Settings
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Finding, Misconfigured
from mcpward.operations.settings_act import differences

_log: Final = structlog.get_logger("mcpward")
_CLOCK: Final = SystemClock()
#: How long new workers may take to be ready. An import that hangs would keep every later reload waiting.
_MOST_START_S: Final = 120.0
_TOO_LONG: Final = f"the new workers were not ready within {_MOST_START_S:g} s"


class Reloading:
    """``settle`` returns the settings as they are now; ``trial`` tries them, if that is worth a process.

    ``make`` begins a generation; ``note`` records the settings in force, in a process of its own.
    """

    def __init__(
        self,
        settle: Callable[[], Settings],
        trial: Callable[[Settings], None],
        make: Callable[[Settings], Generation],
        note: Callable[[Settings], None],
        files: SiteFiles | None,
    ) -> None:
        self._settle = settle
        self._trial = trial
        self._make = make
        self._note = note
        self._files = files
        self._is_asked = False
        self._settings: Settings | None = None
        self._check: StartCheck | None = None
        self._next: Generation | None = None
        self._before: Generation | None = None
        self._given_up: list[Generation] = []
        self._notes: list[ForkedProcess] = []
        self._report = ReloadReport()
        self._began_at = 0.0
        self.done = self.failed = 0
        self.done_at = 0.0
        self.has_news = False

    def ask(self) -> None:
        """Reload as soon as no reload runs."""
        self._is_asked = True

    @property
    def is_busy(self) -> bool:
        """Whether a reload runs."""
        return self._settings is not None or self._before is not None

    @property
    def processes(self) -> list[ForkedProcess]:
        """A process that runs for a short while and serves no caller."""
        return [*self._notes, *([] if self._check is None else [self._check])]

    @property
    def generations(self) -> list[Generation]:
        """A generation that has been started and is not current yet, or will never be."""
        return [*self._given_up, *([] if self._next is None else [self._next])]

    def given_up(self) -> list[Generation]:
        """Return the generations that have failed, which are to leave; they are not of this object any more."""
        taken, self._given_up = self._given_up, []
        return taken

    def look(self, current: Generation) -> Generation | None:
        """Do the next step, if it is time; return the generation that is to be current from now on."""
        for process in [one for one in self._notes if not one.is_running]:
            process.join()
            self._notes.remove(process)
        try:
            if self._settings is not None and _CLOCK.monotonic() - self._began_at > _MOST_START_S:
                self._fail(StartFailure("other", [Finding(_TOO_LONG, hint="does a source wait while it is imported?")]))
            elif self._before is not None:
                self._look_at_before(current, self._before)
            elif self._settings is None:
                if self._is_asked:
                    self._begin(current)
            elif self._check is not None:
                self._look_at_check(self._settings)
            elif self._next is not None:
                return self._look_at_next(current, self._next)
        except Exception as error:  # noqa: BLE001  # whatever it is, the current generation goes on
            self._fail(failure_of(error))
        return None

    def close(self) -> None:
        """End what runs for a reload: the site stops."""
        if self._check is not None:
            self._check.kill()
            self._check = None
        if self.is_busy:
            self._write("failed", findings=[Finding("the site was stopped meanwhile")])

    def _begin(self, current: Generation) -> None:
        self._is_asked = False
        self._began_at = _CLOCK.monotonic()
        self._report = ReloadReport(number=self._report.number + 1)
        self._write("running", stage="reading the settings")
        settings = self._settle()
        _require_same_places(current.settings, settings)
        self._settings = settings
        if settings.site.workers > 1:
            self._write("running", stage="trying the sources")
            self._check = StartCheck(lambda: self._trial(settings))
        else:
            self._start(settings)

    def _look_at_check(self, settings: Settings) -> None:
        assert self._check is not None
        failure = self._check.failure
        if failure is None and not self._check.has_passed:
            return
        self._check.join()
        self._check = None
        if failure is not None:
            self._fail(failure)
        else:
            self._start(settings)

    def _start(self, settings: Settings) -> None:
        count = settings.site.workers
        self._write("running", stage=f"starting {count} new worker{'s' if count > 1 else ''}")
        self._next = self._make(settings)

    def _look_at_next(self, current: Generation, coming: Generation) -> Generation | None:
        coming.listen()
        if failure := coming.failure:
            self._fail(failure)
        elif coming.is_ready:
            coming.serve()
            if coming.is_serving:
                self._next = self._settings = None
                self._before = current
                current.leave(_CLOCK.monotonic())
                return coming
        return None

    def _look_at_before(self, coming: Generation, before: Generation) -> None:
        """Report the reload as done when no connection reaches an old worker."""
        before.listen()
        if before.has_left:
            self._before = None
            self._take(before, coming)

    def _take(self, current: Generation, coming: Generation) -> None:
        self.done += 1
        self.done_at = _CLOCK.now()
        self.has_news = True
        taken = differences(current.settings, current.sources, coming.settings, coming.sources)
        self._write("done", taken=taken)
        _log.info("reloaded", workers=len(coming.workers), changed=taken)
        self._notes.append(ForkedProcess(lambda pipe: _noted(pipe, lambda: self._note(coming.settings))))

    def _fail(self, failure: StartFailure) -> None:
        if self._check is not None:
            self._check.kill()
            self._check = None
        if self._next is not None:
            self._next.leave(_CLOCK.monotonic())
            self._given_up.append(self._next)
        self._next = self._settings = None
        self.failed += 1
        self.has_news = True
        self._write("failed", findings=failure.findings)
        first, *more = failure.findings
        said = {"what": first.what, "where": first.where, "hint": first.hint, "more": len(more)}
        _log.error("not reloaded: what served before goes on", **said)

    def _write(self, state: str, **more: object) -> None:
        took_s = _CLOCK.monotonic() - self._began_at
        empty = ReloadReport(number=self._report.number, state=state, took_s=took_s)
        self._report = replace(empty, **more)
        if self._files is not None:
            self._files.write_report(self._report)


def _noted(_pipe: ControlPipe, note: Callable[[], None]) -> None:
    allow_signals()
    try:
        note()
    except Exception:  # noqa: BLE001  # whatever it is, the log has it
        _log.exception("that the site was reloaded is not on record")


def _require_same_places(current: Settings, settings: Settings) -> None:
    """Refuse what a process that serves cannot change.

    Raises:
        Misconfigured: the addresses or the folder of the data are others.
    """
    keys = ("site.listen", "site.metrics_listen", "site.data")
    before = (*addresses_of(current), str(current.site.data))
    now = (*addresses_of(settings), str(settings.site.data))
    findings = [
        Finding(
            f"{key} is now {new or 'off'}, and the site serves with {old or 'none'}",
            settings.place(key),
            "a reload keeps addresses and data: restart the site, or write the old value",
        )
        for key, old, new in zip(keys, before, now, strict=True)
        if old != new
    ]
    if findings:
        raise Misconfigured(findings)
