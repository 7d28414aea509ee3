"""Alive, ready, and the numbers: only an orchestrator and Prometheus see them."""

import httpx2
import pytest

from support.ward import Ward
from support.wire import Session, exchange, metric, metrics, reason_of, rows, site, until

TOOL = {"mcp_method_name": "tools/call", "gen_ai_tool_name": "echo"}
COUNT = "mcp_server_operation_duration_seconds_count"


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with site(tmp_path_factory.mktemp("health")) as ward:
        yield ward


def at_metrics(ward: Ward, path: str, verb: str = "GET", **headers: str) -> httpx2.Response:
    return httpx2.request(verb, f"http://127.0.0.1:{ward.metrics_port}{path}", headers=headers, verify=False)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_one_word(ward, path):
    with ward.client() as client:
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert answer.headers["cache-control"] == "no-store"
        silent = client.head(path)
        assert (silent.status_code, silent.content) == (200, b"")
        assert silent.headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_health_is_only_read(ward, path, verb):
    with ward.client() as client:
        answer = client.request(verb, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/healthz/", "/healthz/x", "/HEALTHZ", "/readyz/../healthz", "/%68ealthz", "/health"])
def test_other_spellings_are_other_paths(ward, path):
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{ward.port}\r\nConnection: close\r\n\r\n"
    assert exchange(ward, request.encode()).startswith(b"HTTP/1.1 404 ")


def test_health_answers_any_host_and_stands_behind_the_other_gates(ward):
    with ward.client() as client:
        assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 200
        assert client.get("/", headers={"host": "evil.example"}).status_code == 421
        assert client.get("/healthz", headers={"origin": "https://evil.example"}).status_code == 403


def test_the_numbers_have_an_address_of_their_own(ward):
    with ward.client() as client:
        assert client.get("/metrics").status_code == 404
    answer = at_metrics(ward, "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for path in ("/mcp", "/metrics/", "/"):
        assert at_metrics(ward, path).status_code == 404


def test_the_numbers_stand_behind_the_gates(ward):
    """A web page that rebinds its name to 127.0.0.1 reads no numbers."""
    assert at_metrics(ward, "/metrics", host="evil.example").status_code == 421
    assert at_metrics(ward, "/metrics", host=f"127.0.0.1:{ward.port}").status_code == 421
    assert at_metrics(ward, "/metrics", origin="https://evil.example").status_code == 403
    assert at_metrics(ward, "/metrics", "POST").status_code == 405


def test_a_call_is_counted_under_the_names_of_the_conventions(ward):
    before = metric(ward, COUNT, **TOOL)
    for _ in range(3):
        ward.call("echo", {"text": "a"})
    until(lambda: metric(ward, COUNT, **TOOL, mcp_protocol_version="2026-07-28", error_type="") == before + 3)
    ward.call("echo", {"text": 5})
    until(lambda: metric(ward, COUNT, **TOOL, error_type="arguments-invalid") == 1)
    ward.call("scold")
    until(lambda: metric(ward, COUNT, gen_ai_tool_name="scold", error_type="tool_error") == 1)
    Session(ward)
    until(lambda: metric(ward, COUNT, mcp_method_name="initialize", mcp_protocol_version="") >= 1)


def test_buckets_sum_and_count_belong_together(ward):
    ward.call("whoami")
    labels = {"gen_ai_tool_name": "whoami"}
    until(lambda: metric(ward, COUNT, **labels) >= 1)
    name = COUNT.removesuffix("_count")
    assert metric(ward, f"{name}_bucket", le="+Inf", **labels) == metric(ward, COUNT, **labels)
    assert 0 < metric(ward, f"{name}_sum", **labels) < 5


def test_names_that_callers_made_up_are_no_labels(ward):
    for number in range(5):
        assert reason_of(ward.call(f"made-up-{number}")) == "tool-unknown"
    until(lambda: metric(ward, COUNT, gen_ai_tool_name="?", error_type="tool-unknown") >= 5)
    for number in range(3):
        ward.modern(f"made/up{number}")
    until(lambda: metric(ward, "mcpward_refusals_total", reason="method-unknown") >= 3)
    page = metrics(ward)
    assert "made-up" not in page
    assert "made/up" not in page


def test_nothing_of_a_caller_stands_in_the_numbers(ward):
    ward.call("echo", {"text": "private words"})
    until(lambda: rows(ward, "arguments LIKE '%private words%'"))
    page = metrics(ward)
    for private in ("private words", ward.key, ward.key[11:23], "127.0.0.1"):
        assert private not in page


def test_what_waits_and_what_runs_is_shown(ward):
    assert metric(ward, "mcpward_traffic_queue_capacity") == 10_000
    assert metric(ward, "mcpward_calls_in_flight") == 0
