"""URLs of databases and counters, fit to be shown."""

import re
from typing import Final

# A URL may carry a password before the @ or in its query.
_PLACE: Final = re.compile(r"(?P<scheme>[a-z0-9+]+://)(?:.*@)?(?P<rest>[^?@]*)", re.ASCII | re.DOTALL)
# Words that name where something is kept, and are no secrets themselves.
_PLAIN: Final = re.compile(r"memory|env:[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)


def masked(url: str) -> str:
    """Return a URL without what may be a credential."""
    if _PLAIN.fullmatch(url):
        return url
    match = _PLACE.match(url)
    if match is None:
        return "***"
    hidden = "***@" if "@" in url else ""
    return f"{match['scheme']}{hidden}{match['rest']}" + ("?***" if "?" in url else "")
