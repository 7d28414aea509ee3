"""The store that all processes of a site share: up or down, and never waited for while it is down.

One failed or late answer marks it down for all. From then on every call fails at once, so that a limit's own
enforcement decides, and mcpward tries to reconnect five times a second. A script that writes tests its health, because
a server that is out of memory, or a replica, answers a PING.

All keys carry one hash tag, so they lie in one hash slot: one script touches all of a call's buckets at once, in a
cluster too. There a node that has lost the hash slot names the one that has it.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from mcpward.config.address import Address
from mcpward.config.counters import read_counters_url
from mcpward.core.clock import Clock
from mcpward.core.secret import Secret
from mcpward.limits.rates.shared_port import StoreDown
from mcpward.limits.redis.dns_cache import DnsCache
from mcpward.limits.redis.resp import RespConnection, SentCommand
from mcpward.limits.redis.script import Command, Script, Word

_log: Final = logging.getLogger(__name__)

RETRY_S: Final = 0.2
_BEAT_S: Final = 1.0
#: A script that fails, fails for each call.
_SILENT_S: Final = 10.0
_MICRO: Final = 1_000_000
#: How far the shared clock may be ahead of this process's expectation.
_SLACK: Final = _MICRO
_MOST_WAITING: Final = 20_000
_MOST_HOPS: Final = 4
_MOST_NODES: Final = 32
_MOVED: Final = re.compile(r"MOVED \d+ (.*):(\d+)")
#: Errors of a whole server, rather than of one script; inside a script's error they stand anywhere in the text.
_UNWELL: Final = re.compile(
    r"\b(OOM|READONLY|LOADING|NOAUTH|WRONGPASS|NOPERM|CLUSTERDOWN|MISCONF|MASTERDOWN|NOREPLICAS|BUSY)\b"
)
#: Some of a slot's keys are here and some there: a matter of seconds, and of the calls concerned.
_BETWEEN_NODES: Final = ("ASK ", "TRYAGAIN ")
#: Takes nothing, and writes the clock.
TAKE: Final = Script("take.lua")


class SharedStore:
    """One Redis or Valkey, or a cluster of them.

    ``on_change`` is called when it goes down or is not there at the start (False, why), and when it comes up (True,
    ""). ``failures`` counts the calls that it did not answer, or not in time, or with an error. ``on_loss`` is called
    when its content may be lost, because it was away or was emptied. The owners of slots then register them again.
    """

    def __init__(
        self, url: Secret, *, namespace: str, clock: Clock, timeout_s: float, on_change: Callable[[bool, str], None]
    ) -> None:
        read = read_counters_url(url.reveal())
        self.failures = 0
        self._greeting: list[Command] = []
        if read.password:
            words = ("AUTH", read.user, read.password.reveal()) if read.user else ("AUTH", read.password.reveal())
            self._greeting.append(Command.of(*words))
        if read.database:
            self._greeting.append(Command.of("SELECT", read.database))
        self._tls = ssl.create_default_context() if read.is_tls else None
        self._nodes = list(read.nodes)
        self._node = self._nodes[0]
        self._tag = f"{{{namespace}}}"
        self._clock_key = self.key("clock")
        self._monotonic = clock.monotonic
        self._timeout_s = timeout_s
        self._on_change = on_change
        self._lookup = DnsCache()
        self._wire: RespConnection | None = None
        self._held: list[SentCommand] | None = None
        self._seen = 0.0
        self._epoch = 0
        self._silent_until = 0.0
        self.on_loss: list[Callable[[], None]] = []
        self._upkeep: asyncio.Task[None] | None = None
        self._mover: asyncio.Task[None] | None = None
        self._fell = asyncio.Event()
        self._first = asyncio.Event()
        self._why = "not connected yet"

    @property
    def is_up(self) -> bool:
        """Whether the last answer was a good one."""
        return self._wire is not None

    @property
    def clock_key(self) -> bytes:
        """The key of the virtual clock, passed to every script that reads the time."""
        return self._clock_key

    def key(self, kind: str, name: str = "") -> bytes:
        """Return the key of a thing of this site: all of them lie in one slot."""
        return f"{self._tag}{kind}\0{name}".encode("utf-8", "surrogatepass") if name else f"{self._tag}{kind}".encode()

    def expected(self) -> int:
        """Return the virtual time (µs) that a script may not go past; 0 before the first answer."""
        return int(self._seen + self._monotonic() * _MICRO) + _SLACK if self._seen else 0

    def saw(self, virtual: int, epoch: int | None = None) -> None:
        """Take note of the virtual time (µs) that a script answered with, and of whether everything began anew."""
        self._seen = virtual - self._monotonic() * _MICRO
        if epoch is not None and epoch != self._epoch:
            self._epoch = epoch
            self._tell_of_loss()

    async def start(self) -> None:
        """Begin to connect, and wait for the first try to end. Never fails because the store is absent."""
        self._upkeep = asyncio.create_task(self._keep())
        await self._first.wait()

    async def stop(self) -> None:
        """Close. Waiting calls get :class:`StoreDown`."""
        for task in (self._upkeep, self._mover):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._lookup.stop()
        wire, self._wire = self._wire, None
        self._why = "stopped"
        self._drop_held()
        if wire is not None:
            wire.close("stopped")

    # ---- asking ---------------------------------------------------------------------------------------------------

    def call(self, script: Script, keys: Sequence[Word], args: Sequence[Word]) -> asyncio.Future[Any]:
        """Run a script in the next write; keys come from :meth:`key`.

        Raises:
            StoreDown: at once, or when awaited.
        """
        return self.ask(Command.running(script, keys, args))

    def ask(self, command: Command) -> asyncio.Future[Any]:
        """Send a command in the next write.

        Raises:
            StoreDown: at once, or when awaited.
        """
        answer = asyncio.get_running_loop().create_future()
        self._send(SentCommand(command, answer))
        return answer

    def tell(self, command: Command) -> None:
        """Send a command whose answer no caller awaits; nothing happens while the store is down."""
        if self._wire is not None:
            with suppress(StoreDown):
                self._send(SentCommand(command, None))

    def _send(self, asked: SentCommand) -> None:
        wire = self._wire
        if wire is None:
            raise StoreDown(self._why)
        if self._held is not None and len(self._held) < _MOST_WAITING:
            self._held.append(asked)
        elif self._held is None and len(wire) < _MOST_WAITING:
            wire.send(asked)
        else:
            self.failures += 1
            raise StoreDown(f"{_MOST_WAITING} commands wait for an answer")

    def _send_again(self, asked: SentCommand) -> None:
        """Send the commands that the former node did not do: there is a connection to the right one already."""
        try:
            self._send(asked)
        except StoreDown as down:
            asked.fail(down)

    def _refused(self, wire: RespConnection, asked: SentCommand, text: str) -> None:
        """Handle an error of Redis: a digest it has forgotten, a moved slot, one failed script, or all commands."""
        if text.startswith("NOSCRIPT") and not asked.with_text:
            asked.with_text = True
            wire.send(asked)
            return
        moved = _MOVED.fullmatch(text)
        if moved and asked.hops < _MOST_HOPS and self._wire is not None:
            asked.hops += 1
            if wire is self._wire:
                self._follow(asked, Address(moved[1] or self._node.host, int(moved[2])))
            else:
                self._send_again(asked)
            return
        asked.fail(StoreDown(text))
        if wire is not self._wire:
            return  # of a connection that is not in use yet, or no more
        self.failures += 1
        if moved or _UNWELL.search(text):
            wire.close(text)
        elif not text.startswith(_BETWEEN_NODES) and self._monotonic() >= self._silent_until:
            self._silent_until = self._monotonic() + _SILENT_S
            _log.error("a script of the shared counters failed: %s", text)

    def _lost(self, wire: RespConnection, unanswered: list[SentCommand], why: str) -> None:
        for asked in unanswered:
            self.failures += 1
            asked.fail(StoreDown(why))
        if wire is self._wire:
            self._fall(why)

    def _fall(self, why: str) -> None:
        self._wire, self._why = None, why
        self._drop_held()
        self._fell.set()
        self._on_change(False, why)

    def _drop_held(self) -> None:
        held, self._held = self._held, None
        for asked in held or ():
            self.failures += 1
            asked.fail(StoreDown(self._why))

    # ---- connecting -----------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Bring it up, and up again; while it is up, check once a second that it answers.

        Not a :class:`~mcpward.core.retry.Retry`: a connection is lost between tries too, and ``on_change`` reports
        that, not the log.
        """
        while True:
            if self._wire is None:
                await self._rise()
                if not self.is_up and not self._first.is_set():
                    self._on_change(False, self._why)
                self._first.set()
            if self._wire is None:
                await asyncio.sleep(RETRY_S)
                continue
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the awaited result.
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_S):
                    await self._fell.wait()
            if self._wire is not None:
                with suppress(StoreDown):
                    self.saw(*(await self.ask(self._probe()))[:2])

    async def _rise(self) -> None:
        """Try each node once, the one that was good last first."""
        for node in (self._node, *(each for each in self._nodes if each != self._node)):
            try:
                wire, found = await self._connect(node)
            except Exception as absent:  # noqa: BLE001  # whatever answers there, and whatever it sends, is tried again
                self._why = f"{node}: {_told(absent)}"
                continue
            self._node, self._wire = found, wire
            self._fell.clear()
            self._tell_of_loss()
            self._on_change(True, "")
            return

    def _tell_of_loss(self) -> None:
        for tell in self.on_loss:
            tell()

    async def _connect(self, node: Address, hops: int = 0) -> tuple[RespConnection, Address]:
        """Connect, greet, and run a script that writes.

        Raises:
            OSError: it is not there (``TimeoutError``: not in time).
            StoreDown: it is unwell.
        """
        wires: list[RespConnection] = []

        def make() -> RespConnection:
            wires[:] = [RespConnection(self._timeout_s, self._refused, self._lost)]
            return wires[0]

        try:
            async with asyncio.timeout(self._timeout_s):
                await self._dial(make, node)
                answers = [self._through(wires[0], command) for command in self._greeting]
                nodes = self._through(wires[0], Command.of("CLUSTER", "SLOTS"))
                probed = self._through(wires[0], self._probe())
                everything: list[Any] = await asyncio.gather(*answers, probed, nodes, return_exceptions=True)
                self._learn(everything.pop(), node)
                for answer in everything:
                    if isinstance(answer, BaseException):
                        raise answer
                self.saw(*everything[-1][:2])
        except StoreDown as unwell:
            wires[0].close()
            moved = _MOVED.fullmatch(str(unwell))
            if moved and hops < _MOST_HOPS:
                return await self._connect(Address(moved[1] or node.host, int(moved[2])), hops + 1)
            raise
        except BaseException:
            for wire in wires:
                wire.close()
            raise
        return wires[0], node

    async def _dial(self, make: Callable[[], RespConnection], node: Address) -> None:
        """Connect to the first address of a node that takes it."""
        loop = asyncio.get_running_loop()
        name = None if self._tls is None else node.host
        addresses = await self._lookup.of(node.host)
        for n, address in enumerate(addresses, 1):
            try:
                await loop.create_connection(make, address, node.port, ssl=self._tls, server_hostname=name)
            except OSError:
                if n == len(addresses):
                    raise
            else:
                return

    def _through(self, wire: RespConnection, command: Command) -> asyncio.Future[Any]:
        answer = asyncio.get_running_loop().create_future()
        asked = SentCommand(command, answer)
        asked.hops = _MOST_HOPS  # a connecting client finds the right node itself
        wire.send(asked)
        return answer

    def _probe(self) -> Command:
        return Command.running(TAKE, [self._clock_key], [self.expected(), "", 0])

    def _learn(self, slots: Any, node: Address) -> None:
        """Take note of a cluster's other nodes, to be asked when this one dies. A single node knows none."""
        if not isinstance(slots, list):
            return
        for _, _, *members in slots:
            for host, port, *_ in members:
                known = Address((host or node.host.encode()).decode("utf-8", "replace"), port)
                if known not in self._nodes and len(self._nodes) < _MOST_NODES:
                    self._nodes.append(known)

    def _follow(self, asked: SentCommand, node: Address) -> None:
        """Hold the commands until there is a connection to the node that has the slot now."""
        if self._held is None:
            self._held = []
            self._mover = asyncio.create_task(self._move(node))
        self._held.append(asked)

    async def _move(self, node: Address) -> None:
        left = self._wire
        try:
            async with asyncio.timeout(self._timeout_s):
                wire, found = await self._connect(node)
        except Exception as absent:  # noqa: BLE001  # only this releases the waiting commands
            if left is not None and left is self._wire:
                left.close(f"{node}: {_told(absent)}")
            return
        if left is None or left is not self._wire:
            wire.close()
            return
        self._node, self._wire = found, wire
        held, self._held = self._held, None
        self._tell_of_loss()
        for asked in held or ():
            wire.send(asked)
        left.close_when_idle()


def _told(absent: Exception) -> str:
    return str(absent) or type(absent).__name__
