"""An output schema without the members that an operator drops, so that what is published is what leaves.

A schema that would then refuse what is left is loosened. Of two things that only a dropped member told apart, a client
may see either.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.name_patterns import NamePatterns
from mcpward.sdk.schema.returns import Returns, fits

_BY_NAME: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_OF_MEMBERS: Final = frozenset({"properties", "dependentSchemas", "dependentRequired"})
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SINGLE: Final = frozenset({
    "items", "additionalProperties", "propertyNames", "contains", "unevaluatedProperties", "unevaluatedItems", "else",
    "then",
})  # fmt: skip
_VALUES: Final = frozenset({"const", "default", "enum", "examples"})
#: They would ask for more than what is left.
_COUNTS: Final = frozenset({"minProperties", "uniqueItems"})


class LeftOut(Struct, frozen=True):
    """A return without the members, and the reasons why a tool cannot be served so, for the operator."""

    returns: Returns
    problems: tuple[str, ...] = ()


def left_out(returns: Returns, names: NamePatterns, what: str, where: str) -> LeftOut:
    """Return a declared return whose schema has no member that ``names`` matches, at any depth."""
    schema = returns.schema
    if schema is None or not names:
        return LeftOut(returns)
    work = _Reduction(names, schema.get("$defs", {}))
    reduced = work.schema(schema)
    if reduced == schema:
        return LeftOut(returns)
    problems = [f"it tells its kinds apart by {name!r}" for name in dict.fromkeys(work.discriminators)]
    if _is_emptied(schema, reduced):
        problems.append("nothing that it returns is left")
    if problems:
        return LeftOut(returns, tuple(problems))
    _prune(reduced)
    return LeftOut(replace(returns, schema=reduced, misfit=fits(reduced, what, where)))


class _Reduction:
    def __init__(self, names: NamePatterns, definitions: Mapping[str, Any]) -> None:
        self._drops = names.match
        self._definitions = definitions
        self.discriminators: list[str] = []

    def schema(self, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema
        reduced: dict[str, Any] = {}
        for keyword, part in schema.items():
            if keyword not in _COUNTS:
                reduced[keyword] = self._keyword(keyword, part)
        self._loosen(schema, reduced)
        return reduced

    def _keyword(self, keyword: str, part: Any) -> Any:
        if keyword in _OF_MEMBERS and isinstance(part, dict):
            part = {name: inner for name, inner in part.items() if not self._drops(name)}
        if keyword in _BY_NAME and isinstance(part, dict):
            return {name: self.schema(inner) for name, inner in part.items()}
        if keyword in _LISTS and isinstance(part, list):
            if keyword in {"anyOf", "oneOf"}:
                self._note_discriminators(part)
            return [self.schema(inner) for inner in part]
        if keyword in _SINGLE:
            return self.schema(part)
        if keyword == "required" and isinstance(part, list):
            return [name for name in part if not self._drops(name)]
        if keyword == "dependentRequired":
            return {name: [one for one in needed if not self._drops(one)] for name, needed in part.items()}
        if keyword in _VALUES:
            return self._value(part)
        return part

    def _note_discriminators(self, kinds: list[Any]) -> None:
        """Note each dropped member that has one value of its own in each of several kinds."""
        objects = [self._resolved(kind).get("properties", {}) for kind in kinds]
        objects = [properties for properties in objects if properties]
        for name in objects[0] if len(objects) > 1 else ():
            if self._drops(name) and all("const" in properties.get(name, {}) for properties in objects):
                self.discriminators.append(name)

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        if not isinstance(schema, dict):
            return {}
        reference = schema.get("$ref")
        found = self._definitions.get(_name_of(reference), {}) if isinstance(reference, str) else schema
        return found if isinstance(found, dict) else {}

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, dict):
            return {name: self._value(item) for name, item in value.items() if not self._drops(name)}
        return value

    def _loosen(self, schema: Mapping[str, Any], reduced: dict[str, Any]) -> None:
        if reduced.get("required") == []:
            del reduced["required"]
        for keyword in ("not", "if"):
            if keyword in schema and self.schema(schema[keyword]) != schema[keyword]:
                for other in (keyword, "then", "else") if keyword == "if" else (keyword,):
                    reduced.pop(other, None)
        # Two kinds may look the same now.
        if "oneOf" in schema and reduced["oneOf"] != schema["oneOf"]:
            choice = {"anyOf": reduced.pop("oneOf")}
            if "anyOf" in reduced:
                reduced["allOf"] = [*reduced.get("allOf", ()), choice]
            else:
                reduced |= choice


def _is_emptied(schema: dict[str, Any], reduced: dict[str, Any]) -> bool:
    """Whether no declared member is left; the value of a wrapped return counts as the whole."""
    before, after = schema.get("properties", {}), reduced.get("properties", {})
    if before and not after:
        return True
    inner = before.get("result")
    if set(before) != {"result"} or not isinstance(inner, dict):
        return False
    return bool(inner.get("properties")) and not after["result"].get("properties")


def _prune(schema: dict[str, Any]) -> None:
    """Take definitions away that nothing refers to any more: they may describe what is dropped."""
    definitions = schema.get("$defs", {})
    used: set[str] = set()
    rest = [{keyword: part for keyword, part in schema.items() if keyword != "$defs"}]
    for part in rest:  # which grows meanwhile
        for name in _references(part):
            if name in definitions and name not in used:
                used.add(name)
                rest.append(definitions[name])
    if definitions:
        schema["$defs"] = {name: part for name, part in definitions.items() if name in used}
        if not used:
            del schema["$defs"]


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str):
            yield _name_of(reference)
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _name_of(reference: str) -> str:
    return reference.removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
