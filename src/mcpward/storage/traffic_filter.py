"""The selection of records, and the statement that finds them."""

from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, or_
from sqlalchemy.engine.default import DefaultDialect

from mcpward.storage.renames import of_server
from mcpward.storage.tables import TRAFFIC
from mcpward.traffic.act import ACT

_EQUAL: Final = ("tool", "principal", "key_id", "reason", "outcome", "peer", "way", "error_id")
#: Both databases' drivers are given parameters by their names.
_NAMED: Final = DefaultDialect(paramstyle="named")


class TrafficFilter(Struct, frozen=True, kw_only=True):
    """The records to return: every field that is set must agree; ``since`` ≤ at < ``until``, wall-clock seconds.

    ``by_limit`` names a limit that refused, or would have, were it enforced; ``would_refuse`` narrows to the latter
    (without ``by_limit`` to any such limit). ``after_id`` is the ``seq`` of the last record already seen (for
    following), ``last_id`` that of the last one that is wanted; ``limit`` counts records. ``acts`` narrows to what
    operators did, or with False to requests.
    """

    server: str | None = None
    tool: str | None = None
    principal: str | None = None
    key_id: str | None = None
    reason: str | None = None
    outcome: str | None = None
    peer: str | None = None
    way: str | None = None
    error_id: str | None = None
    by_limit: str | None = None
    would_refuse: bool = False
    acts: bool | None = None
    since: float | None = None
    until: float | None = None
    after_id: int | None = None
    last_id: int | None = None
    limit: int = 100
    newest_first: bool = True


def narrowed(statement: Select[Any], wanted: TrafficFilter) -> Select[Any]:
    """Return the statement for the records that agree with ``wanted``, in no order and without a limit."""
    for name in _EQUAL:
        if (value := getattr(wanted, name)) is not None:
            statement = statement.where(TRAFFIC.c[name] == value)
    if wanted.server is not None:
        statement = statement.where(of_server(wanted.server))
    statement = _of_limits(statement, wanted)
    if wanted.acts is not None:
        statement = statement.where(TRAFFIC.c.phase == ACT if wanted.acts else TRAFFIC.c.phase != ACT)
    if wanted.since is not None:
        statement = statement.where(TRAFFIC.c.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(TRAFFIC.c.at < wanted.until)
    if wanted.after_id is not None:
        statement = statement.where(TRAFFIC.c.seq > wanted.after_id)
    if wanted.last_id is not None:
        statement = statement.where(TRAFFIC.c.seq <= wanted.last_id)
    return statement


def written(statement: Select[Any]) -> tuple[str, dict[str, Any]]:
    """Return a statement as SQL with named parameters, and their values."""
    compiled = statement.compile(dialect=_NAMED)
    return str(compiled), dict(compiled.params)


def _of_limits(statement: Select[Any], wanted: TrafficFilter) -> Select[Any]:
    name = wanted.by_limit
    if name is None:
        return statement.where(TRAFFIC.c.would_refuse.is_not(None)) if wanted.would_refuse else statement
    is_meant: ColumnElement[bool] = ("," + TRAFFIC.c.would_refuse + ",").contains(f",{name},", autoescape=True)
    return statement.where(is_meant if wanted.would_refuse else or_(TRAFFIC.c.limit_name == name, is_meant))
