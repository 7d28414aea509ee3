"""Secrets of tools, for an operator: kept sealed under a server and a name. No value ever comes back from here."""

import re
from collections.abc import Sequence
from typing import Final

from mcpward.core.secret import Secret
from mcpward.operations.denied import Denied, Invalid
from mcpward.operations.site import Site

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}", re.ASCII)


def require_secret_name(name: str) -> None:
    """Check that a secret may be called so.

    Raises:
        Invalid: it may not; perhaps its value was written in the place of its name.
    """
    if not _NAME.fullmatch(name):
        raise Invalid("a secret's name is made of A-Z, 0-9 and _", "pass the value on stdin, not on the command line")


async def set_secret(site: Site, server: str, name: str, value: Secret) -> None:
    """Keep a secret in the place of an older one. Workers read secrets at their start.

    Raises:
        Invalid: as :func:`require_secret_name`.
    """
    require_secret_name(name)
    await site.vault.set(server, name, value)


async def list_secrets(site: Site, server: str) -> Sequence[str]:
    """Return the names of a server's secrets."""
    return await site.vault.list(server)


async def remove_secret(site: Site, server: str, name: str) -> None:
    """Forget a secret.

    Raises:
        Denied: the server has none of this name.
    """
    if name not in await site.vault.list(server):
        raise Denied(f"{server} has no secret {name!r}", "mcpward secret list")
    await site.vault.remove(server, name)
