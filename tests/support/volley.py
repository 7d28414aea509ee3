"""Many calls at one moment, each on a connection of its own, and what became of them; and keys by the dozen."""

import json
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from support.raw import Answer, connect, parse, request
from support.ward import ACCEPT, Ward, environment, modern_request

_PARTS = 4
_CREATE = """
import sys
from mcpward.cli.main import run
server, count = sys.argv[1:3]
for number in range(int(count)):
    if code := run(["key", "create", "--server", server, "--name", f"caller-{number}", *sys.argv[3:]]):
        sys.exit(code)
"""
Headers = Sequence[tuple[str, str]]


def call_bytes(
    port: int,
    key: str = "",
    at: int = 0,
    headers: Headers = (),
    *,
    tool: str = "echo",
    arguments: dict[str, Any] | None = None,
    path: str = "/mcp",
) -> bytes:
    """Return a modern call of a tool, whole; of ``echo`` with another text for each ``at``."""
    arguments = {"text": f"{at}"} if arguments is None else arguments
    body, own = modern_request("tools/call", {"name": tool, "arguments": arguments}, name=tool, id=at)
    own |= {"content-type": "application/json", "accept": ACCEPT}
    if key:
        own["authorization"] = f"Bearer {key}"
    return request(port, "POST", path, [*own.items(), *headers], json.dumps(body).encode())


def answer_of(wire: socket.socket, data: bytes) -> Answer:
    """Send a request, where there is one to send, and read one answer."""
    wire.sendall(data)
    received = b""
    while not (found := parse(received)[0]):
        more = wire.recv(65536)
        assert more, received
        received += more
    return found[0]


def status_of(wire: socket.socket, data: bytes) -> int:
    """Send a request and return the status of its answer."""
    return answer_of(wire, data).status


def volley(wires: Sequence[socket.socket], datas: Sequence[bytes]) -> Counter[int]:
    """Send all from four threads, on a connection each, before the first answer is read; give the statuses."""
    return Counter(answer.status for answer in answers(wires, datas))


def answers(wires: Sequence[socket.socket], datas: Sequence[bytes]) -> list[Answer]:
    """Send all from four threads, on a connection each, before the first answer is read; give what came back."""
    gate = threading.Barrier(_PARTS)

    def part(number: int) -> list[Answer]:
        mine = list(zip(wires, datas, strict=True))[number::_PARTS]
        gate.wait()
        for wire, data in mine:
            wire.sendall(data)
        return [answer_of(wire, b"") for wire, _ in mine]

    with ThreadPoolExecutor(_PARTS) as pool:
        return [answer for found in pool.map(part, range(_PARTS)) for answer in found]


@contextmanager
def lines(ports: Sequence[int], count: int, timeout_s: float = 10.0) -> Iterator[list[socket.socket]]:
    """Open ``count`` connections, to each of the ports in its turn."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(ports[at % len(ports)], timeout_s)) for at in range(count)]


def create_keys(ward: Ward, count: int, server: str = "*", *options: str) -> list[str]:
    """Make many keys as the command line makes one, in one process."""
    done = subprocess.run(
        [sys.executable, "-c", _CREATE, server, str(count), *options],
        cwd=ward.folder, env=environment(ward.extra_env), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    keys = done.stdout.split()
    assert len(keys) == count, done.stdout
    return keys
