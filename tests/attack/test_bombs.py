"""Bodies that cost more than they weigh, and floods of large ones: the loop goes on, and no caller waits for a
neighbour.

Sources: CWE-400, CWE-407; CVE-2020-36518 (depth), CVE-2022-40899 (cost of a text by its shape).
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bombs import BOMBS, SIZES, TOOLS, body, message
from support.cost import slowness
from support.hostile import CROWD, STRANGER, Attack, Siege, assert_unharmed, besieged
from support.raw import Answer, connect, listen, request
from support.volley import create_keys
from support.ward import ACCEPT, LAVISH, Ward, serving
from support.wire import rows, until

LONGEST_S = 0.01
_TRIES = 3
MIB = SIZES[2]
SERVER = f'[servers.demo]\nsource = "tools.py"\n[servers.demo.limits]\n{LAVISH}'


@pytest.fixture(scope="module")
def gauged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """A site that measures its own loop."""
    with serving(tmp_path_factory.mktemp("bombs") / "site", servers=SERVER, start=False) as ward:
        (ward.folder / "tools.py").write_text(TOOLS)
        ward.key = ward.create_key()
        # A caller's bytes are bounded: each bomb is a caller of its own, or what is measured would be a refusal.
        (ward.folder / "keys.txt").write_text("\n".join(create_keys(ward, len(BOMBS) + 1, "demo")))
        ward.start()
        assert ward.call("watch").status_code == 200
        yield ward


def framed(ward: Ward, key: str, content: bytes, tool: str, path: str = "/demo/mcp") -> bytes:
    headers = [
        ("Content-Type", "application/json"), ("Accept", ACCEPT), ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"), ("Mcp-Name", tool),
    ]  # fmt: skip
    if key:
        headers.append(("Authorization", f"Bearer {key}"))
    return request(ward.port, "POST", path, headers, content)


def send(ward: Ward, key: str, content: bytes, tool: str, *, source: str = "127.0.0.1") -> Answer:
    with connect(ward.port, 30, source=source) as wire:
        wire.sendall(framed(ward, key, content, tool))
        return listen(wire, wait_s=30, quiet_s=0).answers[0]


def key_of(ward: Ward, number: int) -> str:
    return (ward.folder / "keys.txt").read_text().split()[number]


def pause_s(ward: Ward, key: str, content: bytes, tool: str) -> float:
    """Return the longest turn of the loop while a body is read, the least of a few tries."""
    least = float("inf")
    for _ in range(_TRIES):
        ward.call("seen")
        assert send(ward, key, content, tool).status in {200, 400}
        least = min(least, float(ward.call("seen").json()["result"]["content"][0]["text"]))
        if least <= LONGEST_S:
            break
    return least


@pytest.mark.parametrize("name", BOMBS)
def test_attack_119_no_body_of_any_shape_holds_up_the_loop(gauged: Ward, name: str) -> None:
    key = key_of(gauged, [*BOMBS].index(name))
    pauses = {size: pause_s(gauged, key, body(name, size, "take"), "take") for size in SIZES}
    longest = max(pauses.values())
    assert longest <= LONGEST_S or longest <= LONGEST_S * slowness(), pauses


def test_attack_119_large_bodies_of_honest_callers_are_served(gauged: Ward) -> None:
    values = {
        "a file": BOMBS["base64"](4 * MIB - 512),
        "a text": BOMBS["lines of text"](4 * MIB - 512),
        "Chinese": BOMBS["Chinese"](2 * MIB),
        "numbers": BOMBS["fractions"](MIB),
        "records": BOMBS["records"](3000 * 72),
        "extreme numbers": b"[" + b",".join([b"1e300", b"1.5e-7"] * 500) + b"]",
        "numbers in a string": b'"' + b"1e300," * 20_000 + b'"',
    }
    key = key_of(gauged, len(BOMBS))
    seen = {name: send(gauged, key, message(value), "take").json() for name, value in values.items()}
    assert [name for name, answer in seen.items() if answer.get("result", {}).get("isError") is not False] == []


def test_attack_120_large_bodies_are_counted_in_bytes_before_they_are_read(tmp_path: Path) -> None:
    with serving(tmp_path / "site") as ward:
        other = ward.create_key(name="other")
        wrong = body("no UTF-8", 4 * MIB)
        answers = [send(ward, ward.key, wrong, "echo") for _ in range(18)]
        assert [answer.status for answer in answers[:16]] == [400] * 16
        last = answers[-1]
        assert (last.status, last.json()["error"]["data"]["reason"]) == (429, "address-rate-exceeded")
        assert int(last.headers["retry-after"]) >= 1
        # One more is not even read: its head and what came with it are enough to refuse it.
        with connect(ward.port, 10) as wire:
            wire.sendall(framed(ward, ward.key, wrong, "echo")[: 128 * 1024])
            assert listen(wire, wait_s=10, quiet_s=0).answers[0].status == 429
        told = until(lambda: rows(ward, "limit_name = 'bodies'"))
        assert {row["key_id"] for row in told} == {ward.key[11:23]}
        # Neither are its small calls counted so, nor what another caller sends from the same address.
        assert ward.call("echo", {"text": "small"}).status_code == 200
        assert ward.call("echo", {"text": "x" * MIB}, key=other).status_code == 200


def flooding(siege: Siege, key: str, content: bytes, sources: tuple[str, ...]) -> Attack:
    """Send a large body again and again, from one address after the other, at most sixteen a second."""
    sent = framed(siege.ward, key, content, "echo")

    def attack(over: threading.Event) -> None:
        number = 0
        while not over.is_set():
            begun = time.monotonic()
            try:
                with connect(siege.ward.port, 10, source=sources[number % len(sources)]) as wire:
                    wire.sendall(sent)
                    wire.recv(1 << 16)
            except OSError:
                pass  # refused before the end of it was sent
            number += 1
            over.wait(max(0.0, 0.0625 - (time.monotonic() - begun)))

    return attack


def test_attack_120_bombs_of_a_key_do_not_delay_another_servers_calls(tmp_path: Path) -> None:
    with besieged(tmp_path / "site") as siege:
        key = siege.attacker_key
        bombs = [
            body("1e300", 64 * 1024, "echo"),
            body("short names", MIB, "echo"),
            body("line breaks", MIB, "echo"),
        ]
        assert_unharmed(siege, "bombs of a key", *(flooding(siege, key, bomb, (STRANGER,)) for bomb in bombs))


def test_attack_120_bombs_of_strangers_do_not_delay_another_servers_calls(tmp_path: Path) -> None:
    with besieged(tmp_path / "site") as siege:
        small, large = body("1e300", 60 * 1024, "echo"), body("short names", MIB, "echo")
        assert_unharmed(
            siege, "bombs of strangers",
            flooding(siege, "", small, (STRANGER,)), flooding(siege, "", small, CROWD),
            flooding(siege, "", large, CROWD),
        )  # fmt: skip
