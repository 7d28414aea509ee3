"""Values that are no good secrets: one rule for the command that stores them, and for the start of a site."""

from typing import Final

from mcpward.sanitize.own_words import is_own
from mcpward.sanitize.parts import SHORTEST, is_short_word, password_of, seen_length
from mcpward.sanitize.public_words import is_common

SHORT: Final = 8
"""Fewer characters than these are guessed in hours."""


def why_weak(value: str) -> str | None:
    """Return why ``value`` is no good secret, as the end of a sentence that begins with its name; None if it is one."""
    problem = why_unredacted(value)
    if problem is None and seen_length(value) < SHORT:
        return f"has fewer than {SHORT} characters: it can be guessed"
    if (
        problem is None
        and (password := password_of(value.strip()))
        and (is_short_word(password) or is_common(password))
    ):
        return "has a password that is too common to be redacted: it is a word that people use"
    return problem


def why_unredacted(value: str) -> str | None:
    """Return why ``value`` cannot be masked in what leaves; None if it can."""
    if len(value.strip()) < SHORTEST:
        return f"is too short to be redacted: it has fewer than {SHORTEST} characters"
    if seen_length(value) < SHORTEST:
        return f"is too short to be redacted: it has fewer than {SHORTEST} visible characters"
    if is_common(value):
        return "is too common to be redacted: it is a word that people use"
    if is_own(value):
        return "is too common to be redacted: it is part of the protocol's own words"
    return None
