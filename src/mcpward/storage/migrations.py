"""The numbered steps from an empty database to the present one, in plain SQL for both databases.

A step that has been released is never changed: the next change is the next step. ``{blob}`` and ``{serial}`` are
the two words that SQLite and PostgreSQL spell differently.

A column that is added to a table whose rows have a ``mac`` is NULL in the rows that are there: NULL is left out of the
code, so that these rows stay ours.
"""

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "sqlite": {"blob": "BLOB", "serial": "INTEGER PRIMARY KEY AUTOINCREMENT"},
    "postgresql": {"blob": "BYTEA", "serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"},
}

STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE mcpward_ring (key_id TEXT PRIMARY KEY, seen_at DOUBLE PRECISION)",
        "CREATE TABLE revisions (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
        "INSERT INTO revisions (name, value) VALUES ('keys', 0), ('urls', 0), ('sessions', 0)",
        """
        CREATE TABLE api_keys (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, digest {blob} NOT NULL, servers TEXT NOT NULL, tools TEXT,
            scopes TEXT NOT NULL, access INTEGER NOT NULL, rate TEXT, networks TEXT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL, expires_at DOUBLE PRECISION, last_used_at DOUBLE PRECISION,
            rotated_from TEXT, revoked_at DOUBLE PRECISION, grace_until DOUBLE PRECISION, revision BIGINT NOT NULL
        )
        """,
        "CREATE INDEX api_keys_revision ON api_keys (revision)",
        """
        CREATE TABLE unlisted_urls (
            id TEXT PRIMARY KEY, server TEXT NOT NULL, digest {blob} NOT NULL,
            created_at DOUBLE PRECISION NOT NULL, expires_at DOUBLE PRECISION, revision BIGINT NOT NULL
        )
        """,
        "CREATE INDEX unlisted_urls_revision ON unlisted_urls (revision)",
        """
        CREATE TABLE ended_sessions (
            id TEXT PRIMARY KEY, forget_at DOUBLE PRECISION NOT NULL, revision BIGINT NOT NULL
        )
        """,
        "CREATE INDEX ended_sessions_revision ON ended_sessions (revision)",
        """
        CREATE TABLE secrets (
            server TEXT NOT NULL, name TEXT NOT NULL, blob {blob} NOT NULL, set_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (server, name)
        )
        """,
        """
        CREATE TABLE traffic (
            seq {serial}, id TEXT NOT NULL, at DOUBLE PRECISION NOT NULL, server TEXT, method TEXT, tool TEXT, era TEXT,
            version TEXT, way TEXT, principal TEXT, client TEXT, key_id TEXT, peer TEXT, phase TEXT NOT NULL,
            outcome TEXT, reason TEXT, error_id TEXT, status INTEGER, duration_us BIGINT, bytes_in BIGINT,
            bytes_out BIGINT, arguments TEXT, trace TEXT
        )
        """,
        "CREATE INDEX traffic_at ON traffic (at)",
    ),
    (
        "INSERT INTO revisions (name, value) VALUES ('mail', 0)",
        """
        CREATE TABLE mail (
            seq BIGINT PRIMARY KEY, sender TEXT NOT NULL, addressee TEXT, kind TEXT NOT NULL, sealed TEXT NOT NULL
        )
        """,
        "CREATE TABLE spent_states (id TEXT PRIMARY KEY, forget_at DOUBLE PRECISION NOT NULL)",
        "CREATE INDEX spent_states_forget_at ON spent_states (forget_at)",
    ),
    (
        "INSERT INTO revisions (name, value) VALUES ('settings', 0)",
        """
        CREATE TABLE session_settings (
            session TEXT PRIMARY KEY, principal TEXT NOT NULL, forget_at DOUBLE PRECISION NOT NULL, level TEXT,
            uris TEXT NOT NULL, revision BIGINT NOT NULL
        )
        """,
        "CREATE INDEX session_settings_revision ON session_settings (revision)",
        "CREATE INDEX session_settings_principal ON session_settings (principal, revision)",
    ),
    (
        """
        CREATE TABLE tasks (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, server TEXT NOT NULL, tool TEXT NOT NULL, worker TEXT NOT NULL,
            status TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, updated_at DOUBLE PRECISION NOT NULL,
            expires_at DOUBLE PRECISION NOT NULL, beat_at DOUBLE PRECISION NOT NULL, message TEXT, requests TEXT,
            ending TEXT, is_cancel_asked INTEGER NOT NULL, size BIGINT NOT NULL
        )
        """,
        "CREATE INDEX tasks_owner ON tasks (owner, server, status, size)",
        "CREATE INDEX tasks_status ON tasks (status, beat_at)",
        "CREATE INDEX tasks_expires_at ON tasks (expires_at)",
        """
        CREATE TABLE task_answers (
            task_id TEXT NOT NULL, key TEXT NOT NULL, sealed TEXT NOT NULL, PRIMARY KEY (task_id, key)
        )
        """,
    ),
    (
        "ALTER TABLE traffic ADD COLUMN limit_name TEXT",
        "ALTER TABLE traffic ADD COLUMN would_refuse TEXT",
    ),
    ("ALTER TABLE traffic ADD COLUMN detail TEXT",),
    (
        "CREATE TABLE served_urls (path TEXT PRIMARY KEY, server TEXT NOT NULL, base TEXT NOT NULL)",
        "ALTER TABLE api_keys ADD COLUMN may_confirm INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE traffic ADD COLUMN consent TEXT",
    ),
    # What has no code yet gets one from ``opening``, once: a mark outside of the database says that it was done.
    (
        "CREATE TABLE mcpward_site (id TEXT PRIMARY KEY)",
        "ALTER TABLE revisions ADD COLUMN floor BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE revisions ADD COLUMN mac {blob}",
        "INSERT INTO revisions (name, value) VALUES ('spent', 0), ('secrets', 0)",
        "ALTER TABLE api_keys ADD COLUMN mac {blob}",
        "ALTER TABLE unlisted_urls ADD COLUMN mac {blob}",
        "ALTER TABLE secrets ADD COLUMN mac {blob}",
        "ALTER TABLE ended_sessions ADD COLUMN mac {blob}",
        "ALTER TABLE spent_states ADD COLUMN mac {blob}",
        "ALTER TABLE spent_states ADD COLUMN revision BIGINT NOT NULL DEFAULT 0",
        "CREATE INDEX spent_states_revision ON spent_states (revision)",
    ),
    (
        # Refusals of before count as calls until their time is over: to mark them would rewrite the whole table.
        "ALTER TABLE traffic ADD COLUMN chain TEXT NOT NULL DEFAULT 'calls'",
        "ALTER TABLE traffic ADD COLUMN count BIGINT",
        "ALTER TABLE traffic ADD COLUMN last_at DOUBLE PRECISION",
        "CREATE INDEX traffic_refusals ON traffic (seq) WHERE chain = 'refusals'",
        "INSERT INTO revisions (name, value) VALUES ('probe', 0)",
    ),
)

LATEST: Final = len(STEPS)


def statements(step: int, dialect: str) -> list[str]:
    """Give the statements of ``step`` (from 1) in the words of ``dialect``."""
    return [statement.format_map(WORDS[dialect]) for statement in STEPS[step - 1]]
