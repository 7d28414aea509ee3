"""Secrets by server and name. A value in the table opens only in its own place (attack 87) and only with our keys.

Does not decide who may have a secret: the code that asks on behalf of a server does.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.secret import Secret
from mcpward.crypto.envelope import Envelope, EnvelopeRefused


class SealedValues(Protocol):
    """The store of sealed values. A port of the storage package."""

    async def set(self, server: str, name: str, blob: bytes) -> None:
        """Keep a value in the place of whatever was there."""
        ...

    async def list(self, server: str) -> Mapping[str, bytes]:
        """Return all values of a server by name."""
        ...

    async def remove(self, server: str, name: str) -> bool:
        """Forget a value; says whether there was one."""
        ...

    async def rename_server(self, old: str, new: str, reseal: Callable[[str, bytes], bytes]) -> int:
        """Return all values of a server to another name, as ``reseal`` makes them of name and value."""
        ...


class Vault:
    """Seals what comes in and opens what goes out."""

    def __init__(self, table: SealedValues, envelope: Envelope) -> None:
        self._table = table
        self._envelope = envelope

    async def set(self, server: str, name: str, value: Secret) -> None:
        """Keep ``value`` for ``server`` under ``name``, in the place of an older one."""
        await self._table.set(server, name, self._envelope.seal(value.reveal().encode(), _place(server, name)))

    async def load_all(self, server: str) -> dict[str, Secret]:
        """Return every secret of ``server`` by name.

        Raises :class:`Misconfigured`, naming every one that cannot be opened: it was changed, moved, or sealed with
        a master key that is gone.
        """
        opened: dict[str, Secret] = {}
        findings: list[Finding] = []
        for name, blob in (await self._table.list(server)).items():
            try:
                plain = self._envelope.open(blob, _place(server, name))
            except EnvelopeRefused:
                hint = "restore its master key, or set the secret again"
                findings.append(Finding(f"the secret {name} of {server} cannot be opened", "vault", hint))
            else:
                opened[name] = Secret(plain.decode(), name=name)
        if findings:
            raise Misconfigured(findings)
        return opened

    async def rename_server(self, old: str, new: str) -> int:
        """Return the secrets of a server to another name, each sealed for its new place. Return how many there were.

        Raises :class:`Misconfigured` for one that cannot be opened, and ``LookupError`` with the name of one that
        both servers have; nothing was changed then.
        """

        def reseal(name: str, blob: bytes) -> bytes:
            try:
                plain = self._envelope.open(blob, _place(old, name))
            except EnvelopeRefused:
                hint = "restore its master key, or set the secret again"
                raise Misconfigured([Finding(f"the secret {name} of {old} cannot be opened", "vault", hint)]) from None
            return self._envelope.seal(plain, _place(new, name))

        return await self._table.rename_server(old, new, reseal)

    async def list(self, server: str) -> tuple[str, ...]:
        """Return the names of the server's secrets, without opening any."""
        return tuple(await self._table.list(server))

    async def remove(self, server: str, name: str) -> bool:
        """Forget a secret; says whether there was one."""
        return await self._table.remove(server, name)


def _place(server: str, name: str) -> bytes:
    """Associated data that no other pair of server and name has: the length keeps ("a", "bc") and ("ab", "c") apart."""
    raw = server.encode()
    return b"vault/v1/" + len(raw).to_bytes(4) + raw + name.encode()
