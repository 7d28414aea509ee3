"""The valid names of budgets and pools: fit for a response field, a metric's label and a key of Redis."""

import re
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}", re.ASCII)
SYNTAX: Final = "1 to 41 of a-z, 0-9, _ and -, and begins with a letter or a digit"


def is_limit_name(name: object) -> bool:
    """Return whether a budget or a pool may have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None
