"""All public keys of one issuer, as one document said (RFC 7517 §5). Never changes; a newer document makes another.

Strict, for whoever can write this document can sign tokens: one bad key and nothing of it is used (attack 26). Where
the document comes from, and how long it is good, is not known here.
"""

from collections.abc import Iterable
from typing import Any, Final, Self

from mcpward.core.jsonio import Bounds, JsonRefused, decode
from mcpward.identity import public_key
from mcpward.identity.issuer_rules import IssuerRules
from mcpward.identity.public_key import PublicKey
from mcpward.identity.token_refused import KeysRefused, Poison

MAX_KEYS: Final = 100
_BOUNDS: Final = Bounds(depth=8, members=10_000)


class KeySet:
    """Each key by its name; ``in`` asks for a thumbprint, to know whether what it verified is still good."""

    __slots__ = ("_by_kid", "_keys", "_thumbprints")

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys = tuple(keys)
        self._by_kid = {key.kid: key for key in self._keys if key.kid is not None}
        self._thumbprints = frozenset(key.thumbprint for key in self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, thumbprint: object) -> bool:
        return thumbprint in self._thumbprints

    def __repr__(self) -> str:
        return f"KeySet(kids={sorted(self.kids)})"

    @property
    def kids(self) -> frozenset[str]:
        """The names of the keys, as far as they have names."""
        return frozenset(self._by_kid)

    @classmethod
    def parse(cls, document: bytes | Any, rules: IssuerRules) -> Self:
        """Read a document: its text, or what strict JSON made of it. Raises :class:`KeysRefused`."""
        if isinstance(document, bytes):
            try:
                document = decode(document, _BOUNDS)
            except JsonRefused:
                raise KeysRefused(Poison.NOT_JSON) from None
        members = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(members, list):
            raise KeysRefused(Poison.NOT_A_KEY_SET)
        if len(members) > MAX_KEYS:
            raise KeysRefused(Poison.TOO_MANY_KEYS)
        keys = [public_key.read(member, rules.algorithms) for member in members]
        named = [member["kid"] for member in members if "kid" in member]
        if len(set(named)) != len(named):
            raise KeysRefused(Poison.DUPLICATE_KID)
        usable = [key for key in keys if key is not None]
        if not usable:
            raise KeysRefused(Poison.NO_USABLE_KEY)
        return cls(usable)

    def find(self, kid: str) -> PublicKey | None:
        """Give the key of that name. Whether it takes a token's algorithm is for the signature's check to ask."""
        return self._by_kid.get(kid)

    def only(self, algorithm: str) -> PublicKey | None:
        """Give the key for tokens that name none: the one that ``algorithm`` could mean, if there is just one."""
        fit = [key for key in self._keys if algorithm in key.algorithms]
        return fit[0] if len(fit) == 1 else None
