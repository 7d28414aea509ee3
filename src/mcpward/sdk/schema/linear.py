"""Patterns that a caller could make run without end: those of Python's engine, which goes back and tries again."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_BACKTRACKING: Final = "python-re"
#: Keywords that hold an author's values, or functions, and no schemas.
_OPAQUE: Final = frozenset({"cls", "default", "expected", "function", "members", "metadata", "serialization"})


def slow_patterns(schema: Any, engine: str = "") -> Iterator[str]:
    """Return the patterns of a core schema that pydantic would have Python's ``re`` search for (attack 121).

    They are those that were given compiled, and those of models that ask for that engine. pydantic's own takes linear
    time.
    """
    if isinstance(schema, Mapping):
        config = schema.get("config")
        if isinstance(config, Mapping):
            engine = config.get("regex_engine", engine)
        pattern = schema.get("pattern")
        if isinstance(pattern, re.Pattern):
            yield str(pattern.pattern)
        elif isinstance(pattern, str) and schema.get("regex_engine", engine) == _BACKTRACKING:
            yield pattern
        for word, part in schema.items():
            if word not in _OPAQUE:
                yield from slow_patterns(part, engine)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from slow_patterns(part, engine)
