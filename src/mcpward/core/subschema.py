"""The rules of a JSON Schema (2020-12) for one place within a value: the allowed types, members and items.

Read, not checked: pydantic and jsonschema-rs decide on acceptance. A schema is taken apart into alternatives, each a
group of schemas that all hold. One that has too many alternatives, or refers elsewhere, says nothing here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]
Group = tuple[Schema, ...]

KINDS: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_NUMBER: Final = frozenset({"number", "integer"})
_MOST_ALTERNATIVES: Final = 64
_MOST_PLACES: Final = 4096
_NOTHING: Final[tuple[Group, ...]] = ((),)


class Subschemas:
    """The places of one schema. ``top`` is that of the whole value."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._places: dict[tuple[tuple[int, ...], ...], Place] = {}
        self.top = self.place([(root,)])

    def place(self, groups: Iterable[Group]) -> "Place":
        """Return the place at which one of ``groups`` holds."""
        return self.among([each for group in groups for each in self._product(group, ())])

    def among(self, groups: Iterable[Group]) -> "Place":
        """Return the place whose alternatives are taken apart already, the same one for the same schemas."""
        found = {tuple(map(id, group)): group for group in groups}
        key = tuple(found)
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= _MOST_PLACES:
                self._places.clear()
            place = self._places[key] = Place(self, tuple(found.values()))
        return place

    def _product(self, schemas: Iterable[Any], within: tuple[int, ...]) -> tuple[Group, ...]:
        """Return the alternatives of schemas that all hold."""
        groups = _NOTHING
        for schema in schemas:
            groups = tuple(one + other for one in groups for other in self._alternatives(schema, within))
            if len(groups) > _MOST_ALTERNATIVES:
                return _NOTHING
        return groups

    def _alternatives(self, schema: Any, within: tuple[int, ...]) -> tuple[Group, ...]:
        if schema is False:
            return ()
        if not isinstance(schema, Mapping) or id(schema) in within:
            return _NOTHING
        within = (*within, id(schema))
        also = [*_listed(schema, "allOf")]
        if "$ref" in schema:
            also.append(self._target(schema["$ref"]))
        groups = self._product(also, within)
        for keyword in ("anyOf", "oneOf"):
            if members := _listed(schema, keyword):
                either = [group for member in members for group in self._alternatives(member, within)]
                groups = tuple(one + other for one in groups for other in either)
                if len(groups) > _MOST_ALTERNATIVES:
                    return _NOTHING
        return tuple((schema, *group) for group in groups)

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            return True
        found: Any = self._root
        for token in reference.split("/")[1:]:
            step = token.replace("~1", "/").replace("~0", "~")
            found = found.get(step, True) if isinstance(found, Mapping) else True
        return found


