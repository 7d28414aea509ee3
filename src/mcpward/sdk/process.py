"""``run``: a program for a tool, without a shell, with secrets in its environment or its input and never in its argv.

The child sees a few variables of the process's environment and those that it is given. Its whole process group is
killed at the end: at the deadline, on cancellation, and with the program itself.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from msgspec import Struct

from mcpward.core.fair_timeout import fair_timeout
from mcpward.core.secret import Secret, bindings
from mcpward.sdk.author_place import AuthorPlace, author_place
from mcpward.sdk.errors import AuthoringError

Text: TypeAlias = str | Secret
#: The rest of the environment has the site's own credentials, and variables that change how programs load.
_PASSED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "LOGNAME")
_STDOUT, _STDERR = 1, 2


class RunFailed(Exception):
    """The program could not be started, took too long, or wrote too much. ``why`` is a word for it.

    Not caught, it fails the tool with an error id. Its text has the name of the program, and no argument or output.
    """

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what)
        self.why = why


class _Misuse(Exception):
    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


class Completed(Struct, frozen=True, kw_only=True):
    """A program that has ended: its exit ``code`` (the negative signal that ended it), ``stdout`` and ``stderr``."""

    program: str
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """The standard output in UTF-8; what is not of it becomes U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    def check(self) -> "Completed":
        """Return the same.

        Raises:
            RunFailed: the code is not 0.
        """
        if self.code:
            raise RunFailed(f"{self.program} ended with {self.code}", "exit")
        return self

    def __repr__(self) -> str:
        return f"Completed(program={self.program!r}, code={self.code})"


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, Text] | None = None,
    input: str | bytes | Secret | None = None,  # noqa: A002  subprocess's name
    cwd: str | Path | None = None,
    timeout: float = 30,
    max_bytes: int = 1024 * 1024,
) -> Coroutine[Any, Any, Completed]:
    """Run a program to its end and return its code and output. There is no shell: each argument arrives as it is.

    ``env`` is added to PATH, HOME, locale and a few others. ``cwd`` starts at the folder of the calling file, and is
    that folder by default. ``timeout`` is in seconds, ``max_bytes`` bounds each of the two outputs.

    Raises:
        RunFailed: there is no such program, it took too long, or it wrote too much.
        AuthoringError: an argument has the wrong type, or a secret stands where others could see it.
    """
    # The place now: a coroutine that is made here may run in a task of its own.
    return _run(_Asked(argv, env or {}, input, cwd, timeout, max_bytes, author_place()))


class _Asked(Struct, frozen=True):
    argv: Any
    env: Mapping[Any, Any]
    input: Any
    cwd: str | Path | None
    timeout: float
    max_bytes: int
    place: AuthorPlace


async def _run(asked: _Asked) -> Completed:
    try:
        words, given = _words(asked.argv), _given(asked.env)
        data = None if asked.input is None else _data(asked.input)
    except _Misuse as misuse:
        raise AuthoringError(f"mcpward.run: {misuse}", str(asked.place), misuse.hint) from None
    child = {name: os.environ[name] for name in _PASSED if name in os.environ} | given
    folder = asked.place.folder / (asked.cwd or "")
    program = shutil.which(words[0], path=child.get("PATH")) if os.sep not in words[0] else str(folder / words[0])
    if program is None:
        raise RunFailed(f"there is no program {words[0]}", "not-found")
    try:
        async with fair_timeout(asked.timeout):
            return await _completed(words, program, child, folder, data, asked.max_bytes)
    except TimeoutError:
        raise RunFailed(f"{words[0]} took longer than {asked.timeout:g} s", "timeout") from None


