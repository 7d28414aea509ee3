"""The metrics in Prometheus' text format (or OpenMetrics, if the scraper asks for it)."""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mcpward.traffic.metrics import (
    BOUNDS,
    LAST_RELOAD,
    MANAGER_FAILURES,
    MANAGER_UP,
    RELOADS,
    RELOADS_FAILED,
    RESTARTS,
    Metrics,
    Refused,
)

# OpenTelemetry's attribute names, with dots as underscores.
_LABELS: Final = ("mcpward_server", "mcp_method_name", "gen_ai_tool_name", "error_type", "mcp_protocol_version")
_LES: Final = (*(repr(bound) for bound in BOUNDS), "+Inf")
_BY: Final = "listener"
GAUGES: Final = {
    "mcpward_connections": "open connections of callers, those in their TLS handshake included",
    "mcpward_connections_max": "maximum of connections of callers",
    "mcpward_calls_in_flight": "requests that have arrived and are not answered yet",
    "mcpward_traffic_queue_depth": "traffic records that wait to be written",
    "mcpward_traffic_queue_capacity": "traffic records that may wait before calls are refused",
    "mcpward_tool_threads": "threads for tool functions, idle ones included",
    "mcpward_tool_threads_busy": "threads that run a tool function",
    "mcpward_tool_threads_abandoned": "threads whose caller was answered, or has left, before their function ended",
    "mcpward_tool_threads_waited_for": "tool functions that wait for a thread",
    "mcpward_traffic_writable": "1 while the last write of every worker succeeded, else 0",
    "mcpward_traffic_size_bytes": "size of the record, as part of traffic.max_size",
    "mcpward_traffic_max_size_bytes": "traffic.max_size",
    LAST_RELOAD: "when the site was reloaded last, in seconds since 1970; 0 when it was not",
    "mcpward_limit_store_up": "1 while the shared counters of limits answer every worker, else 0",
    MANAGER_UP: "1 while every worker can read all secrets of the external secret manager, else 0",
}
COUNTERS: Final = {
    RESTARTS: "workers that died, or did not answer, and were replaced",
    RELOADS: "reloads after which new workers served",
    RELOADS_FAILED: "reloads that were refused and changed nothing",
    "mcpward_traffic_calls_unrecorded": "calls that ran unrecorded, as traffic.when_full allows",
    "mcpward_traffic_rows_removed": "oldest rows of the record that were removed to keep it within its size",
    "mcpward_limit_store_failures": "failed or late answers of the shared counters of limits",
    MANAGER_FAILURES: "looks at the external secret manager that could not read every server's secrets",
}


class MetricsCollector(Collector):
    """Shows one :class:`~mcpward.traffic.metrics.Metrics` to prometheus_client."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Return every family once, as it stands now."""
        yield self._durations()
        of = self._metrics
        yield _counts("mcpward_refusals", "requests that were refused", "reason", of.refusals)
        yield _counts("mcpward_traffic_records_lost", "requests whose record was lost", "reason", of.lost)
        yield _counts("mcpward_limit_refusals", "requests that a limit refused", "limit", of.limited)
        yield _counts(
            "mcpward_limit_would_refuse", "requests over a limit that is counted and not enforced", "limit", of.shadowed
        )
        yield _counts(
            "mcpward_connections_refused", "new connections that were refused", "reason", of.connections_refused, _BY
        )
        yield _counts(
            "mcpward_connections_evicted", "connections closed to make room", "reason", of.connections_evicted, _BY
        )
        yield _counts(
            "mcpward_event_loop_held_seconds",
            "time in which a tool function held the event loop for half a second or longer",
            "gen_ai_tool_name",
            of.loop_held,
        )
        failed = CounterMetricFamily("mcpward_traffic_write_failures", "batches that the store refused")
        failed.add_metric([], self._metrics.failed_writes)
        yield failed
        for name, ask in self._metrics.counters.items():
            yield CounterMetricFamily(name, COUNTERS.get(name, name), value=ask())
        for name, ask in self._metrics.gauges.items():
            yield GaugeMetricFamily(name, GAUGES.get(name, name), value=ask())

    def _durations(self) -> HistogramMetricFamily:
        family = HistogramMetricFamily(
            "mcp_server_operation_duration_seconds",
            "MCP request or notification duration as observed on the receiver",
            labels=_LABELS,
        )
        for series, (*buckets, seconds) in self._metrics.durations.items():
            family.add_metric(series, list(zip(_LES, accumulate(buckets), strict=True)), seconds)
        return family


def _counts(
    name: str, text: str, label: str, counts: Mapping[Refused, float], by: str = "mcpward_server"
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=(by, label))
    for (server, what), count in counts.items():
        family.add_metric([server, what], count)
    return family


def render(metrics: Metrics, accept: str = "") -> tuple[bytes, str]:
    """Return the body and the content type for a scraper that sent this ``Accept``."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsCollector(metrics))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
