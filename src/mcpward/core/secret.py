"""A value that cannot be printed, and the hosts that it may be sent to."""

import hmac
from collections.abc import Iterable
from threading import Lock
from typing import Final, NoReturn
from weakref import WeakSet

from msgspec import Struct

_MASK: Final = "***"
_SLOT: Final = "{}"


class HttpOnly(ValueError):
    """The value of this secret never reaches a tool: only ``mcpward.http`` sends it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the secret {name} is for HTTP only: pass it to mcpward.http as it is")
        self.name = name


class Binding(Struct, frozen=True):
    """A bound secret as the way out compares it: its values, the former ones too, and where they may go."""

    name: str
    values: tuple[str, ...]
    hosts: tuple[str, ...]
    header: str

    def __repr__(self) -> str:
        return f"Binding({_MASK})"


class _Held(Struct, eq=False, weakref=True):
    """What a secret and everything derived from it share, so that all of them see a renewed value."""

    name: str
    value: str
    hosts: tuple[str, ...]
    header: str
    is_http_only: bool
    former: tuple[str, ...] = ()
    is_used: bool = False
    problem: str = ""

    def __repr__(self) -> str:
        return f"_Held({_MASK})"


_lock: Final = Lock()
#: Every bound value of the process, whichever way it came in: a tool may have kept one that it revealed.
_bound: Final[WeakSet[_Held]] = WeakSet()


class Secret:
    """Holds a text; only :meth:`reveal` returns it.

    It has no readable ``repr``, ``str``, format, iteration, JSON or pickle; equality is constant-time. So a secret in a
    traceback, a log line or an f-string shows as ``***``.

    ``hosts`` are where the value may go, each ``host`` (port 443) or ``host:port``; none means that it is not bound.
    ``header`` names one more header that may carry a bound value. ``is_http_only``: :meth:`reveal` refuses.
    """

    __slots__ = ("_after", "_before", "_held", "name")

    def __init__(
        self, value: str, name: str = "", *, hosts: Iterable[str] = (), header: str = "", is_http_only: bool = False
    ) -> None:
        self._held = _Held(name, value, _lowered(hosts), header.lower(), is_http_only)
        _register(self._held)
        self._before = self._after = ""
        self.name = name

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where the value may go, in lower case; empty: wherever the tool sends it."""
        return self._held.hosts

    @property
    def has_value(self) -> bool:
        """Whether there is a value: a secret that was removed while it is held has none."""
        return bool(self._held.value)

    @property
    def header(self) -> str:
        """One more header that may carry a bound value, in lower case; "" for none."""
        return self._held.header

    @property
    def is_http_only(self) -> bool:
        """Whether only ``mcpward.http`` may use the value."""
        return self._held.is_http_only

    def reveal(self) -> str:
        """Return the value. A reviewer looks at every call of this.

        Raises:
            HttpOnly: the operator has set the secret for HTTP only.
        """
        if self._held.is_http_only:
            raise HttpOnly(self.name)
        return used_value_of(self)

    def take_use(self) -> bool:
        """Return whether the value was used since the last time; for the note of when a secret was used last."""
        is_used, self._held.is_used = self._held.is_used, False
        return is_used

    def template(self, text: str) -> "Secret":
        """Return a secret with the value in the place of ``{}``, as in ``template("Bearer {}")``.

        It has the same name and hosts, and follows a renewed value. Only ``{}`` is special: other braces stay as they
        are (attack 82).

        Raises:
            ValueError: ``text`` does not contain ``{}`` exactly once.
        """
        before, slot, after = text.partition(_SLOT)
        if not slot or _SLOT in after:
            raise ValueError("a template contains {} once, where the value goes")
        made = object.__new__(Secret)
        made._held = self._held
        made._before, made._after = before + self._before, self._after + after
        made.name = self.name
        return made

    def _renew(
        self,
        value: str,
        *,
        hosts: Iterable[str] | None = None,
        header: str | None = None,
        is_http_only: bool | None = None,
    ) -> None:
        """Replace the value in place, and its binding if it changed too. Only ``env`` calls this."""
        held = self._held
        if hosts is not None:  # before the value: a new value never goes where only the old one was allowed
            held.hosts = _lowered(hosts)
        if header is not None:
            held.header = header.lower()
        if is_http_only is not None:
            held.is_http_only = is_http_only
        if value != held.value:
            held.former, held.value = (*held.former, held.value), value
        _register(held)

    def __repr__(self) -> str:
        return f"Secret({_MASK})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return _MASK

    def __bool__(self) -> bool:
        return bool(value_of(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(value_of(self).encode(), value_of(other).encode())

    def __hash__(self) -> int:
        return hash((Secret, self.name))

    def __iter__(self) -> NoReturn:
        raise TypeError("a secret cannot be iterated over")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self


def value_of(secret: Secret) -> str:
    """Return the value for mcpward's own use, also of a secret for HTTP only: to send, seal, compare or redact it."""
    return f"{secret._before}{secret._held.value}{secret._after}"  # noqa: SLF001  the one way around reveal


def used_value_of(secret: Secret) -> str:
    """Return the value because it is sent or handed out now, which counts as a use of it."""
    secret._held.is_used = True  # noqa: SLF001  as in value_of
    return value_of(secret)


def bindings() -> list[Binding]:
    """Return every bound secret that is in use in this process."""
    with _lock:
        held = [one for one in _bound if one.hosts]
    return [Binding(one.name, (one.value, *one.former), one.hosts, one.header) for one in held]


def _register(held: _Held) -> None:
    if held.hosts:
        with _lock:
            _bound.add(held)


def _lowered(hosts: Iterable[str]) -> tuple[str, ...]:
    if isinstance(hosts, str):
        raise TypeError("hosts is a list, as in hosts=['api.stripe.com']")
    return tuple(host.lower() for host in hosts)
