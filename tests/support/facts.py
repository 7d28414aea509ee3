"""The facts of a refusal by name, so that a test can compare them as a whole."""

from typing import Any

from msgspec import NODEFAULT, structs, to_builtins

from mcpward.core.challenge import Challenge
from mcpward.core.errors import Refusal
from mcpward.core.facts import Problems

_NAMES = {"seconds": "retry_after_s", "id": "rpc_id", "ids": "rpc_ids"}


def facts_of(no: Refusal) -> dict[str, Any]:
    """Return all facts of a refusal that say something."""
    named: dict[str, Any] = {}
    for fact in no.facts:
        if isinstance(fact, Challenge):
            named["challenge"] = fact
        elif isinstance(fact, Problems):
            named["problems"] = to_builtins(list(fact.problems))
        else:
            for field in structs.fields(fact):
                value = getattr(fact, field.name)
                if field.default is NODEFAULT or value != field.default:
                    named[_NAMES.get(field.name, field.name)] = list(value) if field.name == "supported" else value
    return named
