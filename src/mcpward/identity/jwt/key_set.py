"""All public keys of one issuer, from one document (RFC 7517 §5). Never changes; a newer document makes another.

An entry that cannot be used is skipped, whatever is wrong with it: it verifies nothing, and the other keys still work.
Only a document that is no set of keys, is too large, or has no usable key is refused as a whole (attack 26). The origin
of the document, and its lifetime, are not known here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.jsonio import Bounds, JsonRefused, decode
from mcpward.identity.jwt import public_key
from mcpward.identity.jwt.errors import KeysRefused, KeyUnusable, Poison, Unusable
from mcpward.identity.jwt.issuer_rules import IssuerRules
from mcpward.identity.jwt.public_key import PublicKey

MAX_KEYS: Final = 100
_BOUNDS: Final = Bounds(depth=8, members=10_000)
_LONGEST_NAME: Final = 64
_MOST_NAMED: Final = 10


class Skipped(Struct, frozen=True, order=True):
    """An entry that is not used. ``name`` is its kid, shortened and in ASCII, or its number in the document."""

    name: str
    reason: str

    @property
    def is_flaw(self) -> bool:
        """Whether the entry itself is at fault. Keys for encryption are not: many providers publish one."""
        return self.reason not in {Unusable.NOT_FOR_SIGNATURES.value, Unusable.ALGORITHM_NOT_ALLOWED.value}

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def listed(skipped: Sequence[Skipped]) -> str:
    """Return skipped entries as one line for the log, at most ten by name."""
    more = len(skipped) - _MOST_NAMED
    return ", ".join(map(str, skipped[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


class KeySet:
    """Keys by name and algorithm; ``in`` asks for a thumbprint, to know whether what it verified is still good.

    Invariant: a name and an algorithm mean one key at most. ``skipped`` are the entries that are not used.
    """

    __slots__ = ("_by_kid", "_keys", "_thumbprints", "skipped")

    def __init__(self, keys: Iterable[PublicKey], skipped: Iterable[Skipped] = ()) -> None:
        self._keys = tuple(keys)
        self._by_kid: dict[str, list[PublicKey]] = {}
        for key in self._keys:
            if key.kid is not None:
                self._by_kid.setdefault(key.kid, []).append(key)
        self._thumbprints = frozenset(key.thumbprint for key in self._keys)
        self.skipped = tuple(skipped)

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

    @property
    def entries(self) -> frozenset[tuple[str | None, str, frozenset[str]]]:
        """Names, thumbprints and algorithms. Two sets with equal entries verify the same tokens."""
        return frozenset((key.kid, key.thumbprint, key.algorithms) for key in self._keys)

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
        usable: list[PublicKey] = []
        skipped: list[Skipped] = []
        for number, member in enumerate(members):
            try:
                usable.append(public_key.read(member, rules.algorithms))
            except KeyUnusable as no:
                skipped.append(Skipped(_name_of(member, number), no.reason.value))
        keys = _unambiguous(usable, skipped)
        if not keys:
            raise KeysRefused(Poison.NO_USABLE_KEY, listed(skipped))
        return cls(keys, skipped)

    def find(self, kid: str, algorithm: str | None = None) -> PublicKey | None:
        """Return the key of that name, for ``algorithm`` if one is given; the signature's check asks again."""
        for key in self._by_kid.get(kid, ()):
            if algorithm is None or algorithm in key.algorithms:
                return key
        return None

    def only(self, algorithm: str) -> PublicKey | None:
        """Return the key for tokens that name none: the one that ``algorithm`` could mean, if there is just one."""
        fit = {key.thumbprint: key for key in self._keys if algorithm in key.algorithms}
        return next(iter(fit.values())) if len(fit) == 1 else None


def _name_of(member: object, number: int) -> str:
    kid = member.get("kid") if isinstance(member, dict) else None
    return ascii(kid[:_LONGEST_NAME]) if isinstance(kid, str) and kid else f"entry {number + 1}"


def _unambiguous(keys: Sequence[PublicKey], skipped: list[Skipped]) -> list[PublicKey]:
    """Leave out keys that a token's kid and algorithm do not distinguish. RFC 7517 §4.5 lets keys of two types share a
    kid.

    One key that is published twice is one key. Of two keys with one name and one algorithm, the one whose entry states
    its use more fully counts. If both state as much, neither counts for that algorithm. The others still work.
    """
    told: dict[tuple[str, str], dict[str, int]] = {}
    for key in keys:
        for name in key.algorithms if key.kid is not None else ():
            candidates = told.setdefault((key.kid or "", name), {})
            candidates[key.thumbprint] = max(key.told, candidates.get(key.thumbprint, 0))
    kept: dict[tuple[str | None, str, frozenset[str]], PublicKey] = {}
    for key in keys:
        own = {name: told.get((key.kid or "", name), {key.thumbprint: 0}) for name in key.algorithms}
        if any(len(candidates) > 1 for candidates in own.values()):
            line = Skipped(_name_of({"kid": key.kid}, 0), Unusable.AMBIGUOUS_KID.value)
            if line not in skipped:
                skipped.append(line)
        meant = frozenset(name for name, candidates in own.items() if _meant(candidates) == key.thumbprint)
        if meant:
            only = replace(key, algorithms=meant)
            kept.setdefault((key.kid, key.thumbprint, meant), only)
    return list(kept.values())


def _meant(candidates: Mapping[str, int]) -> str | None:
    most = max(candidates.values())
    best = [thumbprint for thumbprint, told in candidates.items() if told == most]
    return best[0] if len(best) == 1 else None
