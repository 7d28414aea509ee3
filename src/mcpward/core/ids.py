"""Random identifiers. No other room draws random numbers, apart from ``crypto``."""

import secrets
import string
from typing import Final

BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


def request_id() -> str:
    """Give 16 hex digits that name one request in the log and the traffic record."""
    return secrets.token_hex(8)


def error_id() -> str:
    """Give 12 hex digits under which a failure's private detail can be found in the log."""
    return secrets.token_hex(6)


def base62(length: int) -> str:
    """Give ``length`` characters of [0-9A-Za-z], 5.95 bits each, from the system's secure source."""
    return "".join(secrets.choice(BASE62) for _ in range(length))
