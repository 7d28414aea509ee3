"""Parts of a tool's arguments that its schema leaves without a bound, and the bounds that hold by default."""

from typing import Final

from msgspec import Struct

CHARACTERS: Final = 10_000
ITEMS: Final = 1_000
MEMBERS: Final = 1_000


class Unbounded(Struct, frozen=True):
    """One part: its ``path`` within the arguments, its JSON type as ``kind`` ("any" for no type).

    ``fix`` is the bound as the author would write it; ``default`` is what holds without it, by ``bounds = "defaults"``.
    """

    path: str
    kind: str
    fix: str
    default: str


DEFAULTS: Final = {
    "string": f"at most {CHARACTERS} characters",
    "array": f"at most {ITEMS} items",
    "object": f"at most {MEMBERS} members",
    "integer": "64 bits",
    "number": "a finite 64-bit float",
    "any": "the limits of a message",
}
"""The default bound of each kind, in words."""
