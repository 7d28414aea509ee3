"""mcpward's own paths: alive, ready, and the metrics. They answer an orchestrator yes or no, and nothing else."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from mcpward.core.values import Reply
from mcpward.ingress.routes import Place

_OK: Final = Reply(status=200, body=b'{"status":"ok"}')
_METRICS_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Probe(Struct, frozen=True):
    """One thing that must hold for mcpward to take calls, or, not ``needed``, for it to be whole.

    ``name`` is public.
    """

    name: str
    holds: Callable[[], bool]
    needed: bool = True


class Health:
    """Answers ``/healthz`` (the process runs), ``/readyz`` (send calls here) and ``/metrics``."""

    def __init__(self, probes: Sequence[Probe], metrics: Callable[[], bytes]) -> None:
        self._probes = tuple(probes)
        self._metrics = metrics

    def answer(self, place: Place) -> Reply:
        """Return the response of one of mcpward's own paths."""
        if place is Place.METRICS:
            return Reply(status=200, headers=((b"content-type", _METRICS_TYPE),), body=self._metrics())
        if place is Place.READY:
            return self._ready()
        return _OK

    def _ready(self) -> Reply:
        """503 names the first thing that is needed and missing; 200 all that is missing and not needed."""
        degraded = []
        for probe in self._probes:
            if probe.holds():
                continue
            name = probe.name.encode("ascii")
            if probe.needed:
                return Reply(status=503, body=b'{"status":"unready","waiting_for":"%b"}' % name)
            degraded.append(b'"%b"' % name)
        if not degraded:
            return _OK
        return Reply(status=200, body=b'{"status":"ok","degraded":[%b]}' % b",".join(degraded))
