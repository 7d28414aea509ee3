"""Starts ``mcpward`` without the second that an interpreter takes to read it.

One process for each worker of the test run imports what ``mcpward serve`` imports, and does nothing else: it has one
thread, and no file, folder or setting of a site. For each start it forks; the child takes on words, folder, environment
and streams of the command, and runs what ``python -m mcpward`` runs. The interpreter is started anew if it must start
otherwise (an option of Python's, a library loaded before, another locale).
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

#: Variables that the interpreter, or the loader before it, reads at its start.
_OF_THE_START: Final = ("LD_", "PYTHON", "LC_", "LANG", "MALLOC_")
_LONGEST: Final = 200_000
#: Signals that a parent may have its children ignore, as ``nohup`` does.
_INHERITED: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_IMPORTED: Final = (
    "mcpward.cli.main",
    "mcpward.app.serve",
    "mcpward.app.worker",
    "mcpward.operations.keys",
    "uvicorn.lifespan.on",
    "uvloop",
)


class Started:
    """A command that runs: as much of ``subprocess.Popen`` as tests use."""

    def __init__(self, pid: int, told: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._told = told
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs after ``timeout`` seconds.
        """
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("mcpward", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
                said = self._told.recv(64)
                if not said:
                    raise AssertionError("the process that starts mcpward has ended")
                self.returncode = json.loads(said)
                self._told.close()
            return self.returncode


def start(
    words: list[str], folder: Path, env: Mapping[str, str], stdin: int | IO[Any], stdout: IO[Any], stderr: IO[Any]
) -> "Started | subprocess.Popen[bytes]":
    """Run ``mcpward`` with these words in ``folder``, and wait for nothing."""
    if _start_of(env) != _start_of(_Forker.env):
        return subprocess.Popen(
            [sys.executable, "-m", "mcpward", *words], cwd=folder, env=env, stdin=stdin, stdout=stdout, stderr=stderr
        )
    if stdin == subprocess.DEVNULL:
        with Path(os.devnull).open("rb") as nothing:
            return _forker().start(words, folder, env, [nothing.fileno(), stdout.fileno(), stderr.fileno()])
    assert not isinstance(stdin, int)
    return _forker().start(words, folder, env, [stdin.fileno(), stdout.fileno(), stderr.fileno()])


def _start_of(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_OF_THE_START)}


class _Forker:
    """The process that forks. It ends with this one, and all that it started with it."""

    env: Final = {**os.environ, "PYTHONUNBUFFERED": "1"}

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            source = f"exec(compile(open({__file__!r}).read(), {__file__!r}, 'exec'))"
            self._process = subprocess.Popen(
                [sys.executable, "-c", source, str(theirs.fileno())], env=self.env, pass_fds=[theirs.fileno()]
            )

    def start(self, words: list[str], folder: Path, env: Mapping[str, str], streams: list[int]) -> Started:
        told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ignored = [int(one) for one in _INHERITED if signal.getsignal(one) is signal.SIG_IGN]
        asked = {"words": words, "folder": str(folder), "env": dict(env), "ignored": ignored}
        request = json.dumps(asked).encode()
        with theirs, self._lock:
            socket.send_fds(self._control, [request], [theirs.fileno(), *streams])
        said = told.recv(64)
        if not said:
            raise AssertionError(f"the process that starts mcpward has ended: {self._process.poll()}")
        return Started(json.loads(said), told)


def _forker() -> _Forker:
    global _the_forker  # noqa: PLW0603
    with _making:
        if _the_forker is None:
            _the_forker = _Forker()
        return _the_forker


_making: Final = threading.Lock()
_the_forker: _Forker | None = None


# ---- in the process that forks ----


def _fork(control: socket.socket) -> None:
    """Fork for every request; return in the child, which is the command then. End when no process is left to ask."""
    awake, waker = socket.socketpair()
    awake.setblocking(False)
    waker.setblocking(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the tests' own process decides
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    children: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control, awake], [], [])
        if awake in ready:
            awake.recv(4096)
            _reap(children)
        if control in ready:
            request, handles, _, _ = socket.recv_fds(control, _LONGEST, 4)
            if not request:
                for pid in children:
                    os.kill(pid, signal.SIGKILL)
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for one in (control, awake, waker, *children.values()):
                    one.close()
                os.close(handles[0])
                _become(json.loads(request), handles[1:])
                return
            for handle in handles[1:]:
                os.close(handle)
            children[pid] = socket.socket(fileno=handles[0])
            children[pid].send(str(pid).encode())


def _reap(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with children.pop(pid) as tell, suppress(OSError):  # no process may be left to read it
            tell.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: Any, streams: list[int]) -> None:
    """Take on the command's words, folder, environment and streams."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv = ["mcpward", *request["words"]]
    sys.path[0] = request["folder"]


def _main() -> None:
    import gc
    import importlib

    for name in _IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        _fork(control)
    from mcpward.cli.main import main

    main()


if __name__ == "__main__":
    _main()
