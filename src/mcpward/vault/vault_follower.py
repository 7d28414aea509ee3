"""Keeps a worker's secrets in step with the vault, so that a value that is set anywhere is used within a second.

Does not decide what becomes of a change: ``renew`` does. If the vault cannot be read, or a secret not be opened, the
values that were read last stay in use, and the log says so.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from mcpward.core.clock import Clock
from mcpward.core.errors import Misconfigured
from mcpward.core.retry import Retry, every
from mcpward.core.secret import Secret
from mcpward.vault.store import ByServer, Vault, is_same
from mcpward.vault.vault_entry import VaultEntry

_log: Final = logging.getLogger("mcpward.secrets")
INTERVAL_S: Final = 0.4
_FLUSH_EVERY: Final = 12
"""Turns from one note of the last uses to the next: about five seconds."""
Renew = Callable[[str, str, Secret | None], None]
Used = Callable[[], Iterable[tuple[str, str]]]


class VaultSource(Protocol):
    """The rows of the vault, followed from the beginning. A port of the storage package."""

    async def news(self, *, whole: bool = False) -> tuple[bool, Sequence[VaultEntry]]:
        """Return the rows added or changed since the last time; with True, all there are."""
        ...


class VaultFollower:
    """Belongs to one event loop. ``known`` are the secrets by server that the worker was opened with.

    ``renew`` is called with server, name and the new secret, or None for one that was removed. ``used`` returns
    which secrets were used since the last time, by server and name.
    """

    def __init__(
        self, source: VaultSource, vault: Vault, known: ByServer, renew: Renew, used: Used, clock: Clock
    ) -> None:
        self._source = source
        self._vault = vault
        self._known = {server: dict(secrets) for server, secrets in known.items()}
        self._renew = renew
        self._used = used
        self._clock = clock
        self._entries: dict[str, VaultEntry] = {}
        self._is_behind = False
        self._reads = Retry(_tell, lambda: _log.warning("the vault can be read again"), cause_of=str)
        self._turns = 0
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Follow until :meth:`stop`."""
        self._task = asyncio.create_task(every(INTERVAL_S, self._stopping, self._turn), name="vault-follower")

    async def stop(self) -> None:
        """End after the present turn, and note what was used."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None
        await self._flush()

    async def poll(self) -> None:
        """Hand on what has changed. Raises what the store raises, and :class:`Misconfigured` for what does not open."""
        is_whole, rows = await self._source.news()
        if not rows and not is_whole and not self._is_behind:
            return
        if is_whole:
            self._entries.clear()
        self._entries |= {row.id: row for row in rows}
        self._is_behind = True  # until all of it was handed on
        present, findings = self._vault.open_each(list(self._entries.values()), list(self._known))
        for server, name in findings:  # the others are renewed, and this one stays as it was
            if name in self._known[server]:
                present[server][name] = self._known[server][name]
        self._hand_on(present)
        if findings:
            raise Misconfigured([finding for of_place in findings.values() for finding in of_place])
        self._is_behind = False

    def _hand_on(self, present: ByServer) -> None:
        for server, secrets in present.items():
            known = self._known[server]
            for name in known.keys() - secrets.keys():
                self._renew(server, name, None)
            for name, secret in secrets.items():
                if name not in known or not is_same(known[name], secret):
                    self._renew(server, name, secret)
            self._known[server] = dict(secrets)

    async def _turn(self) -> None:
        await self._reads.attempt(self.poll)
        self._turns += 1
        if self._turns % _FLUSH_EVERY == 0:
            await self._flush()

    async def _flush(self) -> None:
        """Note the last uses; a store that takes no writes, as on a full disk, loses them."""
        now = self._clock.now()
        used = dict.fromkeys(self._used(), now)
        if used:
            await Retry(lambda _: None).attempt(lambda: self._vault.table.touch(used))


def _tell(error: Exception) -> None:
    if isinstance(error, Misconfigured):
        finding = error.findings[0]
        _log.error("%s: the values that were read before stay in use; %s", finding.what, finding.hint)
    else:
        _log.warning("the vault cannot be read: its values stay as they are (%s)", type(error).__name__)
