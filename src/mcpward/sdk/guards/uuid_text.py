"""``Uuid``: a UUID in its usual spelling."""

import re
from typing import Any, Final
from uuid import UUID

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.parameter_guard import ParameterGuard
from mcpward.sdk.options import options

#: Fixed lengths only, so that even an engine that goes back takes one pass.
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-([0-9A-Fa-f])[0-9A-Fa-f]{3}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
_VERSION_AT: Final = 14
_SUCH: Final = "such as 123e4567-e89b-42d3-a456-426614174000"


class Uuid(ParameterGuard):
    """A UUID as 8-4-4-4-12 hexadecimal digits, on ``str`` or ``uuid.UUID``; of one ``version`` if that is set.

    Raises:
        AuthoringError: ``version`` is none of RFC 9562.
    """

    kinds: frozenset[str] = frozenset({"string"})
    is_published: bool = True

    @options("Uuid")
    def __init__(self, *, version: int | None = None) -> None:
        if version is not None and (type(version) is not int or not 1 <= version <= 8):
            raise AuthoringError("Uuid: version is 1 to 8", hint="write Uuid(version=4)")
        self.version = version

    def check(self, value: Any) -> str | None:
        """Refuse other spellings (braces, ``urn:uuid:``, no hyphens) and other versions."""
        text = str(value) if isinstance(value, UUID) else value
        if not isinstance(text, str) or not _UUID.fullmatch(text):
            return f"a UUID {_SUCH}"
        if self.version is not None and text[_VERSION_AT] != str(self.version):
            return f"a UUID of version {self.version}"
        return None

    def describe(self) -> str:
        """Return the version."""
        return f"A UUID of version {self.version}." if self.version is not None else ""

    def keywords(self) -> dict[str, Any]:
        """Return the format."""
        return {"format": "uuid"}

    def __repr__(self) -> str:
        return f"Uuid(version={self.version})" if self.version is not None else "Uuid()"
