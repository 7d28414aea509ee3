"""An honest caller as a program of its own: it waits only for the server, not for the test that attacks it.

Read one line of JSON from stdin, call, and print one JSON list: ``[status, seconds]`` for each call (status 0: the
connection broke). With ``is_new`` each call has a connection of its own, with ``tls`` that is a PEM file's the
connections speak TLS.
"""

import json
import ssl
import sys
import time
from typing import Any

from support.raw import connect, parse
from support.volley import call_bytes


def call(wire: Any, data: bytes) -> tuple[int, bool]:
    """Send a request; return the status of its answer, and whether the connection goes on."""
    wire.sendall(data)
    received = b""
    while not (answers := parse(received)[0]):
        piece = wire.recv(1 << 16)
        if not piece:
            raise ConnectionError
        received += piece
    return answers[0].status, answers[0].headers.get("connection") != "close"


def trusting(certificate: str) -> ssl.SSLContext:
    """Trust one certificate, whatever name it has."""
    trust = ssl.create_default_context(cafile=certificate)
    trust.check_hostname = False
    return trust


def main() -> None:
    """Call at an even pace, until the time is over."""
    told = json.loads(sys.stdin.readline())
    trust = trusting(told["tls"]) if told["tls"] else None
    seen: list[tuple[int, float]] = []
    wire, number = None, 0
    until = time.monotonic() + told["seconds"]
    while (at := time.monotonic()) < until:
        data = call_bytes(
            told["port"], told["key"], number, tool=told["tool"], arguments={"text": f"{number}"}, path=told["path"]
        )
        status, goes_on = 0, False
        try:
            if wire is None:
                wire = connect(told["port"], 10, source=told["address"])
                wire = trust.wrap_socket(wire) if trust else wire
            status, goes_on = call(wire, data)
        except OSError:
            pass
        seen.append((status, time.monotonic() - at))
        if wire is not None and (told["is_new"] or not goes_on):
            wire.close()
            wire = None
        number += 1
        time.sleep(max(0.0, told["pause_s"] - (time.monotonic() - at)))
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
