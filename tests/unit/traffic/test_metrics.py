"""Numbers that a scraper can read, with labels that no outsider can invent."""

import json
from functools import partial

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from mcpward.core.values import Kind
from mcpward.traffic.metrics import Metrics
from mcpward.traffic.prometheus import render
from mcpward.traffic.record import Result
from support.records import a_record

OPERATIONS = "mcp_server_operation_duration_seconds"


def record(duration_s=0.003, outcome=Result.OK, reason=None, **changes):
    given = {
        "kind": Kind.TOOL,
        "method": "tools/call",
        "tool": "query_orders",
        "is_listed": True,
        "version": "2026-07-28",
    }
    return a_record(outcome, reason, duration_s=duration_s, **given | changes)


def samples(metrics):
    body, _ = render(metrics)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(body.decode())
        for sample in family.samples
    }


def labels(tool="query_orders", error_type="", method="tools/call"):
    return (
        ("error_type", error_type),
        ("gen_ai_tool_name", tool),
        ("mcp_method_name", method),
        ("mcp_protocol_version", "2026-07-28"),
        ("mcpward_server", "orders"),
    )


def test_a_duration_counts_in_its_bucket_and_all_above():
    metrics = Metrics()
    metrics.observe([record(0.005), record(0.0051), record(1000.0)])
    seen = samples(metrics)

    def bucket(le):
        return seen[(f"{OPERATIONS}_bucket", *sorted((*labels(), ("le", le))))]

    assert [bucket(le) for le in ("0.0025", "0.005", "0.01", "300.0", "+Inf")] == [0, 1, 2, 2, 3]
    assert seen[(f"{OPERATIONS}_count", *labels())] == 3
    assert seen[(f"{OPERATIONS}_sum", *labels())] == pytest.approx(1000.0101)


@pytest.mark.parametrize(
    "outcome, reason, error_type",
    [
        (Result.OK, None, ""),
        (Result.ERROR, None, "tool_error"),
        (Result.ERROR, "tool-timeout", "tool-timeout"),
        (Result.REFUSED, "rate-exceeded", "rate-exceeded"),
        (Result.FAULT, "fault", "fault"),
        (Result.CANCELLED, None, "cancelled"),
    ],
)
def test_a_failure_has_its_error_type(outcome, reason, error_type):
    metrics = Metrics()
    metrics.observe([record(outcome=outcome, reason=reason)])
    assert samples(metrics)[(f"{OPERATIONS}_count", *labels(error_type=error_type))] == 1


def test_refusals_count_by_server_and_reason_before_a_method_is_known_too():
    metrics = Metrics()
    metrics.observe([record(outcome=Result.REFUSED, reason="credential-invalid", method="", kind=None)] * 3)
    key = ("mcpward_refusals_total", ("mcpward_server", "orders"), ("reason", "credential-invalid"))
    assert samples(metrics)[key] == 3


def test_limits_count_by_server_and_limit_what_they_refused_and_what_they_would_have():
    metrics = Metrics()
    metrics.observe([record(outcome=Result.REFUSED, reason="rate-exceeded", limits=("stripe", ("read",)))] * 3)
    metrics.observe([record(limits=(None, ("read", "total")))] * 2)
    seen = samples(metrics)
    refused = {key[2][1]: value for key, value in seen.items() if key[0] == "mcpward_limit_refusals_total"}
    assert seen[("mcpward_limit_refusals_total", ("limit", "stripe"), ("mcpward_server", "orders"))] == 3
    assert list(refused.values()) == [3]
    for limit, count in (("read", 5), ("total", 2)):
        assert seen[("mcpward_limit_would_refuse_total", ("limit", limit), ("mcpward_server", "orders"))] == count


def test_a_site_has_its_store_while_every_worker_has_and_failures_add_up():
    merged = Metrics()
    for is_up, failures in ((1, 2), (0, 40), (1, 0)):
        metrics = Metrics()
        metrics.gauges["mcpward_limit_store_up"] = partial(int, is_up)
        metrics.counters["mcpward_limit_store_failures"] = partial(int, failures)
        merged.add(json.loads(json.dumps(metrics.snapshot())))
    ended = Metrics()
    ended.counters["mcpward_limit_store_failures"] = lambda: 100
    ended.gauges["mcpward_limit_store_up"] = lambda: -1
    merged.add(ended.snapshot(), gauges=False)
    total = samples(merged)
    assert total[("mcpward_limit_store_up",)] == 0
    assert total[("mcpward_limit_store_failures_total",)] == 142


def test_made_up_tools_and_notifications_share_one_label():
    metrics = Metrics()
    metrics.observe([record(tool=f"canary{n}", is_listed=False) for n in range(5000)])
    metrics.observe([record(kind=Kind.NOTIFICATION, method=f"notifications/canary{n}", tool="") for n in range(5000)])
    metrics.observe([record(kind=Kind.CATALOGUE, method="resources/read", tool=f"canary://{n}") for n in range(5000)])
    assert "canary" not in render(metrics)[0].decode()
    assert len(metrics.durations) == 3


def test_series_are_bounded_whatever_comes():
    metrics = Metrics()
    for n in range(5000):
        made_up = record(outcome=Result.REFUSED, reason="busy", version=f"{n}", server=f"server{n}")
        made_up.limits = (f"limit{n}", (f"shadow{n}",))
        metrics.observe([made_up])
        metrics.lose(made_up)
    assert len(metrics.durations) <= 2001
    assert len(metrics.refusals) <= 2001
    assert len(metrics.lost) <= 2001
    assert len(metrics.limited) <= 2001
    assert len(metrics.shadowed) <= 2001
    assert sum(metrics.refusals.values()) == 10_000


def test_workers_add_up():
    merged = Metrics()
    for worker in range(3):
        metrics = Metrics()
        metrics.observe([record(), record(outcome=Result.REFUSED, reason="busy")])
        metrics.lose(record(outcome=Result.REFUSED, reason="busy"))
        metrics.failed_writes = 2
        metrics.gauges["mcpward_calls_in_flight"] = partial(int, worker)
        merged.add(json.loads(json.dumps(metrics.snapshot())))
    total = samples(merged)
    assert total[(f"{OPERATIONS}_count", *labels())] == 3
    assert total[(f"{OPERATIONS}_count", *labels(error_type="busy"))] == 6
    refused = (("mcpward_server", "orders"), ("reason", "busy"))
    assert total[("mcpward_refusals_total", *refused)] == 6
    assert total[("mcpward_traffic_records_lost_total", *refused)] == 3
    assert total[("mcpward_traffic_write_failures_total",)] == 6
    assert total[("mcpward_calls_in_flight",)] == 3


def test_a_scraper_that_asks_for_openmetrics_gets_it():
    metrics = Metrics()
    metrics.observe([record()])
    body, content_type = render(metrics, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert OPERATIONS in {family.name for family in parse_openmetrics(body.decode())}


async def test_the_room_shows_what_is_in_flight_and_what_waits(house):
    here = house(queue=7)
    here.writer.offer(record())
    seen = samples(here.writer.metrics)
    assert seen[("mcpward_traffic_queue_depth",)] == 1
    assert seen[("mcpward_traffic_queue_capacity",)] == 7
    assert seen[("mcpward_calls_in_flight",)] == 0
