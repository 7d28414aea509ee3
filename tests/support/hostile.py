"""A site under attack, and the honest callers of another server beside it: are they still served, and how fast?"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.certificate import certificate
from support.load import Seen, figures, percentile, show
from support.ward import LAVISH, Ward, environment, serving

#: Attackers send from these, honest callers from another: what an address pays for, its neighbour does not.
STRANGER: Final = "127.0.0.66"
CROWD: Final = tuple(f"127.0.1.{number}" for number in range(1, 51))
HONEST: Final = "127.0.0.9"
#: A call may take so many times as long as in a quiet run, at the 99th percentile.
_RATIO: Final = 5.0
#: A quiet p99 below this is chance, and no promise of ours.
_FLOOR_S: Final = 0.004
_ROUNDS: Final = 5
_TESTS: Final = Path(__file__).parent.parent

#: Attacks go to ``demo``, honest callers to ``orders``; both serve the tools of ``support.ward`` unless set otherwise.
SERVERS: Final = "".join(
    f'[servers.{name}]\nsource = "tools.py"\n[servers.{name}.limits]\n{LAVISH}' for name in ("demo", "orders")
)


@dataclass(frozen=True)
class Siege:
    """A running site, a key of the attacked server, and one of the server that must not notice; its certificate."""

    ward: Ward
    attacker_key: str
    honest_key: str
    tls: str = ""


@contextmanager
def besieged(
    folder: Path,
    toml: str = "",
    servers: str = SERVERS,
    *,
    env: Mapping[str, str] | None = None,
    open_files: int | None = None,
    tls: bool = False,
) -> Iterator[Siege]:
    """Serve ``demo`` and ``orders``; the attacker's key may read at ``demo`` and no more.

    ``open_files`` is what the server may open of them: where they are few, a few hundred sockets are an attack.
    """
    with serving(folder, toml, servers, start=False, env=env) as ward:
        ward.open_files = open_files
        if tls:
            certificate(folder)
            ward.extra_env |= {"MCPWARD_SITE__TLS_CERT": "cert.pem", "MCPWARD_SITE__TLS_KEY": "key.pem"}
            ward.base = f"https://127.0.0.1:{ward.port}"
        attacker = ward.create_key("demo", name="attacker", **{"class": "read"})
        honest = ward.create_key("orders", name="honest")
        ward.start()
        yield Siege(ward, attacker, honest, str(folder / "cert.pem") if tls else "")


class Honest:
    """Honest callers, each on a connection of its own in a program of its own, from one address.

    Every ``new_of``-th of them opens a new connection for each call; none where it is 0.
    """

    def __init__(
        self,
        siege: Siege,
        seconds: float,
        *,
        callers: int = 2,
        per_s: float = 60.0,
        tool: str = "echo",
        new_of: int = 0,
    ) -> None:
        told = {
            "port": siege.ward.port, "path": "/orders/mcp", "key": siege.honest_key, "address": HONEST,
            "seconds": seconds, "pause_s": callers / per_s, "tool": tool, "tls": siege.tls,
        }  # fmt: skip
        self._seconds = seconds
        self._programs = [
            subprocess.Popen(
                [sys.executable, "-m", "support.honest"],
                cwd=_TESTS, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for _ in range(callers)
        ]  # fmt: skip
        for number, program in enumerate(self._programs):
            assert program.stdin is not None
            is_new = new_of > 0 and number % new_of == 0
            program.stdin.write(json.dumps(told | {"is_new": is_new}) + "\n")
            program.stdin.flush()

    def seen(self) -> list[Seen]:
        """Wait for the end; return what they saw."""
        seen: list[Seen] = []
        for program in self._programs:
            said, _ = program.communicate(timeout=self._seconds + 60)
            assert program.returncode == 0
            seen += [Seen(0.0, seconds, status) for status, seconds in json.loads(said)]
        return seen


#: Attack until the event is set. Runs in a thread of the test.
Attack = Callable[[threading.Event], None]


@contextmanager
def attacking(*attacks: Attack) -> Iterator[None]:
    """Run the attacks beside the block; an attack that fails fails the test."""
    over = threading.Event()
    with ThreadPoolExecutor(max_workers=max(1, len(attacks))) as pool:
        running = [pool.submit(attack, over) for attack in attacks]
        try:
            yield
        finally:
            over.set()
    for attack in running:
        attack.result()


def assert_unharmed(
    siege: Siege, what: str, *attacks: Attack, seconds: float = 3.0, tool: str = "echo", new_of: int = 0
) -> None:
    """Assert that no honest call is refused while the attacks run, and that p99 stays within five times the quiet one.

    A refusal fails at once. Times are looked at in up to five rounds, each a quiet run and one under attack, and one
    round that holds is enough: what else the machine does is not the attack's doing.
    """
    said: list[str] = []
    for _ in range(_ROUNDS):
        quiet = Honest(siege, seconds, tool=tool, new_of=new_of).seen()
        with attacking(*attacks):
            hurt = Honest(siege, seconds, tool=tool, new_of=new_of).seen()
        ratio = percentile(hurt, 0.99) / max(percentile(quiet, 0.99), _FLOOR_S)
        said += [figures(f"{what}, quiet", quiet), figures(f"{what}, attacked ({ratio:.1f} x)", hurt)]
        assert {one.status for one in quiet} == {200}, said
        assert {one.status for one in hurt} == {200}, said
        if ratio <= _RATIO:
            show(*said)
            return
    raise AssertionError("\n".join(said))
