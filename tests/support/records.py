"""Traffic records and rows for tests that begin behind the pipeline."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mcpward.core.values import Arrival, Reply
from mcpward.crypto.keyring import KeyRing
from mcpward.crypto.record_mac import RecordMacs
from mcpward.storage.traffic import TrafficTable
from mcpward.traffic.record import Record, Result
from mcpward.traffic.row import COLUMNS, Row
from mcpward.traffic.subject import Subject
from mcpward.traffic.trail import Traffic, Trail

MACS = RecordMacs(KeyRing([b"m" * 32]), "traffic record")


def a_record(outcome: Result = Result.OK, reason: str | None = None, **changes: Any) -> Record:
    about = {name: changes.pop(name) for name in Subject.__struct_fields__ if name in changes}
    given: dict[str, Any] = {
        "subject": Subject(**{"server": "orders"} | about),
        "outcome": outcome,
        "reason": reason,
        "duration_s": 0.001,
        "arguments": None,
        "trace": None,
        "limits": None,
        "detail": None,
        "id": "id",
        "at": 0.0,
        "peer": "192.0.2.7",
        "phase": "done",
        "error_id": None,
        "status": 200,
        "bytes_in": 1,
        "bytes_out": 2,
    }
    return Record(**given | changes)


@contextmanager
def followed(traffic: Traffic, arrival: Arrival, reply: Reply | None = None) -> Iterator[Trail]:
    """Follow an arrival to its end, as the pipeline does."""
    trail = traffic.follow(arrival)
    try:
        yield trail
    except BaseException as ended:
        trail.broken(ended)
        raise
    if reply is None:
        trail.broken(None)
    else:
        trail.done(reply)


def named(row: Row) -> dict[str, Any]:
    return dict(zip(COLUMNS, row, strict=True))


async def keep(table: TrafficTable, *rows: Mapping[str, Any]) -> None:
    """Append rows by name; what one of them lacks is null, and it is of the calls unless it says otherwise."""
    rows = tuple({"chain": "calls"} | dict(row) for row in rows)
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    await table.append(names, [tuple(map(row.get, names)) for row in rows])


async def keep_intent(table: TrafficTable, row: Mapping[str, Any]) -> None:
    await table.append_intent(tuple(row), tuple(row.values()))
