"""URI templates: the URIs that one stands for, and the values of its variables in a caller's URI (RFC 6570, attack 78).

``{name}`` is one segment, ``{name*}`` several. A value is decoded once, and afterwards must not name another path than
its spelling does. So it has no empty or dotted segment, no slash of either kind, nothing that would decode again, and
no control character. Nor has its NFKC form any of these. Whatever does not fit matches nothing.

Fixed text may be written raw or escaped: ``docs://café/{name}`` is ``docs://caf%C3%A9/{name}``, and is published so.
"""

import re
import unicodedata
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from mcpward.core.uri import canonical
from mcpward.sdk.errors import AuthoringError

LONGEST_URI: Final = 2048
LONGEST_VALUE: Final = 1024
_MOST_VARIABLES: Final = 16
_MOST_SEGMENTS: Final = 64
_EXPRESSION: Final = re.compile(r"\{([^{}]*)\}")
#: Expressions, and braces without a partner, between pieces of fixed text.
_PARTS: Final = re.compile(r"(\{[^{}]*\}|[{}])")
_VARIABLE: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(\*?)", re.ASCII)
#: One value as it may be spelt: what RFC 3986 allows in a segment, without what separates segments or query members.
_SPELLING: Final = r"(?:[A-Za-z0-9._~!$'()*+,;:=@-]|%[0-9A-Fa-f]{2})+"
_BREAK: Final = re.compile(r"[/?&#]")
#: What RFC 3986 leaves as it is, and what :func:`spellings` writes anew.
_PLAIN: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~!$'()*+,;:=@/-"
_ANEW: Final = re.compile(rf"%[0-9A-Fa-f]{{2}}|[^{_PLAIN[:-1]}?&#-]")
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Template(Struct, frozen=True):
    """A template that has been read. ``names`` are its variables in order, ``several`` the one with a ``*`` or "".

    ``shape`` is ``pattern`` for URIs as :func:`spellings` gives them.
    """

    text: str
    names: tuple[str, ...]
    several: str
    pattern: re.Pattern[str]
    shape: re.Pattern[str]

    def match(self, uri: str) -> dict[str, str] | None:
        """Return the variables' values for a URI in its canonical spelling, or None if it is not of this template."""
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
        """Return whether a URI that :func:`spellings` gave has this template's shape, whatever its values are."""
        return self.shape.fullmatch(uri) is not None


def spellings(uri: str) -> tuple[str, str]:
    """Return a canonical URI in the one way in which it can be read, and in the one in which it is read too eagerly.

    Escapes that need not be are gone, and those that must be are in capitals (RFC 3986 §6.2.2). Read too eagerly,
    ``%3F``, ``%26`` and ``%23`` are separators as well.

    Raises:
        KeyError: the URI is not in its canonical spelling.
    """
    return _ANEW.sub(_written, uri), _ANEW.sub(_written_eagerly, uri)


def _table(plain: str) -> dict[str, str]:
    """Return how an escape, or a sign that should have been one, is written; ``plain`` signs are not escaped."""
    escapes = {code: f"%{code:02X}" for code in range(256)}
    read = {escape: chr(code) if chr(code) in plain else escape for code, escape in escapes.items()}
    return read | {chr(code): escapes[code] for code in range(128)}


_TABLE: Final = _table(_PLAIN)
_EAGER: Final = _table(_PLAIN + "?&#")


def _written(found: re.Match[str]) -> str:
    return _TABLE[found[0].upper()]


def _written_eagerly(found: re.Match[str]) -> str:
    return _EAGER[found[0].upper()]


def is_template(uri: str) -> bool:
    """Return whether an author's URI has variables."""
    return "{" in uri or "}" in uri


def read_uri(uri: str, where: str = "") -> str:
    """Return an author's URI or template in its canonical spelling; what stands in braces is left as it is.

    Raises:
        AuthoringError: its fixed text has a ``%`` that begins no escape.
    """
    return "".join(part if part[:1] in {"{", "}"} else _fixed(part, uri, where) for part in _PARTS.split(uri))


def _fixed(text: str, uri: str, where: str) -> str:
    spelt = canonical(text)
    if spelt is None:
        _refuse(uri, "it has a % that begins no escape", where, "write %25")
    return spelt


def read_template(text: str, where: str = "") -> Template:
    """Read an author's template. At most one variable stands in each segment, and at most one has a ``*``.

    So a URI matches in one way only, and finding it takes no longer for a URI that was made to be slow.

    Raises:
        AuthoringError: another operator of RFC 6570, a variable twice, two in one segment, …
    """
    text = read_uri(text, where)
    names: list[str] = []
    several = ""
    parts: list[str] = []
    shape: list[str] = []
    end = 0
    for expression in _EXPRESSION.finditer(text):
        literal = text[end : expression.start()]
        name, star = _variable(expression[1], text, where)
        if name in names:
            _refuse(text, f"the variable {name!r} is in it twice", where, "rename one of them")
        if names and not _BREAK.search(literal):
            hint = f"put a / between them: {{{names[-1]}}}/{{{name}}}"
            _refuse(text, f"{names[-1]!r} and {name!r} are in one segment", where, hint)
        if star and several:
            _refuse(text, "only one variable may have a *", where, "keep the * in only one")
        several = name if star else several
        names.append(name)
        value = _several() if star else _SPELLING
        parts += [_literal(literal, text, where), rf"(?P<{name}>{value})"]
        shape += [re.escape(spellings(literal)[0]), value]
        end = expression.end()
    if len(names) > _MOST_VARIABLES:
        _refuse(text, f"more than {_MOST_VARIABLES} variables", where, "make it a tool")
    parts.append(_literal(text[end:], text, where))
    shape.append(re.escape(spellings(text[end:])[0]))
    pattern = re.compile("".join(parts), re.ASCII)
    return Template(text, tuple(names), several, pattern, re.compile("".join(shape), re.ASCII))


def _variable(expression: str, text: str, where: str) -> tuple[str, str]:
    variable = _VARIABLE.fullmatch(expression)
    if variable is None:
        hint = "variables are written {name}, and {name*} for several segments; nothing else of RFC 6570"
        _refuse(text, f"it has {{{expression}}}", where, hint)
    return variable[1], variable[2]


def _several() -> str:
    return rf"{_SPELLING}(?:/{_SPELLING})*"


def _literal(literal: str, text: str, where: str) -> str:
    if "{" in literal or "}" in literal:
        _refuse(text, "a brace has no partner", where, "variables are written {name}")
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
    """Dots and blanks by themselves are a way up, or what Windows takes for one."""
    for form in (segment, unicodedata.normalize("NFKC", segment)):
        if not form.strip(". ") or "/" in form or "\\" in form or _CONTROL.search(form):
            return False
    return True


def _refuse(text: str, what: str, where: str, hint: str) -> NoReturn:
    raise AuthoringError(f"resource {text!r}: {what}", where, hint)
