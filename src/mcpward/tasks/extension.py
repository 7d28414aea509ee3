"""The extension's name, and whether a request declares it (extension specification 2026-07-28, capability negotiation).

Declared per request, in the modern era only: the legacy protocol has other tasks under other names, which are not
served.
"""

from typing import Any, Final

from mcpward.core.capability import lacks
from mcpward.core.errors import Refusal
from mcpward.core.facts import Lacking
from mcpward.core.reasons import Reason
from mcpward.core.values import Call, Era

EXTENSION: Final = "io.modelcontextprotocol/tasks"
REQUIRED: Final[dict[str, Any]] = {"extensions": {EXTENSION: {}}}
"""The capability that a client must declare, as a ClientCapabilities object."""


def declares(call: Call) -> bool:
    """Return whether the client of this request takes a task for an answer."""
    return call.era is Era.MODERN and lacks(call.capabilities, REQUIRED) is None


def require_declared(call: Call) -> None:
    """Refuse a request about tasks from a client that did not declare them.

    Raises:
        Refusal: capability-missing, with the fact ``required_capabilities``. Before any look at the task's id.
    """
    if not declares(call):
        raise Refusal(Reason.CAPABILITY_MISSING, "the tasks extension", Lacking(REQUIRED))
