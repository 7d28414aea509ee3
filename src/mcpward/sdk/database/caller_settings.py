"""Row security: the caller, set in PostgreSQL for one transaction, so that its policies filter the rows.

``set_config(name, value, true)`` is ``SET LOCAL``: it ends with the transaction, and the next caller's statement on the
same connection starts without it. There is no statement without a value: without a caller nothing is sent.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.core.caller_path import CallerPath, read_caller_path
from mcpward.core.work import current
from mcpward.sdk.errors import DatabaseFailed, DatabaseMisuse, StatementRefused

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*", re.ASCII)
_ROLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_OWNER: Final = "caller."
_KNOWN: Final = "caller.subject, caller.issuer, caller.claims.NAME or caller.tags.NAME"
_PASSES: Final = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
#: As PostgreSQL decides it: members of the owner pass too.
_OWNS: Final = text(
    "SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity "
    "AND pg_has_role(current_user, relowner, 'USAGE') ORDER BY 1 LIMIT 1"
)


class CallerSettings:
    """The first statement of a transaction: settings from the caller, and the role that it runs as.

    Raises:
        DatabaseMisuse: another database than PostgreSQL, or a name, a source or a role that means nothing.
    """

    def __init__(self, session: Any, role: Any, dialect: str) -> None:
        if session is None and role is None:
            self._sources: dict[str, CallerPath] = {}
            self._role = None
            self._statement = None
            return
        option = "session" if session is not None else "role"
        if dialect != "postgresql":
            hint = f"leave out {option}=, and filter by a parameter: WHERE owner = :owner"
            raise DatabaseMisuse(f"Database: {option} is row security of PostgreSQL, and this is {dialect}", hint=hint)
        if role is not None and not (isinstance(role, str) and _ROLE.fullmatch(role)):
            raise DatabaseMisuse("Database: role is the name of a role", hint='write role="shop_reader"')
        self._sources = _read(session or {})
        self._role = role
        names = [*([("role", "role")] if role else []), *((name, f"v{n}") for n, name in enumerate(self._sources))]
        calls = ", ".join(f"set_config('{name}', CAST(:{bound} AS text), true)" for name, bound in names)
        self._statement = text(f"SELECT {calls}")  # names that matched above

    @property
    def is_row_security(self) -> bool:
        """Whether policies depend on the settings, so that the role must not pass them."""
        return bool(self._sources)

    def values(self) -> dict[str, str]:
        """Return the values for the call that runs.

        Raises:
            StatementRefused: no call runs, its caller has no identity, or lacks one of the values.
        """
        given = {} if self._role is None else {"role": self._role}
        if not self._sources:
            return given
        work = current.get(None)
        principal = work.principal if work is not None else None
        if principal is None:
            raise StatementRefused("rows of this Database belong to callers, and no call runs here")
        for number, source in enumerate(self._sources.values()):
            value = source.find(principal)
            if isinstance(value, bool) or not isinstance(value, str | int):  # None, and what is no single value
                raise StatementRefused(f"rows of this Database belong to callers, and this one has no {source}")
            given[f"v{number}"] = str(value)
        return given

    async def send(self, connection: AsyncConnection, values: Mapping[str, str]) -> None:
        """Send the values to the transaction; it begins with them if it has not begun."""
        if self._statement is not None:
            await connection.execute(self._statement, dict(values))

    async def require_bound(self, connection: AsyncConnection) -> None:
        """Raise :class:`DatabaseFailed` if the connection's role passes policies: rows of all would be read."""
        if (await connection.execute(_PASSES)).scalar_one_or_none() is not False:
            raise DatabaseFailed(
                "row security does not hold for this role, which is a superuser or has BYPASSRLS: "
                'connect as another, or write Database(…, role="…")'
            )
        owned = (await connection.execute(_OWNS)).scalar_one_or_none()
        if owned is not None:
            raise DatabaseFailed(
                f"row security does not hold for this role, which owns {owned}: "
                f"run ALTER TABLE {owned} FORCE ROW LEVEL SECURITY, or connect as another role"
            )


def _read(session: Any) -> dict[str, CallerPath]:
    hint = 'write session={"app.user_id": "caller.subject"}'
    if not isinstance(session, Mapping):
        raise DatabaseMisuse("Database: session is a dict", hint=hint)
    read = {}
    for name, source in session.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise DatabaseMisuse("Database: a setting of session has a name with a dot, in small letters", hint=hint)
        try:
            read[name] = read_caller_path(str(source).removeprefix(_OWNER) if str(source).startswith(_OWNER) else "")
        except ValueError:
            problem = f"Database: the source of {name} is nothing of a caller"
            raise DatabaseMisuse(problem, hint=f"write {_KNOWN}") from None
    return read
