"""The vault of a running site: values change, and keys rotate, while workers serve."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from support import forked
from support.ward import Ward, environment, serving, text_of
from support.wire import until

#: Enough for a rotation to be several transactions.
MORE = 60
KILLS = int(os.environ.get("MCPWARD_TEST_KILLS", "8"))
TOOLS = '''
import ctypes
from hashlib import sha256

from mcpward import Server, env

server = Server("vaulted")
HELD = env.TOKEN


@server.tool(read_only=True)
async def seen(name: str) -> str:
    """Return the digest of a secret, read now."""
    secret = env.get(name)
    return "none" if secret is None else sha256(secret.reveal().encode()).hexdigest()


@server.tool(read_only=True)
async def held() -> str:
    """Return the digest of the secret that was read when the file was loaded."""
    return sha256(HELD.reveal().encode()).hexdigest()


@server.tool(read_only=True)
async def dumpable() -> int:
    """Ask the kernel (PR_GET_DUMPABLE)."""
    return ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)


@server.tool(read_only=True)
async def told(text: str) -> str:
    """Return the text."""
    return text
'''
FIRST = "canary-first-value-81f3"


WORKERS = 'workers = 2\n[limits]\nauth_failures = "100000/minute"\nrequests = "1000000/minute"\n'


@pytest.fixture(scope="module")
def ward(tmp_path_factory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("vault")
    with serving(folder, WORKERS, start=False) as site:
        (folder / "tools.py").write_text(TOOLS)
        (folder / ".env").write_text("".join(f"MORE_{n}=value-number-{n}\n" for n in range(MORE)))
        site.cli("secret", "set", "TOKEN", input=FIRST)
        site.cli("secret", "import", ".env")
        site.start()
        yield site


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def everywhere(ward: Ward, tool: str, expected: str, **arguments: str) -> float:
    """Wait until new connections, to either worker, see it; return the seconds that it took."""
    begun = time.monotonic()
    until(lambda: all(text_of(ward.call(tool, arguments)) == expected for _ in range(8)), 10.0)
    return time.monotonic() - begun


def test_a_new_value_is_seen_by_every_worker_and_by_code_that_holds_the_secret(ward: Ward) -> None:
    assert text_of(ward.call("held")) == digest(FIRST)
    ward.cli("secret", "set", "TOKEN", input="second-value-22b0")
    everywhere(ward, "held", digest("second-value-22b0"))
    everywhere(ward, "seen", digest("second-value-22b0"), name="TOKEN")
    ward.cli("secret", "rollback", "TOKEN")
    everywhere(ward, "held", digest(FIRST))


def test_a_secret_that_is_added_or_removed_while_it_serves_is_there_or_gone(ward: Ward) -> None:
    assert text_of(ward.call("seen", {"name": "LATER"})) == "none"
    ward.cli("secret", "set", "LATER", input="a-later-value-4c1d")
    everywhere(ward, "seen", digest("a-later-value-4c1d"), name="LATER")
    ward.cli("secret", "remove", "LATER")
    everywhere(ward, "seen", "none", name="LATER")


def test_a_value_that_was_replaced_is_redacted_as_long_as_it_is_kept(ward: Ward) -> None:
    ward.cli("secret", "set", "ROTATED", input="canary-old-5e07")
    ward.cli("secret", "set", "ROTATED", input="canary-new-9b3c")
    everywhere(ward, "seen", digest("canary-new-9b3c"), name="ROTATED")

    def is_told(value: str) -> bool:
        return any("canary" in ward.call("told", {"text": value}).text for _ in range(4))

    until(lambda: not is_told("canary-old-5e07") and not is_told("canary-new-9b3c"))


def test_the_last_use_of_a_secret_is_noted(ward: Ward) -> None:
    def last_used() -> str:
        return next(line for line in ward.cli("secret", "list").stdout.splitlines() if line.startswith("MORE_3 "))

    assert " never " in last_used()
    ward.call("seen", {"name": "MORE_3"})
    until(lambda: " never " not in last_used(), 15.0, pause_s=0.5)


def test_attack_93_no_worker_leaves_a_dump_of_its_memory(ward: Ward) -> None:
    (pid,) = [int(line) for line in (ward.folder / ".mcpward").joinpath("mcpward.pid").read_text().split()[:1]]
    limits = Path(f"/proc/{pid}/limits").read_text()
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(workers) >= 2
    assert {text_of(ward.call("dumpable")) for _ in range(6)} == {"0"}
    for text in (limits, *(Path(f"/proc/{worker}/limits").read_text() for worker in workers)):
        assert "Max core file size        0                    0" in text


class Caller(threading.Thread):
    """About 50 calls in a second, each of which needs a secret; notes every one that did not get it."""

    def __init__(self, ward: Ward) -> None:
        super().__init__(daemon=True)
        self.ward = ward
        self.calls = 0
        self.failed: list[str] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(0.02):
            name = f"MORE_{self.calls % MORE}"
            said = self.ward.call("seen", {"name": name})
            self.calls += 1
            if said.status_code != 200 or text_of(said) != digest(f"value-number-{name.removeprefix('MORE_')}"):
                self.failed.append(said.text)


def test_attack_90_no_call_fails_while_keys_are_rotated_and_the_rotation_is_killed(ward: Ward) -> None:
    caller, cut = Caller(ward), 0
    caller.start()
    for _ in range(KILLS):
        with (ward.folder / "rotation.log").open("wb") as log, (ward.folder / ".env").open("rb") as nothing:
            words = ["secret", "rotate-keys"]
            process = forked.start(words, ward.folder, environment(ward.extra_env), nothing, log, log)
            time.sleep(random.uniform(0.05, 0.6))
            cut += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait(10)
    done = ward.cli("secret", "rotate-keys")
    assert "wraps" in done.stderr
    caller.stopped.set()
    caller.join()
    assert caller.failed == []
    assert caller.calls >= KILLS
    assert cut >= KILLS // 2
    assert "cannot be" not in ward.log()
