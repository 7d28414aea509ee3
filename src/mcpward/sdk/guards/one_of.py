"""``OneOf``: a value from a list, which stands in the source or comes from a query."""

import asyncio
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final

from mcpward.core.clock import Clock, SystemClock
from mcpward.core.work import Work, current
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.parameter_guard import ParameterGuard
from mcpward.sdk.options import options

_SHOWN: Final = 20
_MOST: Final = 100_000
_LONGEST_TTL_S: Final = 86_400
_PLAIN: Final = frozenset({str, int})


def OneOf(  # noqa: N802  to authors it is one guard
    values: Iterable[str | int] | Callable[[], Any],
    *,
    ttl_s: float = 60,
    max_values: int = 10_000,
    says: str = "",
    shows: bool = False,
    clock: Clock | None = None,
) -> ParameterGuard:
    """Return a guard for values of a list, or of a function that returns one: ``OneOf(warehouse_codes, ttl_s=60)``.

    A list is published as ``enum``. A function may be async; its list is kept for ``ttl_s`` seconds, and must not have
    more than ``max_values``. ``says`` describes the values to the model, and ``shows`` lists up to 20 of them in
    refusals.

    Raises:
        AuthoringError: no list of texts or whole numbers, or an option out of bounds.
    """
    if callable(values):
        return _Fetched(values, ttl_s=ttl_s, max_values=max_values, says=says, shows=shows, clock=clock)
    return _Listed(values, says=says)


class _Listed(ParameterGuard):
    is_published: bool = True
    called: str = "OneOf"

    @options("OneOf")
    def __init__(self, values: Iterable[str | int], *, says: str = "") -> None:
        said: Any = values
        listed: tuple[Any, ...] = tuple(said) if isinstance(said, Iterable) and not isinstance(said, str) else ()
        if not listed or not all(type(one) in _PLAIN for one in listed):
            hint = 'write OneOf(["draft", "paid"]), or pass a function that returns such a list'
            raise AuthoringError("OneOf: the values are a list of texts or whole numbers", hint=hint)
        self.values = tuple(dict.fromkeys(listed))
        self._known = frozenset((type(one), one) for one in listed)
        self._says = says
        self.kinds = frozenset("string" if type(one) is str else "integer" for one in listed)

    def check(self, value: Any) -> str | None:
        """Refuse a value that is not listed."""
        if type(value) in _PLAIN and (type(value), value) in self._known:
            return None
        return f"one of {_shown(self.values)}"

    def describe(self) -> str:
        """Return the author's words."""
        return self._says

    def keywords(self) -> dict[str, Any]:
        """Return the list."""
        return {"enum": [*self.values]}

    def __repr__(self) -> str:
        return f"OneOf({[*self.values]})"


class _Fetched(ParameterGuard):
    called: str = "OneOf"
    kinds: frozenset[str] = frozenset({"string", "integer"})

    def __init__(
        self,
        fetch: Callable[[], Any],
        *,
        ttl_s: float,
        max_values: int,
        says: str,
        shows: bool,
        clock: Clock | None,
    ) -> None:
        if type(ttl_s) not in {int, float} or not 0 <= ttl_s <= _LONGEST_TTL_S:
            raise AuthoringError(f"OneOf: ttl_s is 0 to {_LONGEST_TTL_S} seconds", hint="write ttl_s=60")
        if type(max_values) is not int or not 0 < max_values <= _MOST:
            raise AuthoringError(f"OneOf: max_values is 1 to {_MOST}", hint="write max_values=10_000")
        self._fetch = fetch
        self._ttl_s = ttl_s
        self._max_values = max_values
        self._says = says
        self._shows = shows
        self._clock = clock or SystemClock()
        self._known: frozenset[Any] = frozenset()
        self._until = float("-inf")
        self._fetching: asyncio.Future[None] | None = None

    async def check(self, value: Any) -> str | None:
        """Refuse a value that the list, not older than ``ttl_s``, does not have."""
        if self._clock.monotonic() >= self._until:
            await self._refresh()
        if (type(value), value) in self._known:
            return None
        listed = f": {_shown(sorted((one for _, one in self._known), key=str))}" if self._shows else ""
        return f"one of the {len(self._known)} values that exist{listed}{f' ({self._says})' if self._says else ''}"

    def describe(self) -> str:
        """Return the author's words."""
        return self._says or "One of a list that changes."

    def __repr__(self) -> str:
        return f"OneOf({getattr(self._fetch, '__name__', 'function')})"

    async def _refresh(self) -> None:
        """Fetch once for all calls that wait; one that gives up leaves it to the others."""
        if self._fetching is None or self._fetching.get_loop() is not asyncio.get_running_loop():
            self._fetching = asyncio.ensure_future(self._fetched())
            self._fetching.add_done_callback(self._is_done)
        await asyncio.shield(self._fetching)

    def _is_done(self, done: "asyncio.Future[None]") -> None:
        if self._fetching is done:
            self._fetching = None
        if not done.cancelled():
            done.exception()  # whether or not a caller still waits for it

    async def _fetched(self) -> None:
        work = current.get(None)
        if work is not None:  # the list is kept for all callers, so it is fetched as none of them
            current.set(Work(work.server, work.caller, None))
        is_async = inspect.iscoroutinefunction(self._fetch)
        found = self._fetch() if is_async else await asyncio.to_thread(self._fetch)
        if inspect.isawaitable(found):
            found = await found
        values = [found_value(one) for one in found]
        if len(values) > self._max_values:
            raise ValueError(f"OneOf: {self._fetch!r} returned more than max_values, {self._max_values}")
        self._known = frozenset((type(one), one) for one in values)
        self._until = self._clock.monotonic() + self._ttl_s


def found_value(row: Any) -> Any:
    """Return the value of a row: of its only column, if it is one of a query.

    Raises:
        TypeError: it is no text and no whole number.
    """
    if isinstance(row, dict) and len(row) == 1:
        row = next(iter(row.values()))
    if type(row) not in _PLAIN:
        raise TypeError(f"OneOf: the function returned {type(row).__name__}, not texts or whole numbers")
    return row


def _shown(values: Iterable[Any]) -> str:
    listed = [*map(str, values)]
    more = f" … ({len(listed)} in all)" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
