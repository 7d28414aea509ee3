"""The lint of a server's listings: each finding names the entry, the field, what was found, and the fix."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from mcpward.sanitize.descriptions.instructions import orders
from mcpward.sanitize.descriptions.internals import internals
from mcpward.sanitize.descriptions.texts import texts_of
from mcpward.sanitize.screens.invisible import strip

_COMMENT: Final = re.compile(r"<!--(?!\s{0,20}-->)")
_FAR: Final = re.compile(r"(?<![ \t])[ \t]{80,}+\S|(?<!\n)\n{12,}+\s{0,99}+\S")
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{3,128}")
_FIXES: Final = {
    "an order": "say what it does and what it returns; orders to the model belong to its user",
    "a tag": "remove the tag: a description is plain text",
    "a credential": "remove it and rotate it: every client has read it",
    "an address": "name what is there, not where it is",
    "a path": "name what is there, not where it is",
    "the version": "leave the version out",
    "the name": "describe only this server: clients choose tools of others by their own descriptions",
    "characters": "write the text anew, by hand",
    "text": "remove what people do not see",
}


class Suspicion(Struct, frozen=True):
    """``of`` is an entry such as ``tool read_mail``, ``field`` the path in it; ``what`` quotes no secret."""

    of: str
    field: str
    what: str
    fix: str


def suspicions(
    *,
    tools: Iterable[Mapping[str, Any]] = (),
    prompts: Iterable[Mapping[str, Any]] = (),
    resources: Iterable[Mapping[str, Any]] = (),
    templates: Iterable[Mapping[str, Any]] = (),
    instructions: str = "",
    foreign_tools: Collection[str] = (),
) -> list[Suspicion]:
    """Return what is suspicious in a server's listings, as the protocol has them.

    ``foreign_tools`` are the names of tools of other servers: a description that names one may be meant to turn it.
    """
    foreign = frozenset(name for name in foreign_tools if _is_distinct(name))
    found: list[Suspicion] = []
    for kind, entries in (("tool", tools), ("prompt", prompts), ("resource", resources), ("template", templates)):
        for entry in entries:
            name = entry.get("name") or entry.get("uri") or entry.get("uriTemplate") or ""
            of = f"{kind} {strip(str(name))[:64]}"
            for field, text in texts_of(entry):
                found += _of_text(of, field, text, foreign - {str(name)})
    if instructions:
        found += _of_text("server", "instructions", instructions[:65_536], foreign)
    return found


def _of_text(of: str, field: str, text: str, foreign: frozenset[str]) -> list[Suspicion]:
    found = [*orders(text), *internals(text)]
    if strip(text) != text:
        found.append(("characters that people do not see", ""))
    if _COMMENT.search(text) or _FAR.search(text):
        found.append(("text that people do not see", "a comment, or far away from the rest"))
    if foreign:
        named = (word.strip(".-") for word in _WORD.findall(text))
        found += [("the name of another server's tool", word) for word in sorted(foreign.intersection(named))[:1]]
    return [Suspicion(of, field, f"{kind} ({words})" if words else kind, _fix(kind)) for kind, words in found]


def _fix(kind: str) -> str:
    return next(fix for begin, fix in _FIXES.items() if kind.startswith(begin))


def _is_distinct(name: str) -> bool:
    """Return whether a name is no word of ordinary text."""
    return len(name) >= 6 and (any(sign in name for sign in "_-.") or not name.islower())
