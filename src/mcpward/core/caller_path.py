"""Names of what mcpward knows of a caller: ``subject``, ``claims.tenant``, ``tags.tenant``.

The values come from a key's record or from a verified token. The model has no say in any of them.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from mcpward.core.values import AuthMethod, Principal

FIELDS: Final = ("subject", "issuer", "client")
GROUPS: Final = ("claims", "tags")
SYNTAX: Final = "subject, issuer, client, claims.NAME or tags.NAME"
#: Callers without a credential of their own: one subject stands for all of them.
_NAMELESS: Final = frozenset({AuthMethod.ANONYMOUS, AuthMethod.UNLISTED})
_LONGEST: Final = 200


class CallerPath(Struct, frozen=True):
    """One of a caller's values. ``group`` is ``claims``, ``tags`` or "" for a field; ``name`` is the rest."""

    group: str
    name: str

    def __str__(self) -> str:
        return f"{self.group}.{self.name}" if self.group else self.name

    @property
    def is_text(self) -> bool:
        """Whether the value is always a text; a claim may be any JSON value."""
        return self.group != "claims"

    def find(self, principal: Principal) -> Any:
        """Return the value, None if the caller has none: an empty one is none, and neither is that of the nameless."""
        if self.group == "tags":
            found: Any = principal.tags.get(self.name)
        elif self.group == "claims":
            found = _member(principal.claims, self.name)
        elif principal.way in _NAMELESS:
            return None
        elif self.name == "client":  # elsewhere it is a name that an operator chose, and names are not unique
            found = principal.client if principal.way is AuthMethod.OAUTH else None
        else:
            found = getattr(principal, self.name)
        return None if found == "" else found


def read_caller_path(text: str) -> CallerPath:
    """Return the path that a text names.

    Raises:
        ValueError: it names none; the message says what to write.
    """
    group, dot, name = text.partition(".")
    if not dot and text in FIELDS:
        return CallerPath("", text)
    if group in GROUPS and name and len(name) <= _LONGEST and name.isprintable():
        return CallerPath(group, name)
    raise ValueError(f"{text!r} is not a value that mcpward has of a caller: write {SYNTAX}")


def _member(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim. Its name may have dots, as in ``oauth.claims``, and so may the path into its objects."""
    if name in claims:
        return claims[name]
    at = name.rfind(".")
    while at > 0:
        inner = claims.get(name[:at])
        if isinstance(inner, Mapping):
            return _member(inner, name[at + 1 :])
        at = name.rfind(".", 0, at)
    return None
