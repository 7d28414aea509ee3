"""Values on their way into a statement: the types a driver takes, and nothing that would be turned into SQL."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from mcpward.core.secret import Secret
from mcpward.sdk.database.drivers import MYSQL
from mcpward.sdk.errors import StatementRefused

_AS_THEY_ARE: Final = (str, int, float, bytes, type(None))


def bindable(name: str, value: Any, driver: str) -> Any:
    """Return ``value`` as the driver takes it.

    SQLite has no dates: they become ``2026-01-31`` and ``2026-01-31 12:00:00``, the form of its own functions;
    a time with an offset is turned into UTC first. MySQL's driver would leave out an offset and knows no UUID: there
    both are such texts too.

    Raises:
        StatementRefused: a value of a type that has no place in a statement. Names the parameter, not the value.
    """
    if type(value) in _AS_THEY_ARE or isinstance(value, bool):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [bindable(name, part, driver) for part in value]
    if isinstance(value, Enum):
        return bindable(name, value.value, driver)
    if isinstance(value, Secret):
        if value.hosts:
            raise StatementRefused(
                f"the parameter :{name} is a secret that is bound to hosts, so only mcpward.http sends it"
            )
        return value.reveal()
    if isinstance(value, date | Decimal | UUID):
        is_text = driver == "sqlite" or (driver in MYSQL and isinstance(value, datetime | UUID))
        return _text(value) if is_text else value
    if isinstance(value, _AS_THEY_ARE):  # str and int subclasses of an author's own
        return value
    raise StatementRefused(f"the parameter :{name} has the type {type(value).__name__}, which cannot be bound")


def _text(value: date | Decimal | UUID) -> str:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo is not None else value
        return moment.isoformat(" ", "microseconds" if moment.microsecond else "seconds")
    return str(value)
