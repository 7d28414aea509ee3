"""The connections of one listener, from their acceptance on: how many there may be, and which one leaves for another.

A connection is counted before anything is read from it, and before its TLS handshake. While there is plenty, an address
may take what it likes: many honest callers may be behind it. When connections get scarce, an address with more than its
share loses one of its own for each new one. When there are none left, the oldest idle connection of the address with
most leaves. Connections without a valid credential leave first. A connection on which a request is being answered, a
stream too, is kept.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final, Protocol

from mcpward.core.clock import Clock
from mcpward.ingress.handshakes import HandshakePace
from mcpward.ingress.holdings import Holdings
from mcpward.ingress.peer import PeerResolver, peer
from mcpward.ingress.turned_away import TurnedAway

#: Parts of all connections. When a quarter is left they are scarce; an eighth is what one address may have even then;
#: a quarter is kept for callers who have not shown their credential yet.
_SCARCE: Final = 4
_SHARE: Final = 8
_FOR_STRANGERS: Final = 4


class Rank(IntEnum):
    """The rank of a connection's peer; the lowest leaves first. A declared proxy's carries many callers, and has no
    share.
    """

    STRANGER = 0
    KNOWN = 1
    PROXY = 2


_STRANGER: Final = Rank.STRANGER


class Connected(Protocol):
    """A connection behind its handshake. A port: connections are made of their entry here."""

    @property
    def is_answering(self) -> bool:
        """Whether a request on it is being answered."""
        ...

    @property
    def used_at(self) -> float:
        """When it was made, a request on it began, or one was answered."""
        ...

    def cut_off(self) -> None:
        """End it now."""
        ...


class Entry:
    """One accepted connection. ``is_served`` if a request on it was accepted, in any mode."""

    __slots__ = ("_table", "_used_at", "bucket", "connection", "end_handshake", "is_gone", "is_served", "paid", "rank")

    def __init__(self, table: "ConnectionTable", bucket: str, rank: Rank) -> None:
        self._table = table
        self.bucket = bucket
        self.rank = rank
        self.is_served = False
        self.is_gone = False
        self.paid = 0
        self._used_at = 0.0
        self.connection: Connected | None = None
        self.end_handshake: Callable[[], object] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a request on it is being answered; a handshake, a head or a body that is not whole is no reason."""
        return self.connection is not None and self.connection.is_answering

    @property
    def is_trusted(self) -> bool:
        """Whether a request on it was accepted, or it is a declared proxy's: it may be idle for the usual time."""
        return self.is_served or self.rank is not _STRANGER

    def was_used(self) -> bool:
        """Return whether a known caller was answered since the last such question; use by strangers does not count."""
        if self.connection is None or self.rank is _STRANGER:
            return False
        before, self._used_at = self._used_at, self.connection.used_at
        return before != self._used_at

    def serve(self, *, is_known: bool) -> None:
        """A request was accepted; ``is_known``: its caller has shown a valid credential."""
        if not self.is_served:
            self.is_served = True
            self._table.give_back(self)
        if is_known and self.rank is _STRANGER:
            self._table.promote(self)

    def end(self) -> None:
        """End the connection now, in whatever state it is."""
        if self.connection is not None:
            self.connection.cut_off()
        elif self.end_handshake is not None:
            self.end_handshake()

    def leave(self) -> None:
        """The connection is gone. May be called twice."""
        self._table.remove(self)


class ConnectionTable:
    """At most ``most`` connections of one listener; ``pace`` is that of its TLS handshakes, if it has any."""

    def __init__(self, most: int, doorstep: PeerResolver, clock: Clock, pace: HandshakePace | None = None) -> None:
        self.most = most
        self.size = 0
        self.turned_away = TurnedAway(clock)
        #: Called after a connection has left.
        self.on_leave: Callable[[], None] | None = None
        self._doorstep = doorstep
        self._pace = pace
        self._share = max(1, most // _SHARE)
        self._scarce_from = most - most // _SCARCE
        self._for_strangers = most // _FOR_STRANGERS
        self._strangers, self._known, self._proxies = (Holdings[Entry]() for _ in Rank)
        self._held = {_STRANGER: self._strangers, Rank.KNOWN: self._known, Rank.PROXY: self._proxies}

    def admit(self, address: str) -> Entry | None:
        """Return the entry of a new connection, in the place of another if necessary; None if there is no room."""
        bucket = peer(address).bucket
        rank = Rank.PROXY if self._doorstep.is_proxy(address) else _STRANGER
        paid: int | None = 0
        if self._pace is not None and rank is _STRANGER:
            paid = self._pace.charge(bucket, is_known=self._known.count(bucket) > 0)
        if paid is None:
            self.turned_away.refuse(bucket, "address-rate")
            return None
        if self.size >= self._scarce_from and not self._make_room(bucket, rank):
            return None
        entry = Entry(self, bucket, rank)
        entry.paid = paid
        self._held[rank].add(entry)
        self.size += 1
        return entry

    def give_back(self, entry: Entry) -> None:
        """A request was accepted: its connection's handshake was not for nothing."""
        if self._pace is not None and entry.paid:
            self._pace.give_back(entry.bucket, entry.paid)
            entry.paid = 0

    def promote(self, entry: Entry) -> None:
        """The caller has shown a valid credential: its connection leaves after all strangers'."""
        if not entry.is_gone:
            self._strangers.remove(entry)
            self._known.add(entry)
        entry.rank = Rank.KNOWN

    def remove(self, entry: Entry) -> None:
        """The connection is gone. May be called twice."""
        if entry.is_gone:
            return
        entry.is_gone = True
        self._held[entry.rank].remove(entry)
        self.size -= 1
        if self.on_leave is not None:
            self.on_leave()

    def evict_stranger(self) -> bool:
        """End the oldest idle connection of the address with most strangers; return whether there was one."""
        return self._evict(self._strangers.find_idle_of_greediest())

    def _make_room(self, bucket: str, rank: Rank) -> bool:
        if rank is not Rank.PROXY and self._strangers.count(bucket) + self._known.count(bucket) >= self._share:
            reason, leaving = "address-share", self._strangers.find_idle(bucket) or self._known.find_idle(bucket)
        elif self.size >= self.most:
            reason, leaving = "full", self._first_to_leave(bucket)
        else:
            return True
        if self._evict(leaving):
            return True
        self.turned_away.refuse(bucket, reason)
        return False

    def _first_to_leave(self, bucket: str) -> Entry | None:
        """Return the rank whose connection a new one replaces: a stranger's, unless strangers have no more than is kept
        for them.

        Every caller is a stranger at first, so known callers must not take all. They yield to an address that holds no
        more than theirs.
        """
        known = self._known.find_idle_of_greediest()
        if known is not None and self._known.count(known.bucket) < self._known.count(bucket):
            known = None
        if self._strangers.size > self._for_strangers or known is None:
            known = self._strangers.find_idle_of_greediest() or known
        return known or self._known.find_idle(bucket) or self._proxies.find_idle_of_greediest()

    def _evict(self, entry: Entry | None) -> bool:
        if entry is None:
            return False
        reason = "handshake" if entry.connection is None else "stranger" if entry.rank is _STRANGER else "idle"
        self.turned_away.evict(entry.bucket, reason)
        entry.leave()
        entry.end()
        return True
