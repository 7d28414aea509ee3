"""Limits that hold under races, at window edges, when clocks jump, and whatever a caller says about itself.

Sources: draft-ietf-httpapi-ratelimit-headers, RFC 9110 §10.2.3, CWE-362, CWE-770, CVE-2026-59951 (unbounded state).
"""

import time
from collections import Counter
from pathlib import Path

import pytest

from support.matches import whole
from support.raw import connect, parse, request
from support.stops import worker_of
from support.volley import call_bytes, create_keys, lines, status_of, volley
from support.ward import Ward, serving, text_of

#: Loaded before anything asks for the time, so whatever the limits hold on to is this clock.
SHIFT = '''
import time
from mcpward import Server
from mcpward.core.clock import SystemClock

server = Server("demo")
real, shift = time.time, [0]
time.time = lambda: real() + shift[0]
SystemClock.now = staticmethod(time.time)


@server.tool(read_only=True)
async def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool()
async def set_clock(seconds: int) -> str:
    """Set the clock of this process."""
    shift[0] = seconds
    return "set"
'''


def limited(read: str, mode: str = "api-key", more: str = "") -> str:
    return (
        f'[servers.demo]\nsource = "tools.py"\nmode = "{mode}"\n[servers.demo.limits]\n'
        f'read = "{read}"\nwrite = "100000/minute"\ndestructive = "100000/minute"\ndiscovery = "100000/minute"\n'
        f'repeat_read = ""\n{more}'
    )


def test_attack_102_of_200_parallel_calls_at_limit_50_exactly_50_pass_20_times(tmp_path):
    """Every time from another address, as a stranger without charges so far."""
    with serving(tmp_path / "site", servers=limited("50/hour", "public"), start=False) as ward:
        trust(ward, tmp_path)
        ward.start()
        with lines([ward.port], 200) as wires:
            for time_ in range(20):
                address = ("X-Forwarded-For", f"198.51.100.{time_}")
                datas = [call_bytes(ward.port, at=at, headers=(address,)) for at in range(200)]
                assert volley(wires, datas) == {200: 50, 429: 150}


def test_attack_102_parallel_calls_of_one_key_pass_just_as_often_as_it_may_20_times(tmp_path):
    with serving(tmp_path / "site", servers=limited("50/hour"), start=False) as ward:
        keys = create_keys(ward, 20)
        keys.append(ward.create_key(name="own", rate="20/hour"))
        ward.start()
        with lines([ward.port], 200) as wires:
            for key, passed in zip(keys, [50] * 20 + [20], strict=True):
                datas = [call_bytes(ward.port, key, at) for at in range(200)]
                assert volley(wires, datas) == {200: passed, 429: 200 - passed}


def test_attack_103_no_window_holds_more_than_its_rate_and_the_burst(tmp_path):
    """Between the first's sending and the last's answer of any row of passed calls lie enough seconds for all."""
    rate, burst = 20, 10
    with serving(tmp_path / "site", servers=limited(f"{rate}/second burst {burst}"), start=False) as ward:
        key = ward.create_key()
        ward.start()
        passed: list[tuple[float, float]] = []
        refused = 0
        with connect(ward.port) as wire:
            began = time.monotonic()
            while (sent := time.monotonic()) < began + 3.2:
                status = status_of(wire, call_bytes(ward.port, key))
                if status == 200:
                    passed.append((sent, time.monotonic()))
                else:
                    refused += 1
                if 1.0 < sent - began < 1.6:  # a pause, to stand before a window's edge with saved credit
                    time.sleep(0.6)
    assert refused > 100
    assert len(passed) > 40
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            span = passed[last][1] - passed[first][0]
            assert last - first + 1 <= burst + rate * span + 1e-6, (first, last, span)


@pytest.mark.parametrize("seconds", [3600, -3600, 10**8, -(10**8)])
def test_attack_105_a_clock_that_jumps_frees_no_burst_and_locks_nobody_out(tmp_path, seconds: int):
    """The process's wall clock is set while it serves. Arithmetic: tests/unit/limits/test_memory.py."""
    with serving(tmp_path / "site", servers=limited("3/second burst 5"), start=False) as ward:
        (tmp_path / "site" / "tools.py").write_text(SHIFT)
        ward.key = ward.create_key()
        ward.start()
        with connect(ward.port) as wire:
            started = time.monotonic()
            statuses = Counter(status_of(wire, call_bytes(ward.port, ward.key)) for _ in range(20))
            assert ward.call("set_clock", {"seconds": seconds}).status_code == 200  # a write: a bucket of its own
            statuses.update(status_of(wire, call_bytes(ward.port, ward.key)) for _ in range(20))
            assert statuses[200] <= 5 + 3 * (time.monotonic() - started) + 1
            assert statuses[429] > 10
            until = time.monotonic() + 4
            while status_of(wire, call_bytes(ward.port, ward.key)) != 200:
                assert time.monotonic() < until, "locked out for longer than a window"


