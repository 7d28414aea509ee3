"""The server's own limit on a statement, for the case that it never hears that the call was given up.

Set once per connection, and only ever lowered: a limit that the operator set for the role or in the URL stays.
"""

import math
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from mcpward.sdk.database.drivers import MYSQL

#: Later than ours: the server's message would not say how long it was.
_LATER_S: Final = 0.5
_POSTGRESQL: Final = (
    "SELECT set_config('statement_timeout', CASE WHEN setting::int BETWEEN 1 AND {ms} THEN setting ELSE '{ms}' END, "
    "false) FROM pg_settings WHERE name = 'statement_timeout'"
)
#: Seconds, of every statement; and milliseconds, of SELECT only.
_MARIADB: Final = "SET max_statement_time = IF(@@max_statement_time BETWEEN 0.001 AND {s}, @@max_statement_time, {s})"
_MYSQL: Final = "SET max_execution_time = IF(@@max_execution_time BETWEEN 1 AND {ms}, @@max_execution_time, {ms})"


def bound_at_server(engine: AsyncEngine, timeout_s: float) -> None:
    """Have every new connection of ``engine`` end its statements by itself soon after ``timeout_s``."""
    seconds = timeout_s + _LATER_S
    dialect = engine.dialect.name
    if dialect != "postgresql" and dialect not in MYSQL:
        return

    @event.listens_for(engine.sync_engine, "connect")
    def _limit(connection: Any, _record: Any) -> None:
        statement = _POSTGRESQL
        if dialect in MYSQL:
            version = connection.driver_connection.get_server_info()
            statement = _MARIADB if "mariadb" in version.lower() else _MYSQL
        cursor = connection.cursor()
        cursor.execute(statement.format(s=f"{seconds:.3f}", ms=math.ceil(seconds * 1000)))
        cursor.close()
        # asyncpg's adapter began a transaction for it, which a roll-back would take the setting along with.
        connection.commit()
