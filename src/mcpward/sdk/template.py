"""URI templates: which URIs one stands for, and what a caller's URI says for its variables (RFC 6570, attack 78).

``{name}`` is one segment, ``{name*}`` several. A value is decoded once, and afterwards must not name another place than
its spelling does: no empty or dotted segment, no slash of either kind, nothing that would decode again, no control
character, and none of these in what Unicode calls the same text (NFKC). Whatever does not fit matches nothing.
"""

import re
import unicodedata
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from mcpward.sdk.errors import AuthoringError

LONGEST_URI: Final = 2048
LONGEST_VALUE: Final = 1024
_MOST_VARIABLES: Final = 16
_MOST_SEGMENTS: Final = 64
_EXPRESSION: Final = re.compile(r"\{([^{}]*)\}")
_VARIABLE: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(\*?)", re.ASCII)
#: One value as it may be spelt: what RFC 3986 allows in a segment, without what separates segments or query members.
_SPELLING: Final = r"(?:[A-Za-z0-9._~!$'()*+,;:=@-]|%[0-9A-Fa-f]{2})+"
_BREAK: Final = re.compile(r"[/?&#]")
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Template(Struct, frozen=True):
    """A template that has been read. ``names`` are its variables in order, ``several`` the one with a ``*`` or ""."""

    text: str
    names: tuple[str, ...]
    several: str
    pattern: re.Pattern[str]

    def match(self, uri: str) -> dict[str, str] | None:
        """Give the variables' values for a URI exactly as it came, or None where it is not one of this template."""
        found = self.pattern.fullmatch(uri) if len(uri) <= LONGEST_URI else None
        if found is None:
            return None
        values: dict[str, str] = {}
        for name, spelt in found.groupdict().items():
            value = _decoded(spelt, several=name == self.several)
            if value is None:
                return None
            values[name] = value
        return values

    def covers(self, uri: str) -> bool:
        """Say whether a URI has this template's shape, whatever its values are."""
        return len(uri) <= LONGEST_URI and self.pattern.fullmatch(uri) is not None


def is_template(uri: str) -> bool:
    """Say whether an author's URI has variables."""
    return "{" in uri or "}" in uri


def read_template(text: str, where: str = "") -> Template:
    """Read an author's template. At most one variable stands in each segment, and at most one has a ``*``.

    So a URI matches in one way only, and finding it takes no longer for a URI that was made to be slow.

    Raises:
        AuthoringError: another operator of RFC 6570, a variable twice, two in one segment, …
    """
    names: list[str] = []
    several = ""
    parts: list[str] = []
    end = 0
    for expression in _EXPRESSION.finditer(text):
        literal = text[end : expression.start()]
        name, star = _variable(expression[1], text, where)
        if name in names:
            _refuse(text, f"the variable {name!r} stands in it twice", where)
        if names and not _BREAK.search(literal):
            _refuse(text, f"{names[-1]!r} and {name!r} stand in one segment", where)
        if star and several:
            _refuse(text, "only one variable may have a *", where)
        several = name if star else several
        names.append(name)
        parts += [_literal(literal, text, where), rf"(?P<{name}>{_several() if star else _SPELLING})"]
        end = expression.end()
    if len(names) > _MOST_VARIABLES:
        _refuse(text, f"more than {_MOST_VARIABLES} variables", where)
    parts.append(_literal(text[end:], text, where))
    return Template(text, tuple(names), several, re.compile("".join(parts), re.ASCII))


def _variable(expression: str, text: str, where: str) -> tuple[str, str]:
    variable = _VARIABLE.fullmatch(expression)
    if variable is None:
        _refuse(text, "variables are written {name}, and {name*} for several segments; nothing else of RFC 6570", where)
    return variable[1], variable[2]


def _several() -> str:
    return rf"{_SPELLING}(?:/{_SPELLING})*"


def _literal(literal: str, text: str, where: str) -> str:
    if "{" in literal or "}" in literal:
        _refuse(text, "a brace has no partner", where)
    return re.escape(literal)


def _decoded(spelt: str, *, several: bool) -> str | None:
    try:
        value = unquote_to_bytes(spelt).decode("utf-8")  # strict: overlong forms of "/" and "." are not UTF-8
    except UnicodeDecodeError:
        return None
    if len(value) > LONGEST_VALUE or _ENCODED.search(value):
        return None
    segments = value.split("/") if several else [value]
    if len(segments) > _MOST_SEGMENTS or not all(map(_is_plain, segments)):
        return None
    return value


def _is_plain(segment: str) -> bool:
    """Dots and blanks alone are a way up, or what Windows takes for one."""
    for form in (segment, unicodedata.normalize("NFKC", segment)):
        if not form.strip(". ") or "/" in form or "\\" in form or _CONTROL.search(form):
            return False
    return True


def _refuse(text: str, what: str, where: str) -> NoReturn:
    raise AuthoringError(f"resource {text!r}: {what}", where)
