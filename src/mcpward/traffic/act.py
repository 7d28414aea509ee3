"""An act of an operator as a row of the record: who did what to which object, and what it was before and after.

It belongs to the chain of calls: a flood of refusals cannot push it out. The columns are those of requests, but a row
with the phase :data:`ACT` is none. Its ``method`` is the command, ``principal`` the account and its host, ``client``
the terminal. ``arguments`` holds, as JSON, the object with its values. No value of a secret, no credential and no
digest of one ever gets here: :mod:`mcpward.storage.acts` leaves out what is no text.
"""

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from mcpward.core.ids import request_id
from mcpward.core.operator import Operator
from mcpward.traffic.record import CALLS, MAX_DETAIL
from mcpward.traffic.row import Row, text

ACT: Final = "act"
"""The phase of an act."""
WAY: Final = "operator"
COLUMNS: Final = (
    "id", "at", "phase", "outcome", "server", "method", "way", "principal", "client", "peer", "key_id",
    "arguments", "detail", "chain",
)  # fmt: skip
_MAX_VALUE: Final = 500
#: The object's own words say these, and the row's time the last one.
_IN_OBJECT: Final = frozenset({"id", "name", "created_at", "set_at"})
_MAX_VALUES: Final = 400
Values = Mapping[str, Any]


class Act(Struct, frozen=True, kw_only=True):
    """A change to ``object``, such as ``key 4f9QkZp2LmXa``.

    ``before`` and ``after`` hold what changed of it; of something new all that is known of it, and of something removed
    likewise. ``detail`` says it to people; made of the values if it is empty.
    """

    object: str
    before: Values | None = None
    after: Values | None = None
    server: str | None = None
    key_id: str | None = None
    detail: str = ""


def act_row(operator: Operator, act: Act, at: float) -> Row:
    """Return the row of an act at a moment (wall clock); its values are those of :data:`COLUMNS`."""
    told = {"object": act.object, "before": _bounded(act.before), "after": _bounded(act.after)}
    if operator.on_behalf is not None:
        told["on_behalf"] = operator.on_behalf
    return (
        request_id(),
        at,
        ACT,
        "ok",
        act.server,
        text(operator.command),
        WAY,
        text(f"{operator.user}@{operator.host}"),
        None if operator.terminal is None else text(operator.terminal),
        None if operator.address is None else text(operator.address),
        act.key_id,
        json.dumps(told, ensure_ascii=True, separators=(",", ":"), default=str),
        text((act.detail or words(act))[:MAX_DETAIL]),
        CALLS,
    )


def words(act: Act) -> str:
    """Return the act in words: each changed value, or the new object."""
    before, after = act.before, act.after
    if before and after:
        names = dict.fromkeys((*before, *after))
        said = [f"{name}: {_word(before.get(name))} → {_word(after.get(name))}" for name in names]
        return f"{act.object}: {', '.join(said)}"
    if after:
        known = [f"{name} {_word(value)}" for name, value in after.items() if name not in _IN_OBJECT]
        return f"{act.object} made: {', '.join(known)}"
    return f"{act.object} removed" if before else act.object


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _bounded(values: Values | None) -> Values | None:
    """Cut a text that may be long."""
    if values is None:
        return None
    most = islice(values.items(), _MAX_VALUES)
    return {name: value[:_MAX_VALUE] if isinstance(value, str) else value for name, value in most}
