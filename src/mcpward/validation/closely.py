"""A close look at arguments that were refused, or may mean something else than they appear to.

A number that JSON Schema calls an integer becomes one (``5.0``, ``1e3``). Null for an optional argument that cannot be
null counts as left out. Dates and times are brought into the form of RFC 3339, and undeclared names may be dropped.
Nothing else is changed: a number that stays is written as it came, digit for digit.

One walk, over what the schema has places for; its cost is that of the arguments' size.
"""

from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec
from msgspec import Struct

from mcpward.core import rfc3339
from mcpward.core.facts import Problem
from mcpward.core.integral import LEAST, MOST, integral, is_long
from mcpward.core.pace import step as paced
from mcpward.core.subschema import Place
from mcpward.core.values import UnknownArguments
from mcpward.validation.paths import public_path
from mcpward.validation.wording import describe

#: Names that clients of workflow tools add to every call for themselves, whatever the tool declares (n8n).
CLIENT_ARGUMENTS: Final = frozenset({"toolCallId", "sessionId", "action", "chatInput"})

_MOST: Final = 8
_MOST_DROPPED: Final = 16
#: Alternatives that are compared with objects, in one walk: each comparison costs some µs. Objects beyond that are seen
#: with all alternatives, so that less of them is changed, and the binding decides.
_MOST_COMPARED: Final = 20_000
_LONG: Final = "an integer within 64 bits"
_CHOICE: Final = "one of the schema's values"
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Look(Struct, frozen=True):
    """The findings: the ``value``, and ``raw`` to bind instead of what came (None: nothing was changed).

    ``dropped`` are the names that were taken out, ``problems`` those that no author's type would find.
    """

    value: Any
    raw: bytes | None = None
    dropped: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def look(raw: bytes, top: Place, unknown: UnknownArguments) -> Look | None:
    """Look closely at raw arguments for a schema. None if they cannot be read."""
    try:
        value = _decode(raw)
        seeing = _Seeing()
        dropped = _drop(value, top, unknown) if isinstance(value, dict) else ()
        seeing.walk(value, top)
        changed = _encode(value) if seeing.has_changed or dropped else None
    except (msgspec.MsgspecError, InvalidOperation, RecursionError):
        return None
    return Look(value, changed, dropped, tuple(seeing.problems))


def _drop(arguments: dict[str, Any], top: Place, unknown: UnknownArguments) -> tuple[str, ...]:
    """Take out the undeclared names, as far as ``unknown`` says."""
    if unknown is UnknownArguments.REFUSE or not top.is_closed:
        return ()
    strange = arguments.keys() - set(top.names)
    if unknown is not UnknownArguments.DROP:
        strange &= CLIENT_ARGUMENTS
    dropped = tuple(name for name in arguments if name in strange)
    for name in dropped:
        del arguments[name]
    shown = tuple(public_path([name]) for name in dropped[:_MOST_DROPPED])
    return (*shown, "…") if len(dropped) > _MOST_DROPPED else shown


_Step = tuple[Any, str | int | None, Any, Place]
"""A part of the value: the step to what it is in, its name or number there, itself, and its place."""


class _Seeing:
    """One walk over a value, which is changed in place."""

    def __init__(self) -> None:
        self.has_changed = False
        self.problems: list[Problem] = []
        self._rest: list[_Step] = []
        self._compared = 0

    def walk(self, value: Any, top: Place) -> None:
        if isinstance(value, dict | list):
            self._rest.append((None, None, value, top))
        while self._rest:
            step = paced(self._rest.pop())
            part = step[2]
            if type(part) is dict:
                self._members(step, part, self._fitting(step[3], part))
            else:
                self._items(step, part, step[3])

    def _fitting(self, place: Place, members: dict[str, Any]) -> Place:
        self._compared += len(place.groups)
        return place if self._compared > _MOST_COMPARED else place.fitting(members)

    def _items(self, step: _Step, items: list[Any], place: Place) -> None:
        first, others = place.first_items, place.item(place.first_items)
        for at, item in enumerate(items):
            seen = self._seen(step, at, item, others if at >= first else place.item(at))
            if seen is not item:
                items[at] = seen
                self.has_changed = True

    def _members(self, step: _Step, members: dict[str, Any], place: Place) -> None:
        for name, member in tuple(members.items()):
            child = place.member(name)
            if member is None:
                if not child.admits_null and place.is_optional(name):
                    del members[name]
                    self.has_changed = True
                continue
            seen = self._seen(step, name, member, child)
            if seen is not member:
                members[name] = seen
                self.has_changed = True

    def _seen(self, step: _Step, name: str | int, value: Any, place: Place) -> Any:
        """Return what stands for a value; what has parts of its own is seen later."""
        kind = type(value)
        if kind is str:
            if place.formats:
                settled = rfc3339.settled(value, place.formats)
                return value if settled == value else settled
        elif kind is dict or kind is list:
            self._rest.append((step, name, value, place))
        elif kind is Decimal or kind is int:
            return self._number(step, name, value, place)
        elif kind is bool and place.is_choice and not place.admits("boolean"):
            self._refuse(step, name, describe(place) or _CHOICE)  # to Python true is 1, and to JSON it is not
        return value

    def _number(self, step: _Step, name: str | int, value: Decimal | int, place: Place) -> Decimal | int:
        if isinstance(value, int):
            if not (LEAST <= value <= MOST or place.is_number):
                self._refuse(step, name, _LONG)
        elif place.is_integer:
            whole = integral(value)
            if whole is not None:
                return whole
            if is_long(value):
                self._refuse(step, name, _LONG)
        if place.is_choice and not place.admits("integer"):
            self._refuse(step, name, describe(place) or _CHOICE)  # nor is 1 true
        return value

    def _refuse(self, step: _Step | None, name: str | int, rule: str) -> None:
        if len(self.problems) >= _MOST:
            return
        path: list[str | int] = [name]
        while step is not None:
            if step[1] is not None:
                path.append(step[1])
            step = step[0]
        self.problems.append(Problem(public_path(reversed(path)), rule))
