"""``Unique``: a list without repetitions."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.parameter_guard import ParameterGuard
from mcpward.sdk.options import options

_encode: Final = msgspec.json.Encoder(order="deterministic", enc_hook=str).encode
_ABSENT: Final = object()


class Unique(ParameterGuard):
    """No item twice: ``Annotated[list[str], Unique()]``. With ``by``, no two items with the same member of that name.

    Raises:
        AuthoringError: ``by`` is no name.
    """

    kinds: frozenset[str] = frozenset({"array"})

    @options("Unique")
    def __init__(self, *, by: str = "") -> None:
        if not isinstance(by, str):
            raise AuthoringError("Unique: by is the name of a member", hint='write Unique(by="id")')
        self.by = by

    def check(self, value: Any) -> str | None:
        """Refuse repetitions, and say where the first one stands."""
        if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
            return "a list"
        if not self.by and _is_plainly_unique(value):
            return None
        seen: set[Any] = set()
        for at, item in enumerate(value):
            member = self._member(item) if self.by else item
            if member is _ABSENT:
                continue
            key = _key(member)
            if key in seen:
                return f"{f'each {self.by}' if self.by else 'each item'} once; item {at + 1} repeats an earlier one"
            seen.add(key)
        return None

    def describe(self) -> str:
        """Return the rule, as far as no keyword says it."""
        return f"Each {self.by} once." if self.by else ""

    def keywords(self) -> dict[str, Any]:
        """Return ``uniqueItems``."""
        return {} if self.by else {"uniqueItems": True}

    def __repr__(self) -> str:
        return f"Unique(by={self.by!r})" if self.by else "Unique()"

    def _member(self, item: Any) -> Any:
        return item.get(self.by, _ABSENT) if isinstance(item, dict) else getattr(item, self.by, _ABSENT)


def _is_plainly_unique(value: Any) -> bool:
    """Python takes more for equal than JSON does, and never less; what it cannot compare is looked at one by one."""
    try:
        return len(set(value)) == len(value)
    except TypeError:
        return False


def _key(value: Any) -> Any:
    """To Python 1 is True, and to JSON it is not; 1 and 1.0 are one number to both."""
    if isinstance(value, bool):
        return (value,)
    if isinstance(value, str | int | float) or value is None:
        return value
    dump = getattr(value, "model_dump", None)
    return _encode(value if dump is None else dump(mode="json"))