async def _completed(
    words: list[str], program: str, env: Mapping[str, str], folder: Path, data: bytes | None, max_bytes: int
) -> Completed:
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    loop = asyncio.get_running_loop()
    try:
        transport, child = await loop.subprocess_exec(
            lambda: _Child(words[0], max_bytes),
            program,
            *words[1:],
            stdin=nothing if data is None else pipe,
            stdout=pipe,
            stderr=pipe,
            env=env,
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise RunFailed(f"{words[0]} cannot be started: {error.strerror}", "not-started") from None
    try:
        stdin: Any = transport.get_pipe_transport(0)
        if data is not None and stdin is not None:
            stdin.write(data)
            stdin.close()  # when all of it is written
        await child.ended
        code = transport.get_returncode()
        assert code is not None  # it has ended
        return Completed(
            program=words[0], code=code, stdout=bytes(child.written[_STDOUT]), stderr=bytes(child.written[_STDERR])
        )
    finally:
        child.kill()
        transport.close()


class _Child(asyncio.SubprocessProtocol):
    """Collects what a program writes. ``ended`` is done when it has ended and all its pipes are closed."""

    def __init__(self, program: str, max_bytes: int) -> None:
        self._program = program
        self._max_bytes = max_bytes
        self._group: int | None = None
        self.written = {_STDOUT: bytearray(), _STDERR: bytearray()}
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the process id, which is that of the group as well."""
        self._group = cast("asyncio.SubprocessTransport", transport).get_pid()  # uvloop's has no base class

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep what was written, within the bound."""
        self.written[fd] += data
        if len(self.written[fd]) > self._max_bytes and not self.ended.done():
            too_much = RunFailed(f"{self._program} wrote more than {self._max_bytes} bytes", "too-large")
            self.ended.set_exception(too_much)

    def process_exited(self) -> None:
        """End what the program has left running: it would hold the pipes open."""
        self.kill()

    def kill(self) -> None:
        """Kill the process group, once: later its number may be another's."""
        group, self._group = self._group, None
        if group is not None:
            with suppress(ProcessLookupError, PermissionError):  # it is gone, or (macOS) only zombies are left of it
                os.killpg(group, signal.SIGKILL)

    def connection_lost(self, _error: Exception | None) -> None:
        """The program has ended, and its output is complete."""
        if not self.ended.done():
            self.ended.set_result(None)


def _words(argv: Any) -> list[str]:
    if isinstance(argv, str | bytes | Secret) or not isinstance(argv, Sequence) or not argv:
        raise _Misuse("argv is not a list", 'pass a list, as in run(["pg_dump", "--schema-only", "shop"])')
    for word in argv:
        if isinstance(word, Secret):
            raise _Misuse(
                f"the secret {word.name} is in argv, which every user sees in ps", "pass it in env= or input="
            )
        if not isinstance(word, str) or "\0" in word:
            raise _Misuse(f"an argument is {type(word).__name__}, not a text without NUL", "pass str(…)")
        _require_unbound(word, "an argument")
    return list(argv)


def _require_unbound(text: str, what: str) -> None:
    for one in bindings():
        if any(value and value in text for value in one.values):
            raise _Misuse(f"the secret {one.name} is bound to hosts, and {what} contains it", "use mcpward.http")


def _given(env: Mapping[Any, Any]) -> dict[str, str]:
    for name in env:
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise _Misuse("env has a name that no variable can have", 'write env={"PGPASSWORD": env.PGPASSWORD}')
    return {name: _revealed(value, f"env[{name!r}]") for name, value in env.items()}


def _data(value: Any) -> bytes:
    if isinstance(value, bytes):
        _require_unbound(value.decode("utf-8", "replace"), "input")
        return value
    return _revealed(value, "input").encode("utf-8", "surrogateescape")


def _revealed(value: Any, what: str) -> str:
    if isinstance(value, Secret):
        if value.hosts or value.is_http_only:
            raise _Misuse(f"the secret {value.name} is for HTTP only, or bound to hosts", "use mcpward.http")
        value = value.reveal()
    elif isinstance(value, str):
        _require_unbound(value, what)
    if not isinstance(value, str) or (what != "input" and "\0" in value):
        raise _Misuse(f"{what} is {type(value).__name__}, not a text or a secret", "pass str(…), or a secret of env")
    return value
