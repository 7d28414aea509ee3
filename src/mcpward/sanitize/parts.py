"""Which texts of one secret count as the secret: the value, its lines, its password, the strings of a document.

A tool rarely returns a credential as it was stored. It returns one line of a private key, the password of a database
URL, one member of a service account. Does not know how a part may be written: see ``forms.py``.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from mcpward.sanitize.public_words import is_common, is_public
from mcpward.sanitize.screens.invisible import bare, strip
from mcpward.sanitize.views import folded

SHORTEST: Final = 6
"""Shorter values would be found everywhere; they are reported, not redacted."""
LINE: Final = 12
"""Lines of a secret, and strings of a document, count from this length on."""
MOST: Final = 512
"""Texts of one value that count, the longest first: each costs time at the start."""

_DEPTH: Final = 3
#: Strings of one document that are looked at.
_MEMBERS: Final = 4_096
#: Dots of one line: the parser of TOML takes quadratic time for a key with many.
_DOTS: Final = 32
_SHORT_WORD: Final = re.compile(r"[a-z]{1,7}")
_URL: Final = re.compile(r"""[A-Za-z][\w+.-]*://[^\r\n"']+""")
_ESCAPED_END: Final = "\\n"
_BOM: Final = "\ufeff"
_PEM: Final = re.compile(r"-----BEGIN [^-]+-----((?:[^-]|-(?!----))*+)-----END [^-]+-----")
_HEADERS: Final = re.compile(r"(?m)^[\w-]+: .*$")
_ASSIGNED: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=(.*)")
_CREDENTIAL: Final = re.compile(r"(?i)passw|pwd|secret|token|key|credential|auth|signature")


def parts(value: str) -> list[str]:
    """Return the texts that must not leave, ``value`` first; none if it is too short or a word that people use."""
    if not is_usable(value):
        return []
    found = dict.fromkeys([value, value.removeprefix(_BOM), value.strip(), value.removeprefix(_BOM).strip()])
    found |= dict.fromkeys(_of_text(value.removeprefix(_BOM).strip(), _DEPTH))
    usable = [part for part in found if is_usable(part) and (part == value or not is_short_word(part))]
    if len(usable) > MOST:
        usable = [value, *sorted(usable[1:], key=len, reverse=True)[: MOST - 1]]
    return usable


def is_usable(part: str) -> bool:
    """Return whether a text is long and rare enough to be looked for in everything that leaves."""
    return seen_length(part) >= SHORTEST and not is_common(part)


def is_short_word(part: str) -> bool:
    """Return whether a part of a value is a word that stands in harmless results: a database has the same name."""
    return _SHORT_WORD.fullmatch(part) is not None


def seen_length(part: str) -> int:
    """Return how many characters of ``part`` are seen: what is not, a text loses before it leaves."""
    if part.isascii() and part.isprintable():
        return len(part.strip())
    plain = bare(strip(part)).strip()
    return min(len(plain), len(folded(plain).decode("utf-8", "surrogatepass").strip()))


def _of_text(text: str, depth: int) -> Iterator[str]:
    if _ESCAPED_END in text:  # as it is written in an environment file: a library that reads it makes lines of it
        yield from _of_text(text.replace("\\r\\n", "\n").replace(_ESCAPED_END, "\n"), depth)
    if _URL.fullmatch(text):
        yield from _of_url(text)
    if (members := _members(text)) is not None:
        yield from _of_members(members, depth)
    elif "\n" in text or "\r" in text:
        yield from _of_lines(text, depth)
    elif ";" in text and "=" in text:
        yield from _of_connection(text)


def password_of(text: str) -> str:
    """Return the password in a URL as it is written there; empty if there is none."""
    if not _URL.fullmatch(text):
        return ""
    try:
        password = urlsplit(text).password or ""
    except ValueError:
        password = ""
    if not password and "@" in text:  # drivers take passwords with "/" and "#", which RFC 3986 would have escaped
        password = text.partition("://")[2].rpartition("@")[0].partition(":")[2]
    return password


def _of_url(text: str) -> Iterator[str]:
    if password := password_of(text):
        yield password
        yield unquote(password)
    rest = text.partition("://")[2]
    if password or not is_public(text):
        yield rest


def _of_lines(text: str, depth: int) -> Iterator[str]:
    lines = [line.strip() for line in text.splitlines()]
    yield "\n".join(lines)
    yield "\r\n".join(lines)
    yield "".join(lines)
    bodies = ("".join(_HEADERS.sub("", body).split()) for body in _PEM.findall(text))
    yield from (body for body in bodies if len(body) >= LINE)
    for line in lines:
        if len(line) >= LINE and not is_public(line):
            yield line
            if depth:
                yield from _of_text(line, depth - 1)


def _of_connection(text: str) -> Iterator[str]:
    """The credentials of ``Server=db;Password=…``."""
    for piece in text.split(";"):
        name, _, value = piece.partition("=")
        if len(value.strip()) >= SHORTEST and _CREDENTIAL.search(name):
            yield value.strip()


def _of_members(members: list[tuple[str, str]], depth: int) -> Iterator[str]:
    for name, text in members:
        if is_public(text, name):
            continue
        if len(text) >= LINE:
            yield text
            yield text.strip()
        if depth and len(text) >= SHORTEST:
            yield from _of_text(text.strip(), depth - 1)


def _members(text: str) -> list[tuple[str, str]] | None:
    """Return the strings of a JSON, TOML or ``.env`` text with their names; None if it is no such text."""
    try:
        if text[:1] in ("{", "["):
            return list(_strings("", json.loads(text)))
    except (ValueError, RecursionError):
        return None
    if "=" not in text or "-----" in text[:5]:
        return None
    if any(line.count(".") > _DOTS for line in text.splitlines()):
        return _assignments(text)
    try:
        return list(_strings("", tomllib.loads(text)))
    except (ValueError, RecursionError):
        return _assignments(text)


def _assignments(text: str) -> list[tuple[str, str]] | None:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = [_ASSIGNED.fullmatch(line) for line in lines]
    if not all(found):
        return None
    return [(one[1], one[2].strip().strip("\"'")) for one in found if one is not None]


def _strings(name: str, value: Any) -> Iterator[tuple[str, str]]:
    waiting: list[tuple[str, Any]] = [(name, value)]
    for named, one in waiting:  # which grows meanwhile
        if isinstance(one, str):
            yield named, one
        elif isinstance(one, dict):
            waiting += one.items()
        elif isinstance(one, list):
            waiting += ((named, item) for item in one)
        if len(waiting) > _MEMBERS:
            return
