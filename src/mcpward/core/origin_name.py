"""Where untrusted text comes from, in words that stand within a sentence for a model: one line, short, no brackets."""

from typing import Final

ANYWHERE: Final = "an outside source"
"""The origin that is named if nobody has named one."""
_LONGEST: Final = 100
RULE: Final = f"one line of at most {_LONGEST} characters without brackets and quotes"


def is_origin(text: str) -> bool:
    """Return whether a text can name an origin."""
    is_short = bool(text.strip()) and len(text) <= _LONGEST and text.isprintable()
    return is_short and not any(sign in text for sign in '[]<>"')