def test_attack_106_many_callers_cost_bounded_memory_and_no_time(tmp_path):
    """40,000 addresses behind a declared proxy, 1,000 counted at once. A million: tests/unit/limits/test_memory.py."""
    limits = '[limits]\nauth_failures = "10/minute"\nrequests = "1000000/minute"\nmax_callers = 1000\n'
    with serving(tmp_path / "site", limits, limited("100000/minute", "public"), start=False) as ward:
        trust(ward, tmp_path)
        ward.start()
        assert ward.process is not None
        status = Path(f"/proc/{worker_of(ward)}/status")

        def flood(first: int, count: int) -> float:
            started = time.monotonic()
            with connect(ward.port) as wire:
                for at in range(first, first + count, 20):
                    wire.sendall(b"".join(_from(ward.port, address) for address in range(at, at + 20)))
                    received = b""
                    while len(parse(received)[0]) < 20:
                        received += wire.recv(1 << 18)
            return time.monotonic() - started

        early = flood(0, 8000)
        before = int(status.read_text().split("VmRSS:")[1].split()[0])
        flood(8000, 16_000)
        late = flood(24_000, 8000)
        grown = int(status.read_text().split("VmRSS:")[1].split()[0]) - before
    assert grown < 12 << 10, f"{grown} KiB"
    assert late < 4 * early + 1


def _from(port: int, number: int) -> bytes:
    address = f"{number >> 16 & 255 | 1}.{number >> 8 & 255}.{number & 255}.9"
    return request(port, "GET", "/nowhere", [("X-Forwarded-For", address)])


def trust(ward: Ward, tmp_path: Path) -> None:
    config = tmp_path / "site" / "mcpward.toml"
    config.write_text(config.read_text().replace("[site]", '[site]\ntrusted_proxies = ["127.0.0.0/8"]'))


def test_attack_107_nothing_that_a_caller_says_about_itself_opens_another_bucket(tmp_path):
    with serving(tmp_path / "site", servers=limited("5/hour"), start=False) as ward:
        keys = [ward.create_key(name=name) for name in ("one", "two")]
        ward.start()
        passed = 0
        for at in range(20):
            made_up = (
                ("X-Forwarded-For", f"198.51.100.{at}"),
                ("X-Real-IP", f"198.51.100.{at}"),
                ("User-Agent", f"agent {at}"),
                ("Mcp-Session-Id", f"session{at}"),
                ("Cookie", f"id={at}"),
                ("X-User", f"{at}"),
                ("Forwarded", f"for=1.1.1.{at}"),
                ("traceparent", f"00-{at:032x}-{at:016x}-01"),
            )
            with connect(ward.port) as wire:  # and each on a connection of its own
                passed += status_of(wire, call_bytes(ward.port, keys[0], at, made_up)) == 200
        assert passed == 5
        assert ward.call("echo", {"text": "x"}, key=keys[1]).status_code == 200  # another caller is not hit


def test_attack_107_strangers_are_counted_by_address_and_by_64_of_ipv6(tmp_path):
    with serving(tmp_path / "site", servers=limited("5/hour", "public"), start=False) as ward:
        trust(ward, tmp_path)
        ward.start()

        def passed(addresses: list[str]) -> int:
            with connect(ward.port) as wire:
                asked = (call_bytes(ward.port, headers=(("X-Forwarded-For", address),)) for address in addresses)
                return sum(status_of(wire, data) == 200 for data in asked)

        assert passed([f"2001:db8:1:2:{at:x}::{at}" for at in range(1, 20)]) == 5
        assert passed([f"2001:db8:1:{at:x}::1" for at in range(3, 9)]) == 6
        assert passed(["198.51.100.7"] * 20) == 5
        assert passed(["::ffff:198.51.100.7", "::ffff:c633:6407"]) == 0
        assert passed(["198.51.100.8"]) == 1


def test_attack_108_a_refusal_says_when_to_come_back_and_keeps_the_request_s_id(tmp_path):
    with serving(tmp_path / "site", servers=limited("3/minute"), start=False) as ward:
        ward.key = ward.create_key()
        ward.start()
        left = []
        for at in range(3):
            response = ward.call("echo", {"text": f"{at}"})
            assert response.status_code == 200
            assert response.headers["ratelimit-policy"] == '"read";q=3;w=60'
            left.append(int(whole(r'"read";r=(\d+);t=\d+', response.headers["ratelimit"])[1]))
        assert left == [2, 1, 0]
        response = ward.call("echo", {"text": "x"}, id="which")
        assert response.status_code == 429
        assert 1 <= int(response.headers["retry-after"]) <= 20
        assert whole(r'"read";r=0;t=\d+', response.headers["ratelimit"])
        assert response.headers["ratelimit-policy"] == '"read";q=3;w=60'
        assert response.json()["id"] == "which"
        assert response.json()["error"]["code"] == 42900
        assert ward.modern("tools/list").status_code == 200  # discovery has a bucket of its own
        assert text_of(ward.call("store", {"value": "x"})) == "stored 1"  # and so have writes
