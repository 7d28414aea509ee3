"""The pools in which a tool's calls hold a slot: names, and databases, which are pools by themselves."""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from mcpward.core.limit_name import SYNTAX, is_limit_name
from mcpward.sdk.errors import AuthoringError


@runtime_checkable
class Pooled(Protocol):
    """An object that is a pool itself, as a :class:`~mcpward.sdk.database.database.Database` can.

    A port, so that a server without a database does not import one's drivers.

    ``name`` is None if its author gave none; ``max_concurrency`` is how many calls it serves at once.
    """

    @property
    def name(self) -> str | None:
        """The pool's name."""
        ...

    @property
    def max_concurrency(self) -> int:
        """The pool's size, unless the operator says another."""
        ...


def read_pools(pools: Any, what: str, place: str) -> tuple[str | Pooled, ...]:
    """Return the pools, each once. Raises :class:`AuthoringError` for what is neither a name nor a database."""
    if isinstance(pools, str) or not isinstance(pools, Iterable):
        raise AuthoringError(f"{what}: pools is a list", place, 'write pools=[db, "gpu"]')
    read: list[str | Pooled] = []
    for pool in pools:
        if isinstance(pool, str):
            if not is_limit_name(pool):
                hint = "the name is that of [pools.<name>] in mcpward.toml"
                raise AuthoringError(f"{what}: pool {pool!r}: a name is {SYNTAX}", place, hint)
        elif not isinstance(pool, Pooled) or isinstance(pool, type):
            problem = f"{what}: a pool is a name or a Database, not {type(pool).__name__}"
            raise AuthoringError(problem, place, 'write pools=[db, "gpu"]')
        if not any(pool is one or (isinstance(pool, str) and pool == one) for one in read):
            read.append(pool)
    return tuple(read)


def read_concurrency(concurrency: Any, what: str, place: str) -> int | None:
    """Return how many calls of a tool run at once. Raises :class:`AuthoringError`."""
    if concurrency is not None and (type(concurrency) is not int or concurrency < 1):
        problem = f"{what}: concurrency is a number of calls, at least 1"
        raise AuthoringError(problem, place, "write concurrency=3, or leave it out")
    return concurrency
