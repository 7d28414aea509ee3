"""The tables as SQLAlchemy knows them. ``migrations`` makes them; a test holds the two together."""

from typing import Final

from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, MetaData, String, Table

METADATA: Final = MetaData()

SCHEMA: Final = Table("mcpward_schema", METADATA, Column("version", Integer, primary_key=True))
RING: Final = Table("mcpward_ring", METADATA, Column("key_id", String, primary_key=True), Column("seen_at", Float))
SITE: Final = Table("mcpward_site", METADATA, Column("id", String, primary_key=True))
REVISIONS: Final = Table(
    "revisions",
    METADATA,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("mac", LargeBinary),
)

KEYS: Final = Table(
    "api_keys",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("servers", String, nullable=False),
    Column("tools", String),
    Column("scopes", String, nullable=False),
    Column("access", Integer, nullable=False),
    Column("rate", String),
    Column("networks", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("last_used_at", Float),
    Column("rotated_from", String),
    Column("revoked_at", Float),
    Column("grace_until", Float),
    Column("revision", BigInteger, nullable=False),
    Column("may_confirm", Integer, nullable=False),
    Column("owner", String),
    Column("note", String),
    Column("tags", String),
    Column("mac", LargeBinary),
)

URLS: Final = Table(
    "unlisted_urls",
    METADATA,
    Column("id", String, primary_key=True),
    Column("server", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revision", BigInteger, nullable=False),
    Column("mac", LargeBinary),
)

ENDED: Final = Table(
    "ended_sessions",
    METADATA,
    Column("id", String, primary_key=True),
    Column("forget_at", Float, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("mac", LargeBinary),
)

SETTINGS: Final = Table(
    "session_settings",
    METADATA,
    Column("session", String, primary_key=True),
    Column("principal", String, nullable=False),
    Column("forget_at", Float, nullable=False),
    Column("level", String),
    Column("uris", String, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

VAULT: Final = Table(
    "vault",
    METADATA,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("server", String, nullable=False),
    Column("name", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("key_id", String, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("hosts", String, nullable=False),
    Column("header", String, nullable=False),
    Column("is_http_only", Integer, nullable=False),
    Column("set_at", Float, nullable=False),
    Column("ends_at", Float),
    Column("last_used_at", Float),
    Column("revision", BigInteger, nullable=False),
    Column("mac", LargeBinary),
)

PINS: Final = Table(
    "pins",
    METADATA,
    Column("id", String, primary_key=True),
    Column("server", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("seen", String, nullable=False),
    Column("seen_entry", LargeBinary, nullable=False),
    Column("approved", String),
    Column("approved_entry", LargeBinary),
    Column("approved_by", String),
    Column("approved_at", Float),
    Column("revision", BigInteger, nullable=False),
    Column("mac", LargeBinary),
)

#: Without codes: a row more asks a person once more, and whoever can remove one can also read and write all else here.
TAINTS: Final = Table(
    "taints",
    METADATA,
    Column("id", String, primary_key=True),
    Column("at", Float, nullable=False),
    Column("origin", String, nullable=False),
)

TRAFFIC: Final = Table(
    "traffic",
    METADATA,
    Column("seq", BigInteger, primary_key=True),
    Column("id", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("server", String),
    Column("method", String),
    Column("tool", String),
    Column("era", String),
    Column("version", String),
    Column("way", String),
    Column("principal", String),
    Column("client", String),
    Column("key_id", String),
    Column("peer", String),
    Column("phase", String, nullable=False),
    Column("outcome", String),
    Column("reason", String),
    Column("error_id", String),
    Column("status", Integer),
    Column("duration_us", BigInteger),
    Column("bytes_in", BigInteger),
    Column("bytes_out", BigInteger),
    Column("arguments", String),
    Column("trace", String),
    Column("limit_name", String),
    Column("would_refuse", String),
    Column("detail", String),
    Column("consent", String),
    Column("chain", String, nullable=False, server_default="calls"),
    Column("count", BigInteger),
    Column("last_at", Float),
    Column("pos", BigInteger),
    Column("mac", LargeBinary),
)

#: One row: where the chains of the record begin and end, sealed.
TRAFFIC_STATE: Final = Table(
    "traffic_state",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

MAIL: Final = Table(
    "mail",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("sender", String, nullable=False),
    Column("addressee", String),
    Column("kind", String, nullable=False),
    Column("sealed", String, nullable=False),
)

SPENT: Final = Table(
    "spent_states",
    METADATA,
    Column("id", String, primary_key=True),
    Column("forget_at", Float, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("mac", LargeBinary),
)

TASKS: Final = Table(
    "tasks",
    METADATA,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("server", String, nullable=False),
    Column("tool", String, nullable=False),
    Column("worker", String, nullable=False),
    Column("status", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("beat_at", Float, nullable=False),
    Column("message", String),
    Column("requests", String),
    Column("ending", String),
    Column("is_cancel_asked", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
)

TASK_ANSWERS: Final = Table(
    "task_answers",
    METADATA,
    Column("task_id", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("sealed", String, nullable=False),
)

SERVED: Final = Table(
    "served_urls",
    METADATA,
    Column("path", String, primary_key=True),
    Column("server", String, nullable=False),
    Column("base", String, nullable=False),
)

#: The records that a server's name selects.
RENAMED: Final = Table(
    "renamed_servers",
    METADATA,
    Column("old", String, primary_key=True),
    Column("new", String, primary_key=True),
    Column("at", Float, primary_key=True),
    Column("mac", LargeBinary),
)

APPROVALS: Final = Table(
    "approvals",
    METADATA,
    Column("id", String, primary_key=True),
    Column("binding", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("server", String, nullable=False),
    Column("tool", String, nullable=False),
    Column("status", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("sealed", String, nullable=False),
    Column("link", LargeBinary),
    Column("decided_at", Float),
    Column("decided_by", String),
    Column("revision", BigInteger, nullable=False),
    Column("mac", LargeBinary),
)
