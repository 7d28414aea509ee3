"""``Owned``: a tool returns only rows of its caller. It looks at what the tool returns, whatever its query did."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from mcpward.core.caller_path import CallerPath, read_caller_path
from mcpward.core.facts import Problem
from mcpward.core.spelling import nearest
from mcpward.core.subschema import Place, Subschemas
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.options import options
from mcpward.sdk.schema.returns import Returns

_FOREIGN: Final = ("refuse", "drop")


class ForeignRows(Exception):
    """A result holds what is not the caller's. The text has numbers and names of members, and no value."""


def require_owned(guards: Iterable[object], returns: Returns, what: str, where: str) -> None:
    """Require that a tool's ``Owned`` guards can check its results.

    Raises:
        AuthoringError: there are no rows, or none with that member.
    """
    for guard in guards:
        if isinstance(guard, Owned):
            guard.require_rows(returns, what, where)


@dataclass(frozen=True, init=False)
class Owned:
    """A guard over results: each row's member ``by`` equals the caller's own value.

    A row is an object: the result itself, each item of a list, or what stands at ``within`` (``"items"``,
    ``"page.items"``). ``caller`` names the caller's value as :class:`~mcpward.sdk.from_caller.FromCaller` does.
    ``foreign`` says what happens to rows of others in a list: the whole result is refused, or they are dropped. A row
    without the member, and a single row of another, are refused in any case; so is a caller without the value.

    Raises:
        AuthoringError: an option is not one of these.
    """

    by: str
    within: str
    caller: str
    foreign: Literal["refuse", "drop"]

    @options("Owned")
    def __init__(
        self, *, by: str, within: str = "", caller: str = "subject", foreign: Literal["refuse", "drop"] = "refuse"
    ) -> None:
        given: tuple[Any, ...] = (by, within, caller)
        if not all(isinstance(one, str) for one in given) or not by:
            raise AuthoringError("Owned: by is the name of a member", hint='write Owned(by="user_id")')
        if foreign not in _FOREIGN:
            raise AuthoringError("Owned: foreign is 'refuse' or 'drop'", hint='write Owned(by="user_id")')
        try:
            read_caller_path(caller)
        except ValueError as error:
            raise AuthoringError(f"Owned: {error}", hint='write Owned(by="user_id", caller="subject")') from None
        vars(self).update(by=by, within=within, caller=caller, foreign=foreign)

    @property
    def parameters(self) -> tuple[str, ...]:
        """None: it looks at results."""
        return ()

    def check(self, arguments: Mapping[str, Any]) -> Problem | None:  # noqa: ARG002  a guard takes them
        """Never refuse a call."""
        return None

    @property
    def path(self) -> CallerPath:
        """The caller's value."""
        return read_caller_path(self.caller)

    def require_rows(self, returns: Returns, what: str, where: str) -> None:
        """Refuse a return type whose rows could not be told apart. Raises :class:`AuthoringError`."""
        if returns.schema is None:
            problem = f"{what}: Owned looks at structured results, and the tool publishes none"
            raise AuthoringError(problem, where, "annotate the return type: list[Order], or an object")
        place = Subschemas(returns.schema).top
        for name in (*(("result",) if returns.wrapped else ()), *self._steps()):
            self._require_member(place, name, what, where)
            place = place.member(name)
        if place.admits("array"):
            place = place.item(place.first_items)
        if not place.admits("object"):
            raise AuthoringError(f"{what}: Owned finds no rows in the return type", where, "return a list of objects")
        self._require_member(place, self.by, what, where)

    def own(self, value: Any, own: Any) -> tuple[Any, int]:
        """Return a decoded result without the rows of others, and how many these were.

        Raises:
            ForeignRows: there are such rows, and they are not to be dropped; or no row can be found in it.
        """
        return self._kept(value, self._steps(), own)

    def _kept(self, value: Any, steps: tuple[str, ...], own: Any) -> tuple[Any, int]:
        if value is None:
            return None, 0
        if steps:
            if not isinstance(value, dict) or steps[0] not in value:
                raise ForeignRows(f"there is no {self.within}")
            value[steps[0]], foreign = self._kept(value[steps[0]], steps[1:], own)
            return value, foreign
        if not isinstance(value, list):
            if not self._is_own(value, own):
                raise ForeignRows(f"the row has another {self.by} than the caller's {self.caller}")
            return value, 0
        kept = [row for row in value if self._is_own(row, own)]
        foreign = len(value) - len(kept)
        if foreign and self.foreign == "refuse":
            raise ForeignRows(f"{foreign} of {len(value)} rows have another {self.by} than the caller's {self.caller}")
        return kept, foreign

    def _is_own(self, row: Any, own: Any) -> bool:
        if not isinstance(row, dict) or self.by not in row:
            raise ForeignRows(f"a row has no {self.by}")
        if own is None:
            return False
        found = row[self.by]
        # A number in a database is a text in a token or a tag.
        return bool(type(found) is type(own) and found == own) or (type(found) is int and str(found) == own)

    def _steps(self) -> tuple[str, ...]:
        return tuple(self.within.split(".")) if self.within else ()

    def _require_member(self, place: Place, name: str, what: str, where: str) -> None:
        if name in place.names or (not place.names and place.admits("object")):  # an object of any members
            return
        meant = nearest(name, place.names)
        hint = f"did you mean {meant!r}?" if meant else f"its members are {', '.join(place.names) or 'none'}"
        raise AuthoringError(f"{what}: Owned names {name!r}, which the return type does not have", where, hint)
