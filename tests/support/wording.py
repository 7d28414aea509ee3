"""Faults of a message: it says a thing twice, or says it in the words of a library."""

import re
from itertools import pairwise

_FOREIGN = re.compile(
    r"Input should|valid (integer|number|string|boolean|list|tuple|dictionary)|(greater|less) than or equal|"
    r"unable to parse|is not as it must be|: the value is not valid$"
)


def doubled(text):
    """Whether a message begins twice with the same: ``flag for x: x: …``."""
    parts = text.split(": ")
    return len(set(parts)) < len(parts) or any(one.endswith(f" {other}") for one, other in pairwise(parts))


def is_foreign(text):
    """Whether a message has a sentence of pydantic's."""
    return _FOREIGN.search(text) is not None
