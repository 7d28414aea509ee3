"""Counts and durations, fed from records once per batch, never per request. Plain numbers; no wire format.

Names and attributes follow OpenTelemetry's semantic conventions for MCP (``mcp.server.operation.duration``). Labels
come from closed lists: an unknown name (a tool that does not exist) counts under ``?``, and all series above a limit
share one. So no caller can fill the memory, here or at the scraper, by inventing names.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any, Final

from mcpward.core.values import Kind
from mcpward.traffic.record import Record, Result
from mcpward.traffic.subject import Series, Subject

#: Seconds. The conventions name 0.01 to 300; calls here take less, so finer ones come before.
BOUNDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip
UNKNOWN: Final = "?"
#: Counted by the supervisor, and 0 in each worker, so that they are always on the page.
RESTARTS: Final = "mcpward_worker_restarts"
RELOADS: Final = "mcpward_reloads"
RELOADS_FAILED: Final = "mcpward_reloads_failed"
LAST_RELOAD: Final = "mcpward_last_reload_timestamp_seconds"
#: Only of a site with an external secret manager.
MANAGER_UP: Final = "mcpward_secret_manager_up"
MANAGER_FAILURES: Final = "mcpward_secret_manager_failures"
_MAX_SERIES: Final = 2000
_OVERFLOW: Final = (UNKNOWN,) * 5
_OK: Final = Result.OK
# A notification is accepted whatever its name is, so the name by itself is no label.
_NOTIFICATIONS: Final = frozenset(
    f"notifications/{word}" for word in ("initialized", "cancelled", "progress", "message", "roots/list_changed")
)


Refused = tuple[str, str]
"""Server and reason, or server and limit."""
Counted = tuple[str, str]
"""Listener and reason."""
#: Gauges that say whether something is well: a site is as well as its worst worker.
LEAST: Final = frozenset(
    {
        "mcpward_limit_store_up",
        MANAGER_UP,
        "mcpward_traffic_writable",
        # Of the one database that all workers share.
        "mcpward_traffic_size_bytes",
        "mcpward_traffic_max_size_bytes",
    }
)


class Metrics:
    """The counts of one process since it started; ``gauges`` and ``counters`` are asked when they are read."""

    def __init__(self) -> None:
        #: Requests by duration, one number per bound and one for all above; after them, their seconds together.
        self.durations: dict[Series, list[float]] = {}
        self.refusals: dict[Refused, int] = {}
        self.lost: dict[Refused, int] = {}
        self.limited: dict[Refused, int] = {}
        self.shadowed: dict[Refused, int] = {}
        self.connections_refused: dict[Counted, int] = {}
        self.connections_evicted: dict[Counted, int] = {}
        #: Seconds, by server and tool.
        self.loop_held: dict[Refused, float] = {}
        self.failed_writes = 0
        self.gauges: dict[str, Callable[[], float]] = {}
        self.counters: dict[str, Callable[[], float]] = {}

    def observe(self, records: Sequence[Record]) -> None:
        """Count a batch of records."""
        served: defaultdict[Subject, list[float]] = defaultdict(list)
        for record in records:
            if record.count is not None:  # each of the requests that it stands for was counted when it came
                continue
            if record.outcome is _OK and record.limits is None:  # the most of them; a good end has no reason
                served[record.subject].append(record.duration_s)
            else:
                self._observe(record)
        for subject, durations in served.items():
            if subject.method:
                if subject.served is None:
                    subject.served = _series(subject, "")
                self._measure(subject.served, durations)

    def lose(self, record: Record) -> None:
        """Count a record that could not be written: the request itself, and its missing record."""
        _count(self.lost, record.subject.server, record.reason or "")
        self.observe((record,))

    def _count_limits(self, server: str, limit: str | None, shadows: Sequence[str]) -> None:
        if limit is not None:
            _count(self.limited, server, limit)
        for name in shadows:
            _count(self.shadowed, server, name)

    def _observe(self, record: Record) -> None:
        subject = record.subject
        if record.reason is not None:
            _count(self.refusals, subject.server, record.reason)
        if record.limits is not None:
            self._count_limits(subject.server, *record.limits)
        if subject.method:
            self._measure(_series(subject, _error_type(record)), (record.duration_s,))

    def _measure(self, series: Series, durations: Sequence[float]) -> None:
        buckets = self.durations.get(series)
        if buckets is None:
            if len(self.durations) >= _MAX_SERIES:
                series = _OVERFLOW
            buckets = self.durations.setdefault(series, [0.0] * (len(BOUNDS) + 2))
        buckets[-1] += sum(durations)
        for place in map(bisect_left, repeat(BOUNDS), durations):
            buckets[place] += 1

    # ---- several workers: each gives its numbers away as plain JSON, and one adds them up -------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers as they stand now; :meth:`add` takes them."""
        return {
            "durations": [[*series, buckets] for series, buckets in self.durations.items()],
            **{name: [[*key, count] for key, count in counts.items()] for name, counts in self._counts().items()},
            "loop_held": [[*key, seconds] for key, seconds in self.loop_held.items()],
            "failed_writes": self.failed_writes,
            "gauges": {name: ask() for name, ask in self.gauges.items()},
            "counters": {name: ask() for name, ask in self.counters.items()},
        }

    def add(self, snapshot: Mapping[str, Any], *, gauges: bool = True) -> None:
        """Add a snapshot. ``gauges`` describe the present: without them if its process has ended; its counts stay."""
        for server, method, tool, error_type, version, buckets in snapshot["durations"]:
            mine = self.durations.setdefault((server, method, tool, error_type, version), [0.0] * len(buckets))
            mine[:] = [a + b for a, b in zip(mine, buckets, strict=True)]
        for key, counts in self._counts().items():
            for server, reason, count in snapshot[key]:
                counts[server, reason] = counts.get((server, reason), 0) + count
        for server, tool, seconds in snapshot["loop_held"]:
            self.loop_held[server, tool] = self.loop_held.get((server, tool), 0.0) + seconds
        self.failed_writes += snapshot["failed_writes"]
        for name, value in snapshot["counters"].items():
            self.counters[name] = _always(value + (self.counters[name]() if name in self.counters else 0))
        for name, value in snapshot["gauges"].items() if gauges else ():
            self.gauges[name] = _always(_together(name, value, self.gauges[name]()) if name in self.gauges else value)

    def _counts(self) -> dict[str, dict[Refused, int]]:
        return {
            "refusals": self.refusals,
            "lost": self.lost,
            "limited": self.limited,
            "shadowed": self.shadowed,
            "connections_refused": self.connections_refused,
            "connections_evicted": self.connections_evicted,
        }


def _always(value: float) -> Callable[[], float]:
    return lambda: value


def _together(name: str, one: float, other: float) -> float:
    return min(one, other) if name in LEAST else one + other


def _count(counts: dict[Refused, int], server: str, what: str) -> None:
    key = (server, what)
    if key not in counts and len(counts) >= _MAX_SERIES:
        key = (UNKNOWN, UNKNOWN)
    counts[key] = counts.get(key, 0) + 1


def _series(subject: Subject, error_type: str) -> Series:
    method, tool = subject.method, ""
    if subject.kind is Kind.TOOL:
        tool = subject.tool if subject.is_listed else UNKNOWN
    elif subject.kind is Kind.NOTIFICATION and method not in _NOTIFICATIONS:
        method = UNKNOWN
    return (subject.server, method, tool, error_type, subject.version)


def _error_type(record: Record) -> str:
    """``tool_error`` is what the conventions call a tool result with ``isError``; else the name of the reason."""
    if record.outcome is Result.OK:
        return ""
    if record.reason is not None:
        return record.reason
    return "tool_error" if record.outcome is Result.ERROR else record.outcome.value
