"""What a server may be called, and which spelling was probably meant."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

SERVER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
# First path segments that the house answers itself: a server of that name could never be reached, or hide them.
RESERVED: Final = frozenset({"mcp", "healthz", "readyz", "metrics", "register", "authorize", "token", "dashboard"})


def check_server_name(name: str) -> str:
    """Give the name back.

    Raises:
        ValueError: it is not fit to stand in a path, or is taken by the house.
    """
    if not SERVER_NAME.fullmatch(name):
        raise ValueError("a server's name is 1 to 63 of a-z, 0-9 and -, and does not begin with -")
    if name in RESERVED:
        raise ValueError("this name is taken by the house itself: choose another")
    return name


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that looks most like ``word``; None when none does."""
    found = get_close_matches(word.lower().replace("-", "_"), list(known), n=1, cutoff=0.6)
    return found[0] if found else None
