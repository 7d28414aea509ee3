"""The contents of ``params._meta``: the modern envelope, the progress token, the trace. All of it is only the client's
claim.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from mcpward.core.invalid import invalid
from mcpward.protocol.decode import is_id
from mcpward.protocol.versions import CAPABILITIES_KEY, CLIENT_KEY, LOG_LEVEL_KEY

LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

#: W3C Trace Context: a value of another form is dropped, never passed on (attack 65: CRLF in a trace).
_TRACE: Final = {
    "traceparent": re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
    "tracestate": re.compile(r"[\x20-\x7e]{1,512}"),
    "baggage": re.compile(r"[\x20-\x7e]{1,1024}"),
}
_NO_TRACE: Final[Mapping[str, str]] = {}


def capabilities(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the declared capabilities. Raises :class:`Refusal` (params-invalid) if they are not an object."""
    declared = meta.get(CAPABILITIES_KEY)
    if declared == []:  # an empty object, as PHP writes it
        declared = {}
    if type(declared) is not dict:
        raise invalid(f"_meta.{CAPABILITIES_KEY}", "an object")
    client = meta.get(CLIENT_KEY)
    if client is not None and client != [] and type(client) is not dict:
        raise invalid(f"_meta.{CLIENT_KEY}", "an object")
    return declared


def log_level(meta: Mapping[str, Any]) -> str | None:
    """Return the wanted level of log notifications, None for none. Raises :class:`Refusal` (params-invalid)."""
    level = meta.get(LOG_LEVEL_KEY)
    if level is None:
        return None
    if type(level) is not str or level not in LOG_LEVELS:
        raise invalid(f"_meta.{LOG_LEVEL_KEY}", f"one of {', '.join(LOG_LEVELS)}")
    return level


def progress_token(meta: Mapping[str, Any]) -> int | str | None:
    """Return the token that opts into progress, None for none. Raises :class:`Refusal` (params-invalid)."""
    token = meta.get("progressToken")
    if token is None:
        return None
    if not is_id(token):
        raise invalid("_meta.progressToken", "a string of at most 256 characters, or an integer")
    return token  # type: ignore[no-any-return]  # is_id has just looked


def trace(meta: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the trace fields that are well-formed; others are dropped, as W3C Trace Context asks."""
    if meta.keys().isdisjoint(_TRACE):
        return _NO_TRACE
    return {
        name: value for name, shape in _TRACE.items() if type(value := meta.get(name)) is str and shape.fullmatch(value)
    }
