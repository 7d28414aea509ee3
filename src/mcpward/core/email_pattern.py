"""The e-mail addresses that are taken: both RFC 5321 and email-validator take each of them."""

from typing import Final

EMAIL: Final = (
    r"^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?:\.[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)*"
    r"\.[A-Za-z]{2,}$"
)
"""No quotes, no address literal, a domain of two labels. A pattern of ECMAScript, for an engine of linear time."""
