"""Opens the files of a call's arguments for its function, and closes them when the function has ended.

A sync function opens them in its own thread. So they stay open until it really ends, also beyond its deadline: a number
of a closed descriptor may be another file's by then.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any, Final, Self

from mcpward.core.errors import Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.reasons import Reason
from mcpward.sdk.guards.opened import SafeOpening, Unopened

_log: Final = logging.getLogger(__name__)


def opening(function: Callable[..., Any], names: tuple[str, ...], *, is_async: bool) -> Callable[..., Any]:
    """Return the function with its parameters ``names`` opened.

    What it returns raises :class:`Refusal` (argument-dangerous) for a file that is not there, or no file.
    """

    @functools.wraps(function)
    def run(**filled: Any) -> Any:
        with _Files(names, filled) as files:
            files.open()
            return function(**filled)

    @functools.wraps(function)
    async def run_async(**filled: Any) -> Any:
        with _Files(names, filled) as files:
            await asyncio.to_thread(files.open)  # a slow disk holds up its own call
            return await function(**filled)

    return run_async if is_async else run


class _Files:
    """The files of one call. They are closed once, whether the thread that opens them is done or not."""

    def __init__(self, names: tuple[str, ...], filled: dict[str, Any]) -> None:
        self._files = [pair for name in names for pair in _found(name, filled[name])]
        self._lock = Lock()
        self._is_over = False

    def open(self) -> None:
        problems = []
        for path, file in self._files:
            try:
                file.open()
            except Unopened as unopened:
                problems.append(Problem(path, str(unopened.args[0])))
            with self._lock:
                if self._is_over:
                    _end(file, is_failed=True)
        if problems:
            raise Refusal(Reason.ARGUMENT_DANGEROUS, "a file was not opened", Problems(tuple(problems)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_ended: object) -> None:
        with self._lock:
            self._is_over = True
            for _, file in self._files:
                _end(file, is_failed=kind is not None)


def _end(file: SafeOpening, *, is_failed: bool) -> None:
    """Close it. What a call created that failed, or that asks the caller first, is in the way of its repetition."""
    file.close()
    if is_failed:
        try:
            file.discard()
        except OSError as error:
            _log.warning("a new file of a call that failed was not removed: %s", error.strerror)


def _found(path: str, value: Any) -> Iterator[tuple[str, SafeOpening]]:
    if isinstance(value, SafeOpening):
        yield path, value
    elif isinstance(value, list | tuple | set | frozenset):
        items: list[Any] = [*value]
        for at, item in enumerate(items):
            yield from _found(f"{path}.{at}", item)
