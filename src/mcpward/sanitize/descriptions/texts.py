"""Every text of a listing that a model may read, with the path of its field. Bounded: a listing may be a bomb."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

#: Texts of one entry, and characters of one text, that are read.
_MOST: Final = 2_000
_LONGEST: Final = 32_768
_PLAIN: Final = ("name", "title", "description")
_ANNOTATIONS: Final = ("title",)
_SCHEMAS: Final = ("inputSchema", "outputSchema")
#: What a client shows of a schema; names of properties are read too.
_WORDS: Final = frozenset({"title", "description", "default", "const", "enum", "examples", "$comment", "pattern"})


def texts_of(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield field and text of each text of a tool, a prompt, a resource or a template."""
    for field, text in islice(_all(entry), _MOST):
        yield field, text[:_LONGEST]


def _all(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in _PLAIN:
        if isinstance(text := entry.get(name), str):
            yield name, text
    annotations = entry.get("annotations")
    if isinstance(annotations, Mapping):
        for name in _ANNOTATIONS:
            if isinstance(text := annotations.get(name), str):
                yield f"annotations.{name}", text
    for name in _SCHEMAS:
        yield from _of_schema(name, entry.get(name))
    arguments = entry.get("arguments")
    for argument in arguments if isinstance(arguments, Sequence) and not isinstance(arguments, str) else ():
        if isinstance(argument, Mapping) and isinstance(text := argument.get("description"), str):
            yield f"arguments.{argument.get('name', '')}", text


def _of_schema(path: str, schema: Any) -> Iterator[tuple[str, str]]:
    waiting = [(path, schema)]
    for place, one in waiting:  # which grows meanwhile
        if len(waiting) > _MOST * 4:
            return
        if isinstance(one, list):
            waiting += ((place, item) for item in one)
        if not isinstance(one, dict):
            continue
        for name, value in one.items():
            if name in _WORDS:
                yield from _words(f"{place}.{name}", value)
            if name in {"properties", "$defs", "definitions"} and isinstance(value, dict):
                yield from ((f"{place}.{name}", key) for key in value)
                waiting += ((f"{place}.{key}", part) for key, part in value.items())
            elif name not in _WORDS:
                waiting.append((place, value))


def _words(place: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        yield from ((place, item) for item in value if isinstance(item, str))
