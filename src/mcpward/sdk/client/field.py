"""One field of a form, in one of the shapes that the specification has for it (PrimitiveSchemaDefinition, SEP-1330)."""

from collections.abc import Mapping
from typing import Any, Final

from mcpward.sdk.client.sensitive import asks_for_a_secret
from mcpward.sdk.errors import AuthoringError

_SAID: Final[tuple[str, ...]] = ("title", "description", "default")
_FORMATS: Final = ("date", "date-time", "email", "uri")
#: The keywords of a field beside its type, title, description and default.
_LIMITS: Final[dict[str, tuple[str, ...]]] = {
    "string": ("minLength", "maxLength", "format"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
    "boolean": (),
    "array": ("minItems", "maxItems"),
}
_KINDS: Final = "a form is flat: str, int, float, bool, date, datetime, Literal, Enum, or a list of choices"
_NO_SECRETS: Final = "send the person to a page of yours: context.elicit_url(…)"
_NULL: Final = {"type": "null"}


def field(name: str, raw: Any, definitions: Mapping[str, Any], what: str, *, strict: bool) -> dict[str, Any]:
    """Return the field as it is published. Keywords that the specification does not have are left out; ``strict``
    refuses them.

    Raises:
        AuthoringError: the field is nested, of another type or format, or asks for a secret.
    """
    where = f"{what}: the field {name!r}"
    if not isinstance(raw, Mapping):
        raise AuthoringError(f"{where} has no schema", hint=_KINDS)
    part = _plain(raw, definitions, where)
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _LIMITS or (kind != "string" and "enum" in part):
        raise AuthoringError(f"{where} is not a text, number, boolean or choice", hint=_KINDS)
    said = {word: part[word] for word in _SAID if word in part and (word != "default" or part[word] is not None)}
    choice = _choice(part, where) if kind == "string" else _several(part, definitions, where) if kind == "array" else {}
    if not choice:
        _require_no_secret(name, part, where)
        _require_known_format(part, where)
    limits = () if choice and kind == "string" else _LIMITS[kind]
    words = {word: part[word] for word in limits if word in part}
    if strict:
        _require_nothing_else(part, {"type", *said, *words, *choice, "default"}, where)
    return {"type": kind, **said, **words, **choice}


def _plain(raw: Mapping[str, Any], definitions: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Resolve what pydantic writes for enums, for ``… | None = None`` and for whole numbers above or below another."""
    part = dict(raw)
    reference = part.pop("$ref", None)
    if reference is not None:
        found = definitions.get(str(reference).removeprefix("#/$defs/"))
        if not isinstance(found, Mapping):
            raise AuthoringError(f"{where} has a reference", hint=_KINDS)
        # A class's name and docstring are the author's words for themselves, not for the person who is asked.
        part = {**{word: value for word, value in found.items() if word not in ("title", "description")}, **part}
    members = part.get("anyOf")
    if part.get("type") is None and isinstance(members, list) and len(members) == 2 and _NULL in members:
        if "default" not in part:
            raise AuthoringError(f"{where} may be None, but may not be left out", hint="write … | None = None")
        del part["anyOf"]
        other = members[1] if members[0] == _NULL else members[0]
        part = {**_plain(other, definitions, where), **part}
    if "const" in part:
        part["enum"] = [part.pop("const")]
    if part.get("type") == "integer":
        for word, bound, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
            if word in part:
                part.setdefault(bound, part.pop(word) + step)
    return part


def _choice(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A choice of one: ``enum``, ``oneOf`` with titles, or the old ``enum`` with ``enumNames``. Empty for a text."""
    if "oneOf" in part:
        return {"oneOf": _titled(part["oneOf"], where)}
    if "enum" not in part:
        return {}
    values = _values(part["enum"], where)
    names = part.get("enumNames")
    if names is None:
        return {"enum": values}
    if not isinstance(names, list) or len(names) != len(values) or not all(isinstance(name, str) for name in names):
        raise AuthoringError(f"{where} needs one name for each of its values", hint=_KINDS)
    return {"enum": values, "enumNames": list(names)}


def _several(part: Mapping[str, Any], definitions: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A choice of several: the items are a choice of one."""
    items = part.get("items")
    if not isinstance(items, Mapping):
        raise AuthoringError(f"{where} is a list without a type", hint=_KINDS)
    item = _plain(items, definitions, where)
    titled = item.get("anyOf", item.get("oneOf"))
    if titled is not None:
        return {"items": {"anyOf": _titled(titled, where)}}
    if item.get("type") != "string" or "enum" not in item or "enumNames" in item:
        raise AuthoringError(f"{where} is not a list of choices", hint=_KINDS)
    return {"items": {"type": "string", "enum": _values(item["enum"], where)}}


def _titled(options: Any, where: str) -> list[dict[str, str]]:
    if not isinstance(options, list) or not all(isinstance(option, Mapping) for option in options):
        raise AuthoringError(f"{where} has choices without a value and a title", hint=_KINDS)
    values = _values([option.get("const") for option in options], where)
    titles = [option.get("title") for option in options]
    if not all(isinstance(title, str) and title for title in titles):
        raise AuthoringError(f"{where} has a choice without a title", hint=_KINDS)
    return [{"const": value, "title": str(title)} for value, title in zip(values, titles, strict=True)]


def _values(values: Any, where: str) -> list[str]:
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise AuthoringError(f"{where} has choices that are not texts", hint=_KINDS)
    if len(set(values)) != len(values):
        raise AuthoringError(f"{where} has the same choice twice", hint=_KINDS)
    return list(values)


def _require_no_secret(name: str, part: Mapping[str, Any], where: str) -> None:
    if part["type"] == "boolean":
        return  # whether there is a password is no secret
    if part.get("format") == "password" or part.get("writeOnly"):
        raise AuthoringError(f"{where} asks for a secret; a form must not", hint=_NO_SECRETS)
    if asks_for_a_secret(name) or asks_for_a_secret(str(part.get("title", ""))):
        raise AuthoringError(f"{where} looks like a secret; a form must not ask for one", hint=_NO_SECRETS)


def _require_known_format(part: Mapping[str, Any], where: str) -> None:
    if "format" in part and part["type"] == "string" and part["format"] not in _FORMATS:
        raise AuthoringError(f"{where} has the format {part['format']!r}", hint=f"a form knows {', '.join(_FORMATS)}")


def _require_nothing_else(part: Mapping[str, Any], known: set[str], where: str) -> None:
    other = sorted(set(part) - known)
    if other:
        raise AuthoringError(f"{where} has {other[0]!r}, which is not for a form's field", hint=f"remove {other[0]!r}")
