r"""Regular expressions for texts of callers: an engine whose time is linear in the text (attack 75).

It is pydantic's, of Rust. Published patterns are ECMAScript's, whose classes ``\d`` and ``\w`` are ASCII; Rust's are
not. So these are spelt out before they are handed to it.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from pydantic_core import SchemaError, SchemaValidator, ValidationError

_ESCAPE: Final = re.compile(r"\\(.)|(\[\^?)|(\])", re.DOTALL)
_OUTSIDE: Final = {
    "d": "[0-9]", "D": "[^0-9]", "w": "[0-9A-Za-z_]", "W": "[^0-9A-Za-z_]", "b": "(?-u:\\b)", "/": "/", "-": "-",
}  # fmt: skip
_WITHIN: Final = {"d": "0-9", "w": "0-9A-Za-z_", "D": "[^0-9]", "W": "[^0-9A-Za-z_]", "/": "/"}


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what finds ``pattern`` in a text.

    Raises:
        ValueError: the engine does not take it: lookaround, backreferences, a bracket that is not closed, too large.
    """
    schema: Any = {"type": "str", "pattern": _in_ascii(pattern), "regex_engine": "rust-regex"}
    try:
        validate = SchemaValidator(schema).validate_python
    except SchemaError:
        raise ValueError("no pattern of the linear engine") from None

    def matches(text: str) -> bool:
        try:
            validate(text)
        except ValidationError:
            return False
        return True

    return matches


def _in_ascii(pattern: str) -> str:
    is_within = False

    def spelt(found: re.Match[str]) -> str:
        nonlocal is_within
        if found[1] is not None:
            return (_WITHIN if is_within else _OUTSIDE).get(found[1], found[0])
        if found[2] is not None:
            opened, is_within = not is_within, True
            return found[2] if opened else found[2].replace("[", "\\[")
        is_within = False
        return found[0]

    return _ESCAPE.sub(spelt, pattern)
