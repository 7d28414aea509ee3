"""Secrets of tools, for an operator: kept sealed under a server and a name. No value ever comes back from here."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Final

from msgspec import Struct

from mcpward.core.secret import Secret, value_of
from mcpward.egress.failures import EgressRefused
from mcpward.egress.host import read_host
from mcpward.operations.denied import Denied, Invalid
from mcpward.operations.site import Site
from mcpward.sanitize.weak import why_weak
from mcpward.traffic.act import Act
from mcpward.vault.store import GRACE_S, MOST_SEALS, Rotation
from mcpward.vault.vault_entry import VaultEntry

__all__ = [
    "GRACE_S", "LONGEST_BYTES", "KeptSecret", "bound_hosts", "has_secrets", "import_secrets", "list_secrets",
    "names_of", "remove_secret", "require_header", "require_secret_name", "require_value", "roll_back_secret",
    "rotate_vault", "set_secret", "weakness",
]  # fmt: skip

LONGEST_BYTES: Final = 65_536
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}", re.ASCII)
_FIELD: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


class KeptSecret(Struct, frozen=True):
    """A secret as an operator may see it: ``versions`` are all that are kept, the present one first."""

    server: str
    name: str
    versions: tuple[VaultEntry, ...]

    @property
    def current(self) -> VaultEntry:
        """The version that tools get."""
        return self.versions[0]


def require_secret_name(name: str) -> None:
    """Check that a secret may be called so.

    Raises:
        Invalid: it may not; perhaps its value was written in the place of its name.
    """
    if not _NAME.fullmatch(name):
        raise Invalid("a secret's name is made of A-Z, 0-9 and _", "pass the value on stdin, not on the command line")


def require_value(name: str, value: Secret) -> None:
    """Check that a value may be kept.

    Raises:
        Invalid: it is empty, or larger than 64 KiB.
    """
    if not 0 < len(value_of(value).encode()) <= LONGEST_BYTES:
        raise Invalid(f"the value of {name} is empty or larger than 64 KiB", "keep larger ones in a file of their own")


def weakness(value: Secret) -> str | None:
    """Return why a value is no good secret, as the end of a sentence that begins with its name; None if it is one."""
    return why_weak(value_of(value))


def bound_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """Return hosts that a secret is to be bound to, each ``host`` or ``host:port``, in one spelling.

    Raises:
        Invalid: one is no host name or address.
    """
    return tuple(dict.fromkeys(_bound_host(host) for host in hosts))


def require_header(name: str) -> None:
    """Check that a header may have this name.

    Raises:
        Invalid: it may not (RFC 9110, 5.1).
    """
    if name and not _FIELD.fullmatch(name):
        raise Invalid(f"{name!r} is no name of a header", "write one such as X-API-Key")


async def set_secret(
    site: Site, server: str, name: str, value: Secret, grace_s: float = GRACE_S, *, keeps_binding: bool = True
) -> VaultEntry:
    """Keep a secret, and return its new version. Workers use it within a second. The version before is kept for
    ``grace_s``. A value without hosts keeps those of that version, unless ``keeps_binding`` is False.

    Raises:
        Invalid: as :func:`require_secret_name` and :func:`require_value`.
    """
    require_secret_name(name)
    require_value(name, value)
    return await site.vault.set(server, name, value, grace_s, keeps_binding=keeps_binding)


async def import_secrets(site: Site, server: str, values: Mapping[str, Secret], grace_s: float = GRACE_S) -> int:
    """Keep several secrets; return how many differ from what was kept. Those that are equal get no new version.

    Raises:
        Invalid: as :func:`set_secret`; nothing was kept then.
    """
    for name, value in values.items():
        require_secret_name(name)
        require_value(name, value)
    return await site.vault.set_all({(server, name): value for name, value in values.items()}, grace_s)


async def list_secrets(site: Site, server: str) -> Sequence[KeptSecret]:
    """Return a server's secrets by name, without opening any."""
    versions = groupby(await site.vault.list(server), key=lambda one: one.name)
    return [KeptSecret(server, name, tuple(each)) for name, each in versions]


async def names_of(site: Site, servers: Sequence[str]) -> list[str]:
    """Return the names of all secrets of some servers, each once."""
    return sorted({one.name for server in servers for one in await site.vault.list(server)})


async def has_secrets(site: Site) -> bool:
    """Return whether any server has a secret."""
    return bool(await site.store.vault.servers())


async def remove_secret(site: Site, server: str, name: str) -> None:
    """Forget a secret with all its versions.

    Raises:
        Denied: the server has none of this name.
    """
    if not await site.vault.remove(server, name):
        raise Denied(f"{server} has no secret {name!r}", "mcpward secret list")


async def roll_back_secret(site: Site, server: str, name: str, grace_s: float = GRACE_S) -> int:
    """Make the version before the present one the present one again; return the number that it has now.

    Raises:
        Denied: the server has no secret of this name, or no earlier version of it is kept any more.
    """
    if not any(one.name == name for one in await site.vault.list(server)):
        raise Denied(f"{server} has no secret {name!r}", "mcpward secret list")
    with suppress(LookupError):
        return await site.vault.roll_back(server, name, grace_s)
    raise Denied(f"no earlier version of {name} is kept", f"set it again: mcpward secret set {name} --server {server}")


async def rotate_vault(site: Site, progress: Callable[[int, int], None] | None = None) -> Rotation:
    """Wrap the data key of every secret with a new key, while all workers serve. A rotation that was killed is gone on
    with.

    Raises:
        Misconfigured: a secret cannot be opened.
        NoRoom: the disk is full, so that the act cannot be put on record.
    """
    done = await site.vault.rotate(progress)
    how = "finished" if done.is_resumed else "done"
    act = Act(object="vault", detail=f"rotation {how}: key {done.key_id} wraps {done.count} versions of secrets")
    await site.store.acts.note(act)
    return done


def is_near_bound(entries: Sequence[VaultEntry]) -> bool:
    """Return whether the vault's key has sealed half as often as AES-GCM allows with random nonces."""
    return max((one.revision for one in entries), default=0) >= MOST_SEALS


def _bound_host(text: str) -> str:
    host, colon, port = text.strip().rpartition(":") if text.count(":") == 1 else (text.strip(), "", "")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        read = str(read_host(bare))
    except EgressRefused:
        raise Invalid(f"{text!r} is no host", "write api.example.com, or api.example.com:8443; no URL") from None
    if ":" in read:
        raise Invalid(f"{text!r} is an IPv6 address", "bind the secret to a name, such as api.example.com")
    if colon and not (_PORT.fullmatch(port) and int(port) <= 0xFFFF):
        raise Invalid(f"{text!r} has no valid port", "write api.example.com:8443")
    return f"{read}:{port}" if colon and port != "443" else read
