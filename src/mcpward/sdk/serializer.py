"""How a declared type is serialized: pydantic's rules for it, but times with an offset and no number that is none.

pydantic writes a time without an offset as it is, and NaN as null; neither keeps what an output schema promises. So the
type's core schema is changed in these places, at every depth.
"""

from collections.abc import Callable, Mapping
from copy import copy as shallow_copy
from dataclasses import fields, is_dataclass
from datetime import datetime, time
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticSerializationUnexpectedValue, SchemaSerializer

from mcpward.core.unicode import well_formed
from mcpward.sdk.jsonable import jsonable
from mcpward.sdk.temporal import date_time, full_time

_CONFIG: Final = {"ser_json_inf_nan": "constants"}
_CONFIGURED: Final = frozenset({"model", "dataclass", "typed-dict"})
#: Where members that are not declared may be allowed, which are of any type.
_WITH_EXTRAS: Final = frozenset({"model-fields", "typed-dict"})
#: Members of a core schema that hold no schemas, though what stands there may look like one.
_OPAQUE: Final = frozenset({"metadata", "config", "default", "expected", "members", "cls"})
#: Members that hold schemas by name.
_NAMED: Final = frozenset({"fields", "choices"})
_AUTHORS: Final = frozenset({"function-plain", "function-wrap"})
_RETURNED: Final = frozenset({"return_schema", "schema"})
_INFERRED: Final = {"type": "any"}


def serializer_of(core_schema: Any) -> SchemaSerializer:
    """Return the serializer of a core schema. A number that is none comes out as ``NaN`` or ``Infinity``: not JSON.

    Models within it are serialized by it too, and not by the serializers that pydantic keeps for them.
    """
    return SchemaSerializer(_changed(core_schema), _CONFIG, _use_prebuilt=False)  # type: ignore[arg-type]


def mended(value: Any) -> Any:
    """Return a copy of ``value``, of the same types, in which every text is well formed."""
    if type(value) is str:
        return well_formed(value)
    if isinstance(value, dict):
        return {mended(name): mended(member) for name, member in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(map(mended, value))
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(map(mended, value))
    if isinstance(value, BaseModel):
        copy = value.model_copy()
        copy.__dict__.update(mended(value.__dict__))
        object.__setattr__(copy, "__pydantic_extra__", mended(value.__pydantic_extra__))
        return copy
    return _mended_dataclass(value) if is_dataclass(value) and not isinstance(value, type) else value


def _mended_dataclass(value: Any) -> Any:
    copy = shallow_copy(value)
    for field in fields(value):
        object.__setattr__(copy, field.name, mended(getattr(value, field.name)))
    return copy


def _changed(schema: Any, *, is_open: bool = False) -> Any:
    """Return a copy of a core schema, changed in itself and in all within it. ``is_open`` models take more members."""
    if isinstance(schema, list | tuple):
        return type(schema)(_changed(part, is_open=is_open) for part in schema)
    if not isinstance(schema, dict):
        return schema
    kind, config = schema.get("type"), schema.get("config", {})
    if kind in _CONFIGURED:
        is_open = config.get("extra_fields_behavior") == "allow"
    changed = {name: _member(name, part, is_open=is_open) for name, part in schema.items() if name != "serialization"}
    if kind in _CONFIGURED:
        changed["config"] = {**_CONFIG, **config}
    if kind in _WITH_EXTRAS and (schema.get("extra_behavior") == "allow" or is_open):
        changed.setdefault("extras_schema", _changed(_INFERRED))
    own = schema.get("serialization")
    if own == _INFERRED or (kind in _FUNCTIONS and (own is None or own["type"] == "function-wrap")):
        function = jsonable if own == _INFERRED else _FUNCTIONS[kind]
        changed["serialization"] = {"type": "function-plain", "function": function, "when_used": "json"}
    if own is not None and own != _INFERRED:
        changed = {**changed, "serialization": _changed_function(own, changed)}
    return changed


def _member(name: str, part: Any, *, is_open: bool) -> Any:
    if name in _OPAQUE:
        return part
    if name in _NAMED and isinstance(part, dict):
        return {each: _changed(inner) for each, inner in part.items()}
    return _changed(part, is_open=is_open)


def _changed_function(own: Mapping[str, Any], around: Mapping[str, Any]) -> dict[str, Any]:
    """An author's serializer ``around`` a schema: what it returns and hands on is serialized as everything else."""
    changed = {name: _changed(part) if name in _RETURNED else part for name, part in own.items()}
    if own["type"] in _AUTHORS:
        changed.setdefault("return_schema", _changed(_INFERRED))
    if own["type"] == "function-wrap":
        changed.setdefault("schema", {name: part for name, part in around.items() if name != "ref"})
    return changed


def _date_time(value: Any) -> str:
    if not isinstance(value, datetime):
        raise PydanticSerializationUnexpectedValue("not a datetime")
    return date_time(value)


def _full_time(value: Any) -> str:
    if not isinstance(value, time):
        raise PydanticSerializationUnexpectedValue("not a time")
    return full_time(value)


#: For the kinds of core schema in which pydantic would write times without an offset. In the last four it infers how to
#: serialize: anything, an instance of a class, what a validator function returns, a named tuple.
_FUNCTIONS: Final[Mapping[str | None, Callable[[Any], Any]]] = {
    "datetime": _date_time,
    "time": _full_time,
    **dict.fromkeys(("any", "is-instance", "function-plain", "call"), jsonable),
}
