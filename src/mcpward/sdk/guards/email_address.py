"""``Email``: one plain address, of the domains that are allowed."""

from collections.abc import Sequence
from typing import Any, Final

from mcpward.core.email_pattern import EMAIL
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.linear_pattern import matcher
from mcpward.sdk.guards.parameter_guard import ParameterGuard
from mcpward.sdk.options import options

_matches: Final = matcher(EMAIL)
#: RFC 5321, 4.5.3.1.3: the path of 256 octets with its angle brackets.
_LONGEST: Final = 254
_SUCH: Final = "an email address such as name@example.com"


class Email(ParameterGuard):
    """An e-mail address: no display name, no quotes, no list. ``domains`` are exact, or ``*.example.com``.

    Raises:
        AuthoringError: ``domains`` is no list of domains.
    """

    kinds: frozenset[str] = frozenset({"string"})
    is_published: bool = True

    @options("Email")
    def __init__(self, *, domains: Sequence[str] = ()) -> None:
        said: Any = domains
        if isinstance(domains, str) or not all(isinstance(one, str) and "." in one for one in said):
            raise AuthoringError("Email: domains is a list of domains", hint='write Email(domains=["example.com"])')
        self.domains = tuple(one.lower() for one in domains)

    def check(self, value: Any) -> str | None:
        """Refuse what is no address, and one of another domain."""
        if not isinstance(value, str) or len(value) > _LONGEST or not _matches(value):
            return _SUCH
        if self.domains and not self._has(value.rpartition("@")[2].lower()):
            return f"an email address at {self._listed()}"
        return None

    def describe(self) -> str:
        """Return the domains."""
        return f"An address at {self._listed()}." if self.domains else ""

    def keywords(self) -> dict[str, Any]:
        """Return the format, the pattern and the length."""
        return {"format": "email", "pattern": EMAIL, "maxLength": _LONGEST}

    def __repr__(self) -> str:
        return f"Email(domains={[*self.domains]})" if self.domains else "Email()"

    def _has(self, domain: str) -> bool:
        return any(domain.endswith(one[1:]) if one.startswith("*.") else domain == one for one in self.domains)

    def _listed(self) -> str:
        return " or ".join(self.domains)
