"""A model's validator for large arguments: it comes back to Python at each item, and stops at the first that is wrong.

pydantic-core keeps the interpreter's lock while it works, so that a thread by itself would not free the event loop. The
additions to the core schema change neither the accepted values nor their results. After each item of a list, and each
member of a dict, the thread may pause (``core.pace``). A list with a wrong item is not read any further. A dict with a
wrong member ends the whole, unless another alternative might still take it.

Source: ``pydantic_core.core_schema``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from pydantic_core import SchemaValidator

from mcpward.core.errors import Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.pace import step
from mcpward.core.reasons import Reason

_LISTS: Final = frozenset({"list", "set", "frozenset", "tuple"})
#: Types in which an error may not be the end. Definitions may be referred to from there.
_CATCHING: Final = frozenset({"union", "tagged-union", "function-wrap", "definitions"})
#: Members of a core schema that are schemas by name, and those in which there are no schemas.
_NAMED: Final = frozenset({"fields", "choices"})
_OPAQUE: Final = frozenset(
    {
        "cls", "computed_fields", "config", "custom_error_context", "default", "discriminator", "expected", "function",
        "members", "metadata", "serialization",
    }
)  # fmt: skip
_RULE: Final = "objects without a wrong member; below 64 KiB, the error names it"


def paced(schema: Mapping[str, Any]) -> Callable[..., Any]:
    """Return ``validate_json`` of the validator of a core schema, for a thread that has begun a piece of long work.

    It raises, beside what pydantic raises, :class:`Refusal` (arguments-invalid).
    """
    reading = _Reading()
    changed = reading.changed(schema, within=False)
    # Prebuilt validators of nested models would not have what was added to their schemas.
    return SchemaValidator(changed, _use_prebuilt=False).validate_json


class _Reading:
    """Copies a core schema. ``within`` says that a wrong value there may be right for another alternative."""

    def changed(self, value: Any, *, within: bool) -> Any:
        if isinstance(value, tuple):
            return tuple(self.changed(part, within=within) for part in value)
        if isinstance(value, list):
            return [self.changed(part, within=within) for part in value]
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            return value
        kind = value["type"]
        within = within or kind in _CATCHING or "on_error" in value
        made = {word: self._member(word, said, within=within) for word, said in value.items()}
        if kind in _LISTS and "items_schema" in made:
            items = made["items_schema"]
            made["items_schema"] = [_stepping(item) for item in items] if kind == "tuple" else _stepping(items)
            made["fail_fast"] = True
        elif kind == "dict" and "values_schema" in made:
            values = _stepping(made["values_schema"])
            made["values_schema"] = values if within else _ending(values)
        return made

    def _member(self, word: str, said: Any, *, within: bool) -> Any:
        if word in _OPAQUE:
            return said
        if word in _NAMED and isinstance(said, dict):
            return {name: self.changed(part, within=within) for name, part in said.items()}
        return self.changed(said, within=within)


def _stepping(schema: Any) -> dict[str, Any]:
    return {"type": "function-after", "function": {"type": "no-info", "function": step}, "schema": schema}


def _ending(schema: Any) -> dict[str, Any]:
    return {"type": "default", "schema": schema, "on_error": "default", "default_factory": _end}


def _end() -> NoReturn:
    problems = Problems((Problem("", _RULE),))
    raise Refusal(Reason.ARGUMENTS_INVALID, "a wrong member of a large object", problems)
