"""Regular expressions that must be found: the failure shows the text in which they were not."""

import re


def found(pattern: str, text: str, flags: int = 0) -> re.Match[str]:
    """Return the first match.

    Raises:
        AssertionError: there is none.
    """
    match = re.search(pattern, text, flags)
    assert match is not None, f"{pattern!r} is not in {text!r}"
    return match


def whole(pattern: str, text: str) -> re.Match[str]:
    """Return the match of the whole text.

    Raises:
        AssertionError: it does not match.
    """
    match = re.fullmatch(pattern, text)
    assert match is not None, f"{pattern!r} does not match {text!r}"
    return match
