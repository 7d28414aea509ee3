"""A row of the vault: one version of a secret, sealed, or one key that wraps their data keys."""

from typing import Final, Literal

from msgspec import Struct

Kind = Literal["key", "secret"]
KEY: Final[Kind] = "key"
SECRET: Final[Kind] = "secret"  # noqa: S105 - a kind of row


class VaultEntry(Struct, frozen=True):
    """``ends_at`` (wall clock) is None for what is in force: the present version of a secret, and the key that wraps.

    For a secret: ``key_id`` names the key that wraps its data key, ``wrapped`` is that data key, ``blob`` the value
    under it. ``hosts`` is where the value may go, ``header`` one more header that may carry it. For a key, ``blob`` is
    the key, sealed under the master key.
    """

    id: str
    kind: Kind
    blob: bytes
    set_at: float
    server: str = ""
    name: str = ""
    version: int = 0
    key_id: str = ""
    wrapped: bytes = b""
    hosts: tuple[str, ...] = ()
    header: str = ""
    is_http_only: bool = False
    ends_at: float | None = None
    last_used_at: float | None = None
    revision: int = 0

    def is_of(self, server: str, name: str) -> bool:
        """Return whether it is a version of this secret."""
        return self.kind == SECRET and self.server == server and self.name == name

    @property
    def is_current(self) -> bool:
        """Whether nothing has taken its place."""
        return self.ends_at is None


def place_of(site: str, server: str, name: str, version: int) -> bytes:
    """Return associated data that no other version, name, server or site has (attack 87).

    Each part is preceded by its length: ("a", "bc") and ("ab", "c") differ.
    """
    parts = [part.encode() for part in (site, server, name)]
    return b"vault/v2/" + b"".join(len(part).to_bytes(4) + part for part in parts) + version.to_bytes(8)
