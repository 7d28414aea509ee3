"""Single claims of a token, each in the one form that it may have."""

from collections.abc import Mapping
from typing import Any, Final

from mcpward.identity.jwt.errors import TokenRefused

_LONGEST_NAME: Final = 255  # OpenID Connect Core §2 on "sub"
_LONGEST_CLIENT: Final = (
    4096  # a client id metadata document's URL is the id (draft-ietf-oauth-client-id-metadata-document)
)
# RFC 6749 §3.3: printable ASCII without space, quote and backslash.
_SCOPE_CHARACTERS: Final = frozenset(map(chr, range(0x21, 0x7F))) - set('"\\')


def find(raw: Mapping[str, Any], name: str) -> Any:
    """Return the claim ``name``, or None. A name with dots that is no claim is a path: ``realm_access.roles``.

    The whole name comes first, for some providers name claims by URL.
    """
    if name in raw:
        return raw[name]
    value: Any = raw
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def subject(raw: Mapping[str, Any], name: str) -> str:
    """Return the token's subject. Raises :class:`TokenRefused` unless it is a short text that can be printed."""
    value = find(raw, name)
    if not _is_name(value):
        raise TokenRefused("the token has no subject, or one that is no short text")
    return str(value)


def client(raw: Mapping[str, Any]) -> str:
    """Return the client that the token was issued to: RFC 9068's name, or those that providers had before it."""
    for name in ("client_id", "azp", "cid", "appid"):
        if name in raw:
            if not _is_name(raw[name], _LONGEST_CLIENT):
                raise TokenRefused("the client is no short text")
            return str(raw[name])
    return ""


def audience(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the audiences of the token (RFC 7519 §4.1.3): one text or a list of them. Raises :class:`TokenRefused`."""
    value = raw.get("aud")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise TokenRefused("the token has no audience, or one that is no text")
    return tuple(values)


def scopes(raw: Mapping[str, Any], name: str) -> frozenset[str]:
    """Return the scopes: words in one text (RFC 8693 §4.2), or a list of words. Raises :class:`TokenRefused`.

    A word that cannot be a scope yields none; in a list it is never taken apart.
    """
    value = find(raw, name)
    if value is None:
        return frozenset()
    words = value.split(" ") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(each, str) for each in words):
        raise TokenRefused("the scopes are not words")
    return frozenset(word for word in words if word and _SCOPE_CHARACTERS.issuperset(word))


def groups(raw: Mapping[str, Any], name: str) -> frozenset[str]:
    """Return the names in a list, or the one name; they may have spaces. A value that is no name grants no right."""
    value = find(raw, name)
    names = value if isinstance(value, list) else [value]
    return frozenset(each for each in names if _is_name(each))


def _is_name(value: object, longest: int = _LONGEST_NAME) -> bool:
    """No control characters: names become parts of keys, lines of logs and fields of records."""
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()