class Place:
    """One place: ``groups`` are its alternatives.

    ``admits_null``: null may stand here. ``is_integer``: a number here is an integer. ``is_number``: the schema says
    that any number may stand here, rather than nothing of the type. ``is_choice``: it lists values. ``formats`` are
    those of the strings that may stand here, none if a string without a format may. ``first_items`` is the number of
    items with rules of their own.
    """

    __slots__ = (
        "_children", "_kinds", "_named", "_of", "_optional", "_others", "admits_null", "first_items", "formats",
        "groups", "is_choice", "is_integer", "is_number",
    )  # fmt: skip

    def __init__(self, of: Subschemas, groups: tuple[Group, ...]) -> None:
        self._of = of
        self.groups = groups
        self._kinds = tuple(map(kinds_of, groups))
        self._children: dict[str | int, Place] = {}
        self._others: Place | None = None
        self._optional: frozenset[str] | None = None
        schemas = [schema for group in groups for schema in group]
        self._named = frozenset(name for schema in schemas for name in _mapped(schema, "properties"))
        self.is_integer = self.admits("integer") and not self.admits("number")
        self.admits_null = self.admits("null")
        self.is_number = any("number" in _types(schema) for schema in schemas)
        self.is_choice = any("enum" in schema or "const" in schema for schema in schemas)
        self.first_items = max((len(_listed(schema, "prefixItems")) for schema in schemas), default=0)
        self.formats = self._formats()

    def admits(self, kind: str) -> bool:
        """Whether a value of this JSON type may stand here."""
        return any(kind in kinds for kinds in self._kinds)

    @property
    def is_closed(self) -> bool:
        """Whether an object here has no members other than those that are named."""
        return bool(self.groups) and all(map(_is_closed, self.groups))

    @property
    def names(self) -> tuple[str, ...]:
        """The members that an object here may have, as far as they are named."""
        return tuple(
            dict.fromkeys(name for group in self.groups for schema in group for name in _mapped(schema, "properties"))
        )

    def is_optional(self, name: str) -> bool:
        """Whether an object here may be without a member that is declared."""
        if self._optional is None:
            needed = {one for group in self.groups for schema in group for one in _listed(schema, "required")}
            self._optional = frozenset(self.names) - needed
        return name in self._optional

    def member(self, name: str) -> "Place":
        """Return the place of a member of an object here."""
        child = self._children.get(name)
        if child is None:
            if name not in self._named:
                return self._other_members()  # callers' names are not kept
            groups = [
                group
                for group in self.groups
                if any(name in _mapped(schema, "properties") for schema in group) or not _is_closed(group)
            ]
            child = self._children[name] = self._of.place(
                [tuple(part for schema in group for part in _member(schema, name)) for group in groups]
            )
        return child

    def item(self, at: int) -> "Place":
        """Return the place of an item of an array here."""
        at = min(at, self.first_items)
        child = self._children.get(at)
        if child is None:
            child = self._children[at] = self._of.place(
                [tuple(part for schema in group for part in _item(schema, at)) for group in self.groups]
            )
        return child

    def fitting(self, value: Mapping[str, Any]) -> "Place":
        """Return the place with the alternatives that an object fits by its names and choices; else with all."""
        if len(self.groups) <= 1:
            return self
        fits = [
            group
            for group, kinds in zip(self.groups, self._kinds, strict=True)
            if "object" in kinds and _fits(group, value)
        ]
        return self._of.among(fits) if fits else self

    def _formats(self) -> frozenset[str]:
        found: set[str] = set()
        for group, kinds in zip(self.groups, self._kinds, strict=True):
            if "string" in kinds:
                own = {schema["format"] for schema in group if isinstance(schema.get("format"), str)}
                if not own:
                    return frozenset()
                found |= own
        return frozenset(found)

    def _other_members(self) -> "Place":
        if self._others is None:
            self._others = self._of.place(
                [tuple(part for schema in group for part in _other(schema)) for group in self.groups]
            )
        return self._others


def kinds_of(group: Group) -> frozenset[str]:
    """Return the JSON types of the values for which all of these schemas may hold."""
    kinds = KINDS
    for schema in group:
        if "type" in schema:
            kinds &= _types(schema)
        if "const" in schema:
            kinds &= _kind(schema["const"])
        elif "enum" in schema:
            kinds &= frozenset().union(*map(_kind, _listed(schema, "enum")))
    return kinds


def _types(schema: Schema) -> frozenset[str]:
    said = schema.get("type")
    types = frozenset([said] if isinstance(said, str) else said if isinstance(said, list) else ())
    return types | _NUMBER if "number" in types else types


def _kind(value: Any) -> frozenset[str]:
    if isinstance(value, bool):
        return frozenset({"boolean"})
    if isinstance(value, int):
        return frozenset({"integer"})
    if isinstance(value, float):
        return _NUMBER
    if value is None:
        return frozenset({"null"})
    return frozenset({"string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"})


def _is_closed(group: Group) -> bool:
    return any(
        (schema.get("additionalProperties") is False or schema.get("unevaluatedProperties") is False)
        and not _mapped(schema, "patternProperties")
        for schema in group
    )


def _fits(group: Group, value: Mapping[str, Any]) -> bool:
    names: set[str] = set()
    for schema in group:
        properties = _mapped(schema, "properties")
        names.update(properties)
        if any(name not in value for name in _listed(schema, "required")):
            return False
        if any(name in value and not _may_be(part, value[name]) for name, part in properties.items()):
            return False
    return not _is_closed(group) or names.issuperset(value)


def _may_be(schema: Any, value: Any) -> bool:
    if not isinstance(schema, Mapping):
        return schema is not False
    if "const" in schema:
        return bool(schema["const"] == value)
    return "enum" not in schema or value in _listed(schema, "enum")


def _member(schema: Schema, name: str) -> Iterable[Any]:
    properties = _mapped(schema, "properties")
    return (properties[name],) if name in properties else _other(schema)


def _other(schema: Schema) -> Iterable[Any]:
    others = schema.get("additionalProperties")
    return (others,) if isinstance(others, Mapping) and not _mapped(schema, "patternProperties") else ()


def _item(schema: Schema, at: int) -> Iterable[Any]:
    first = _listed(schema, "prefixItems")
    if at < len(first):
        return (first[at],)
    return (schema["items"],) if isinstance(schema.get("items"), Mapping) else ()


def _listed(schema: Schema, keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def _mapped(schema: Schema, keyword: str) -> Mapping[str, Any]:
    value = schema.get(keyword)
    return value if isinstance(value, Mapping) else {}
