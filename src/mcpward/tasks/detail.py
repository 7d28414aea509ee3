"""A task in the extension's form: the body of ``tasks/get``, of the creation's answer and of ``notifications/tasks``.

Results, errors and questions are spliced in as they were encoded; nothing of them is read again.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Encoder

from mcpward.tasks.record import Status

POLL_MS: Final = 1000
"""How often a client should ask, in milliseconds."""

_encode: Final = Encoder().encode
_ENDINGS: Final = {Status.COMPLETED: "result", Status.FAILED: "error"}


class Detail(Struct, frozen=True, kw_only=True):
    """A task as its caller may see it. ``ending`` is encoded; so is each of the open ``requests``."""

    id: str
    status: Status
    created_at: float
    updated_at: float
    ttl_s: float
    message: str = ""
    requests: Mapping[str, Raw] = {}
    ending: bytes = b""


def encoded(detail: Detail) -> bytes:
    """Return the members of DetailedTask as one JSON object. The envelope says whether it creates a task."""
    said: dict[str, Any] = {"taskId": detail.id, "status": detail.status.value}
    if detail.message:
        said["statusMessage"] = detail.message
    said["createdAt"] = _moment(detail.created_at)
    said["lastUpdatedAt"] = _moment(detail.updated_at)
    said["ttlMs"] = round(detail.ttl_s * 1000)
    said["pollIntervalMs"] = POLL_MS
    if detail.status is Status.INPUT_REQUIRED:
        said["inputRequests"] = detail.requests
    elif (member := _ENDINGS.get(detail.status)) is not None:
        said[member] = Raw(detail.ending)
    return _encode(said)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
