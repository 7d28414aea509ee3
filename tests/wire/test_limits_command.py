"""An operator sees what is used of limits, finds in record and numbers what they refused, and gives it back."""

import json

import httpx2
import pytest

from support.redis import RedisServer
from support.ward import Ward
from support.wire import metric, reason_of, site, until

CALLS = {"servers.bench.limits.read": "5/hour"}
SHADOW = {
    "servers.bench.limits.write": None,
    "servers.bench.limits.write.rate": "2/hour",
    "servers.bench.limits.write.enforce": False,
}


def used(ward: Ward, *options: str) -> dict[str, tuple[int, int]]:
    """Return what is used of each limit, and of how much."""
    done = ward.cli("limits", "--json", *options, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return {use["limit"]: (use["used"], use["of"]) for use in json.loads(done.stdout)}


def ready(ward: Ward) -> tuple[int, dict[str, object]]:
    answer = httpx2.get(f"{ward.base}/readyz", timeout=5, verify=False)
    return answer.status_code, answer.json()


def test_one_worker_tells_what_is_used_and_gives_it_back(tmp_path):
    with site(tmp_path, CALLS) as ward:
        caller = f"api-key:{ward.key[11:23]}"
        answers = [ward.call("echo", {"text": "a"}) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        (use,) = json.loads(ward.cli("limits", "--json", "--limit", "read").stdout)
        assert {**use, "reset_s": 0} == {
            "limit": "read", "server": "bench", "tool": None, "caller": caller, "used": 5, "of": 5, "remaining": 0,
            "reset_s": 0,
        }  # fmt: skip
        assert 1 <= use["reset_s"] <= 720
        assert used(ward, "--caller", ward.key[11:23], "--server", "bench")["read"] == (5, 5)
        assert "api-key" in ward.cli("limits").stdout

        (row,) = ward.records("--limit", "read")
        assert (row["reason"], row["limit_name"], row["would_refuse"]) == ("rate-exceeded", "read", None)
        labels = {"mcpward_server": "bench", "limit": "read"}
        until(lambda: metric(ward, "mcpward_limit_refusals_total", **labels) == 1)

        assert ward.cli("limits", "reset", check=False).returncode == 1  # no terminal there to confirm
        assert ward.call("echo", {"text": "a"}).status_code == 429
        rotated = ward.cli("key", "rotate", ward.key[11:23]).stdout.strip()  # the same caller under another id
        assert used(ward, "--caller", rotated[11:23], "--server", "bench")["read"] == (5, 5)
        ward.cli("limits", "reset", "--caller", ward.key[11:23], "--yes")
        assert ward.call("echo", {"text": "a"}).status_code == 200
        assert used(ward, "--limit", "read") == {"read": (1, 5)}
        assert "limits were reset" in ward.log()


def test_what_a_limit_that_is_not_enforced_would_refuse_is_found(tmp_path):
    with site(tmp_path, SHADOW) as ward:
        for number in range(4):
            assert reason_of(ward.call("store", {"value": f"{number}"})) == ""
        until(lambda: len(ward.records("--would-refuse")) == 2)
        assert {row["would_refuse"] for row in ward.records("--limit", "write", "--would-refuse")} == {"write"}
        assert "over write" in ward.cli("log").stdout
        assert metric(ward, "mcpward_limit_would_refuse_total", mcpward_server="bench", limit="write") == 2
        assert metric(ward, "mcpward_limit_refusals_total") == 0


def test_two_workers_add_up(tmp_path):
    with site(tmp_path, {"site.workers": 2, "servers.bench.limits.read": "100/day"}) as ward:
        for _ in range(20):
            assert ward.call("echo", {"text": "a"}).status_code == 200
        assert used(ward, "--limit", "read") == {"read": (20, 200)}
        ward.cli("limits", "reset", "--yes")
        assert used(ward, "--limit", "read") == {}


def test_nobody_serves(tmp_path):
    with site(tmp_path) as ward:
        ward.stop()
        done = ward.cli("limits", check=False)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("error: no running worker answered")


@pytest.mark.parametrize("failure", ["local", "closed"])
def test_counters_in_common_are_read_and_their_absence_shows(tmp_path, redis_server: RedisServer, failure: str):
    settings = {"limits.counters": redis_server.url, "limits.on_store_failure": failure, "site.workers": 2}
    with site(tmp_path, CALLS | settings) as ward:
        answers = [ward.call("echo", {"text": "a"}).status_code for _ in range(6)]
        assert answers == [200] * 5 + [429]
        assert used(ward, "--limit", "read") == {"read": (5, 5)}
        assert metric(ward, "mcpward_limit_store_up") == 1
        ward.cli("limits", "reset", "--limit", "read", "--yes")
        until(lambda: ward.call("echo", {"text": "a"}).status_code == 200, 3.0)

        redis_server.pause()
        ward.call("echo", {"text": "a"})
        without = {
            "local": (200, {"status": "ok", "degraded": ["counters"]}),
            "closed": (503, {"status": "unready", "waiting_for": "counters"}),
        }
        until(lambda: [ready(ward) for _ in range(4)] == [without[failure]] * 4)
        until(lambda: metric(ward, "mcpward_limit_store_up") == 0)
        until(lambda: metric(ward, "mcpward_limit_store_failures_total") > 0)
        if failure == "local":
            alone = ward.cli("limits", "--limit", "read", "--json")
            (use,) = json.loads(alone.stdout)
            assert use["used"] >= 1
            assert "the shared counters do not answer" in alone.stderr
            assert "counters of this host's workers" in alone.stderr
            watched = ward.cli("limits", "reset", "--limit", "read", "--yes")
            assert "counters of this host's workers" in watched.stderr
            assert used(ward, "--limit", "read") == {}
        redis_server.resume()
        until(lambda: [ready(ward) for _ in range(4)] == [(200, {"status": "ok"})] * 4)
        until(lambda: metric(ward, "mcpward_limit_store_up") == 1)


def test_nobody_serves_and_the_shared_counters_are_away(tmp_path, redis_server: RedisServer):
    with site(tmp_path, {"limits.counters": redis_server.url}) as ward:
        ward.stop()
        redis_server.pause()
        done = ward.cli("limits", check=False)
        redis_server.resume()
    assert (done.returncode, done.stdout) == (3, "")
    assert "the shared counters do not answer" in done.stderr
    assert "no worker of this host" in done.stderr


def test_an_address_that_fails_too_often_is_found_by_the_limit_and_let_in_again(tmp_path):
    with site(tmp_path, {"limits.auth_failures": "3/hour"}) as ward:
        assert [ward.call("echo", {"text": "a"}, key="wrong").status_code for _ in range(4)] == [401] * 3 + [429]
        with ward.client() as client:
            assert client.post("/mcp", content=b"{}", headers={"origin": "https://evil.example"}).status_code == 403
        assert len(until(lambda: ward.records("--limit", "auth_failures"))) == 1
        for option, old, new in (
            ("--limit", "knocks", "auth_failures"),
            ("--reason", "too-many-knocks", "address-rate-exceeded"),
        ):
            assert f"{old} is now {new}" in ward.cli("log", option, old, check=False).stderr
        assert "arrivals is now requests" in ward.cli("limits", "--limit", "arrivals", check=False).stderr
        assert used(ward, "--limit", "auth_failures", "--caller", "127.0.0.1") == {"auth_failures": (3, 3)}
        assert ward.call("echo", {"text": "a"}).status_code == 200  # a good key is served meanwhile
        assert ward.call("echo", {"text": "a"}, key="wrong").status_code == 429
        ward.cli("limits", "reset", "--caller", "127.0.0.1", "--yes")
        assert ward.call("echo", {"text": "a"}, key="wrong").status_code == 401


def test_an_address_that_a_worker_keeps_out_by_itself_is_let_in_again(tmp_path, redis_server: RedisServer):
    settings = {"limits.counters": redis_server.url, "limits.auth_failures": "2/hour", "site.workers": 2}
    with site(tmp_path, settings) as ward:
        for _ in range(8):  # at both workers
            ward.call("echo", {"text": "a"}, key="sk-mcpward-wrong")
        assert ward.call("echo", {"text": "a"}, key="sk-mcpward-wrong").status_code == 429
        assert "1 counter" in ward.cli("limits", "reset", "--limit", "auth_failures", "--yes").stderr
        assert ward.call("echo", {"text": "a"}, key="sk-mcpward-wrong").status_code == 401
