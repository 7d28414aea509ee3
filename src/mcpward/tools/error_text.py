"""The text of an exception of code that is not ours, as it may be shown: without secrets, one line, not a long one."""

from collections.abc import Callable
from typing import Final

Redact = Callable[[str], str]
_LONGEST: Final = 300
#: The longest text that is searched for secrets. Of longer texts, only the beginning is shown.
_LOOKED_AT: Final = 16_384


def error_text(error: BaseException, redact: Redact) -> str:
    """Return the first line of an error's text. Secrets go before it is cut: half of one is not recognized."""
    return first_line(redact(str(error)[:_LOOKED_AT]))


def first_line(text: str) -> str:
    """Return what is shown of a text that holds no secret any more."""
    return text.strip().partition("\n")[0][:_LONGEST]
