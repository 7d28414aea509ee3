"""The options of ``mcpward key``, read: rights, limits, and an operator's notes on a key."""

import re
from ipaddress import ip_network
from typing import Final

from mcpward.cli.timespan import parse_end
from mcpward.cli.ui import CommandEnded, Exit
from mcpward.config.rate import parse_rate
from mcpward.core.key_tags import repeated_name
from mcpward.core.scope import Access
from mcpward.core.values import Rate

_LONGEST_NAME: Final = 100
_LONGEST_NOTE: Final = 500
_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=/@+-]{0,126}", re.ASCII)
_MOST_TAGS: Final = 20


def read_name(text: str, option: str = "--name") -> str:
    """Read a name of one line.

    Raises:
        CommandEnded: it is none.
    """
    return _line(text, option, _LONGEST_NAME)


def read_owner(text: str | None) -> str | None:
    """Read the owner of a key; empty is none."""
    return _line(text, "--owner", _LONGEST_NAME) if text else None


def read_note(text: str | None) -> str | None:
    """Read a note of one line; empty is none."""
    return _line(text, "--note", _LONGEST_NOTE) if text else None


def read_tags(texts: list[str] | None) -> tuple[str, ...]:
    """Read tags; a single empty one is none.

    Raises:
        CommandEnded: one is not a tag, there are too many, or two have one name.
    """
    tags = tuple(dict.fromkeys(some(texts)))
    wrong = [tag for tag in tags if not _TAG.fullmatch(tag)]
    if wrong:
        raise CommandEnded(
            Exit.USAGE, f"--tag: {wrong[0]!r} is not a tag", "a tag is 1 to 127 of A-Z a-z 0-9 . _ : = / @ + -"
        )
    if len(tags) > _MOST_TAGS:
        raise CommandEnded(Exit.USAGE, f"--tag: {len(tags)} are too many", f"a key has at most {_MOST_TAGS} tags")
    named = repeated_name(tags)
    if named is not None:
        what = f"--tag: the name {named!r} has more than one value"
        raise CommandEnded(Exit.USAGE, what, f"a key has one value for each name: --tag {named}=VALUE")
    return tags


def read_access(word: str) -> Access:
    """Read a class of tools. Raises :class:`CommandEnded` for another word."""
    try:
        return Access.parse(word)
    except ValueError:
        raise CommandEnded(Exit.USAGE, "--class is read, write or destructive") from None


def read_rate(text: str | None) -> Rate | None:
    """Read a rate; empty is none. Raises :class:`CommandEnded` for anything else."""
    try:
        return parse_rate(text) if text else None
    except ValueError as problem:
        raise CommandEnded(Exit.USAGE, f"--rate: {problem}") from None


def read_networks(texts: list[str] | None) -> tuple[str, ...]:
    """Read networks; a single empty one is any. Raises :class:`CommandEnded` for what is none."""
    try:
        return tuple(str(ip_network(text)) for text in some(texts))
    except ValueError:
        raise CommandEnded(Exit.USAGE, "--cidr is not a network", "write 10.0.0.0/8 or 2001:db8::/32") from None


def read_tools(texts: list[str] | None) -> tuple[str, ...] | None:
    """Read names of tools; None, for all of them, if there is none or one of them is ``*``."""
    names = some(texts)
    return None if not names or "*" in names else tuple(dict.fromkeys(names))


def read_expiry(text: str, now: float) -> float | None:
    """Read when a key ends; ``never`` is no end of its own. Raises :class:`CommandEnded` for no future moment."""
    return None if text.strip().lower() == "never" else parse_end(text, now, "--expires")


def some(texts: list[str] | None) -> list[str]:
    """Return the values of a repeated option; a single empty word means that there are none."""
    return [] if texts == [""] else list(texts or ())


def _line(text: str, option: str, longest: int) -> str:
    if not text.strip() or len(text) > longest or not text.isprintable():
        raise CommandEnded(Exit.USAGE, f"{option} is 1 to {longest} printable characters")
    return text.strip()
