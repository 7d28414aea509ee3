"""The existing name that an unknown one probably means."""

from difflib import get_close_matches
from typing import Any, Final

_FEW: Final = 20


def meant(word: str, known: Any, otherwise: str = "") -> str:
    """Return a hint with the known name that looks most like a word; else the names, if they are few."""
    names = [str(name) for name in known]
    found = get_close_matches(word, names, n=1) or get_close_matches(word.lower(), names, n=1)
    if found:
        return f"did you mean {found[0]}?"
    return otherwise or (f"there are: {', '.join(names)}" if 0 < len(names) <= _FEW else "")
