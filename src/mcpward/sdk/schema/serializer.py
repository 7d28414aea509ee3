"""The serialization of a declared type: pydantic's rules for it, but times with an offset, bytes as base64, and no NaN.

pydantic writes a time without an offset as it is, bytes as UTF-8 or not at all, and NaN as null; none of it keeps what
an output schema promises. So the type's core schema is changed in these places, at every depth.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, time
from typing import Any, Final

from pydantic_core import PydanticSerializationUnexpectedValue, SchemaSerializer

from mcpward.sdk.schema.temporal import date_time, full_time

_CONFIG: Final = {"ser_json_inf_nan": "constants"}
_CONFIGURED: Final = frozenset({"model", "dataclass", "typed-dict"})
#: Schemas that may allow undeclared members, which are of any type.
_WITH_EXTRAS: Final = frozenset({"model-fields", "typed-dict"})
#: Members of a core schema that hold no schemas, though what stands there may look like one.
_OPAQUE: Final = frozenset({"metadata", "config", "default", "expected", "members", "cls"})
#: Members that hold schemas by name.
_NAMED: Final = frozenset({"fields", "choices"})
_AUTHORS: Final = frozenset({"function-plain", "function-wrap"})
_RETURNED: Final = frozenset({"return_schema", "schema"})
_INFERRED: Final = {"type": "any"}


Infer = Callable[[Any], Any]
"""Turns a value of no known type into plain ones."""


def serializer_of(core_schema: Any, infer: Infer) -> SchemaSerializer:
    """Return the serializer of a core schema. A number that is none comes out as ``NaN`` or ``Infinity``: not JSON.

    Models within it are serialized by it too, and not by the serializers that pydantic keeps for them.
    """
    changed = _Change(infer).of(core_schema)
    return SchemaSerializer(changed, _CONFIG, _use_prebuilt=False)  # type: ignore[arg-type]


class _Change:
    """Copies a core schema, changed in itself and in all within it."""

    def __init__(self, infer: Infer) -> None:
        # The kinds in which pydantic would write times without an offset. In the last four it infers how to serialize:
        # anything, an instance of a class, what a validator function returns, a named tuple.
        inferred = dict.fromkeys(("any", "is-instance", "function-plain", "call"), infer)
        own: dict[Any, Infer] = {"datetime": _date_time, "time": _full_time, "bytes": _base64}
        self._functions: Mapping[Any, Infer] = {**own, **inferred}
        self._infer = infer

    def of(self, schema: Any, *, is_open: bool = False) -> Any:
        """Return the changed copy. ``is_open`` models take more members than they declare."""
        if isinstance(schema, list | tuple):
            return type(schema)(self.of(part, is_open=is_open) for part in schema)
        if not isinstance(schema, dict):
            return schema
        kind, config = schema.get("type"), schema.get("config", {})
        if kind in _CONFIGURED:
            is_open = config.get("extra_fields_behavior") == "allow"
        changed = {
            name: self._member(name, part, is_open=is_open) for name, part in schema.items() if name != "serialization"
        }
        if kind in _CONFIGURED:
            changed["config"] = {**_CONFIG, **config}
        if kind in _WITH_EXTRAS and (schema.get("extra_behavior") == "allow" or is_open):
            changed.setdefault("extras_schema", self.of(_INFERRED))
        return self._serialized(changed, kind, schema.get("serialization"))

    def _member(self, name: str, part: Any, *, is_open: bool) -> Any:
        if name in _OPAQUE:
            return part
        if name in _NAMED and isinstance(part, dict):
            return {each: self.of(inner) for each, inner in part.items()}
        return self.of(part, is_open=is_open)

    def _serialized(self, changed: dict[str, Any], kind: Any, own: Any) -> dict[str, Any]:
        """Add its serialization: by an author's function if there is one, which may hand on to ours."""
        function = self._infer if own == _INFERRED else self._functions.get(kind)
        plain = {"type": "function-plain", "function": function, "when_used": "json"}
        ours = changed if function is None else {**changed, "serialization": plain}
        if own is None or own == _INFERRED:
            return ours
        authors = {name: self.of(part) if name in _RETURNED else part for name, part in own.items()}
        if own["type"] in _AUTHORS:
            authors.setdefault("return_schema", self.of(_INFERRED))
        if own["type"] == "function-wrap":
            authors.setdefault("schema", {name: part for name, part in ours.items() if name != "ref"})
        return {**changed, "serialization": authors}


def _date_time(value: Any) -> str:
    if not isinstance(value, datetime):
        raise PydanticSerializationUnexpectedValue("not a datetime")
    return date_time(value)


def base64_text(value: bytes | bytearray | memoryview) -> str:
    """Return bytes as they go out everywhere: base64 with the standard alphabet (RFC 4648 §4), as in a ``blob``."""
    return b64encode(value).decode("ascii")


def _base64(value: Any) -> str:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise PydanticSerializationUnexpectedValue("not bytes")
    return base64_text(value)


def _full_time(value: Any) -> str:
    if not isinstance(value, time):
        raise PydanticSerializationUnexpectedValue("not a time")
    return full_time(value)
