"""For the tests of an author's tools: calls through everything that decides in production, without a network.

Nothing of this is loaded before it is used, so that the pytest plug-in costs a test run nothing that does not need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcpward.testing.answers import CANCEL, DECLINE, Question
    from mcpward.testing.in_process import Client, client
    from mcpward.testing.results import (
        CallResult,
        CompletionResult,
        Logged,
        Progress,
        PromptResult,
        ReadResult,
        Refused,
        Result,
    )

_HOMES = {
    "CANCEL": "mcpward.testing.answers",
    "CallResult": "mcpward.testing.results",
    "Client": "mcpward.testing.in_process",
    "CompletionResult": "mcpward.testing.results",
    "DECLINE": "mcpward.testing.answers",
    "Logged": "mcpward.testing.results",
    "Progress": "mcpward.testing.results",
    "PromptResult": "mcpward.testing.results",
    "Question": "mcpward.testing.answers",
    "ReadResult": "mcpward.testing.results",
    "Refused": "mcpward.testing.results",
    "Result": "mcpward.testing.results",
    "client": "mcpward.testing.in_process",
}

__all__ = [
    "CANCEL",
    "DECLINE",
    "CallResult",
    "Client",
    "CompletionResult",
    "Logged",
    "Progress",
    "PromptResult",
    "Question",
    "ReadResult",
    "Refused",
    "Result",
    "client",
]


def __getattr__(name: str) -> Any:
    """Import a name from its module on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mcpward.testing' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
