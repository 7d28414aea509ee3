"""Arguments made from a published schema, in every spelling that JSON has for a number.

Each is judged by an independent validator first, formats included: it is what the schema allows.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import jsonschema_rs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Tool
from mcpward.validation.accept import accept
from support.calls import call_of

#: The range that mcpward promises of each integer beside the schema: 64 bits.
LEAST, MOST = -(2**63), 2**63 - 1
_DEEPEST = 4
Schema = Mapping[str, Any]
_SIGNS = st.characters(codec="utf-8", exclude_characters="\0")


def _moments() -> st.SearchStrategy[str]:
    clock = st.builds("{:02}:{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
    fraction = st.just("") | st.text("0123456789", min_size=1, max_size=12).map(".{}".format)
    offset = st.sampled_from("Zz") | st.builds(
        "{}{:02}:{:02}".format, st.sampled_from("+-"), st.integers(0, 23), st.integers(0, 59)
    )
    return st.builds("".join, st.tuples(clock, fraction, offset)) | st.sampled_from(["23:59:60Z", "01:59:60+02:00"])


_FORMATS: dict[str, st.SearchStrategy[str]] = {
    "date": st.dates().map(str),
    "date-time": st.builds(
        "{}{}{}".format, st.dates(date(2, 1, 1), date(9998, 1, 1)).map(str), st.sampled_from("Tt"), _moments()
    ),
    "time": _moments(),
    "duration": st.builds("P{}DT{}H{}M{}S".format, *[st.integers(0, 999)] * 4)
    | st.integers(0, 99).map("P{}W".format)
    | st.integers(0, 99).map("P{}Y1M".format),
    "uuid": st.uuids().map(str) | st.uuids().map(lambda one: str(one).upper()),
    "email": st.from_regex(r"[a-z0-9_+]{1,9}(\.[a-z-]{1,9})?@[a-z0-9]{1,9}\.(com|org|museum)", fullmatch=True),
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str) | st.ip_addresses(v=6).map(lambda one: one.exploded),
    "uri": st.sampled_from(["https://example.com/a?b=c#d", "http://192.0.2.1:8080", "urn:isbn:0", "mailto:a@b.org"]),
    "password": st.text(_SIGNS, max_size=20),
}


def arguments_of(schema: Schema) -> st.SearchStrategy[bytes]:
    """Return raw arguments that the schema allows."""
    judge = jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True)
    values = _Values(schema).of(schema).filter(judge.is_valid)
    return st.tuples(values, st.randoms(use_true_random=False)).map(lambda made: _text(*made).encode())


class _Values:
    def __init__(self, root: Schema) -> None:
        self._root = root

    def of(self, schema: Any, depth: int = 0) -> st.SearchStrategy[Any]:
        if schema is True or not schema:
            return _ANYTHING
        if "$ref" in schema:
            return self.of(self._target(schema["$ref"]), depth)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                options = [{**{k: v for k, v in schema.items() if k != word}, **option} for option in schema[word]]
                return st.one_of([self.of(option, depth) for option in options])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        kinds = schema.get("type", "string")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return st.one_of([getattr(self, f"_{kind}")(schema, depth) for kind in kinds])

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        for step in reference.split("/")[1:]:
            found = found[step]
        return found

    def _later(self, schema: Schema, depth: int) -> st.SearchStrategy[Any]:
        return st.deferred(lambda: self.of(schema, depth))

    def _object(self, schema: Schema, depth: int) -> st.SearchStrategy[dict[str, Any]]:
        needed = schema.get("required", ())
        known = {
            name: self._later(part, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if depth < _DEEPEST or name in needed
        }
        fixed = st.fixed_dictionaries(
            {name: known[name] for name in needed}, optional={n: known[n] for n in known if n not in needed}
        )
        others = schema.get("additionalProperties", True)
        if others is False or depth >= _DEEPEST:
            return fixed
        names = self.of({"type": "string", **self._resolved(schema.get("propertyNames", {}))}, depth)
        more = st.dictionaries(names, self.of(others, depth + 1), max_size=3)
        return st.tuples(more, fixed).map(lambda both: {**both[0], **both[1]})

    def _resolved(self, schema: Schema) -> Schema:
        return self._target(schema["$ref"]) if "$ref" in schema else schema

    def _array(self, schema: Schema, depth: int) -> st.SearchStrategy[list[Any]]:
        if "prefixItems" in schema:
            return st.tuples(*[self.of(part, depth + 1) for part in schema["prefixItems"]]).map(list)
        least = schema.get("minItems", 0)
        most = least if depth >= _DEEPEST else schema.get("maxItems", least + 4)
        items = self.of(schema.get("items", {}), depth + 1) if most else st.nothing()
        return st.lists(items, min_size=least, max_size=most)

    def _string(self, schema: Schema, _depth: int) -> st.SearchStrategy[str]:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        if "pattern" in schema:
            return st.from_regex(schema["pattern"], alphabet=st.characters(codec="ascii")).filter(str.isprintable)
        least = schema.get("minLength", 0)
        return st.text(_SIGNS, min_size=least, max_size=schema.get("maxLength", least + 20))

    def _integer(self, schema: Schema, _depth: int) -> st.SearchStrategy[int]:
        step = schema.get("multipleOf", 1)
        least = max(LEAST, schema.get("minimum", LEAST), schema.get("exclusiveMinimum", LEAST) + 1)
        most = min(MOST, schema.get("maximum", MOST), schema.get("exclusiveMaximum", MOST) - 1)
        return st.integers(-(-least // step), most // step).map(lambda one: one * step)

    def _number(self, schema: Schema, depth: int) -> st.SearchStrategy[float]:
        least = schema.get("minimum", schema.get("exclusiveMinimum"))
        most = schema.get("maximum", schema.get("exclusiveMaximum"))
        floats = st.floats(least, most, allow_nan=False, allow_infinity=False)
        whole = {word: int(value) for word, value in schema.items() if word in _BOUNDS}
        return floats | self._integer(whole, depth) | (st.integers() if least is most is None else st.nothing())

    def _boolean(self, _schema: Schema, _depth: int) -> st.SearchStrategy[bool]:
        return st.booleans()

    def _null(self, _schema: Schema, _depth: int) -> st.SearchStrategy[None]:
        return st.none()


_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(LEAST, MOST) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(_SIGNS, max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_SIGNS, max_size=9), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def _text(value: Any, luck: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_text(part, luck)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_text(part, luck) for part in value) + "]"
    if type(value) is int:
        return str(luck.choice((f"{value}", f"{value}.0", f"{value}e0", f"{value}.000E+0", f"{value}.0e-0")))
    return json.dumps(value)


def require_takes_what_it_publishes(tools: Sequence[Tool]) -> None:
    """Call each tool with what its schema allows; a guard may still refuse what is not sensible."""

    @settings(max_examples=4 * len(tools), suppress_health_check=list(HealthCheck), database=None)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        tool = data.draw(st.sampled_from(tools))
        raw = data.draw(arguments_of(tool.listing["inputSchema"]))
        try:
            accept(call_of(tool.name, raw), tool)
        except Refusal as no:
            if no.reason is not Reason.ARGUMENT_DANGEROUS:
                raise

    check()
