"""An arrival and its principal into a call: its era, its method, its principal, and whether every header agrees.

The body decides the era (protocol versions page, dual-era servers), never the headers: a modern body without its
version header is refused, not run as a legacy one with fewer checks. Attacks 56-60, 62, 63.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from mcpward.core.capability import lacks
from mcpward.core.errors import Refusal
from mcpward.core.facts import Allow, Lacking, Unread, Versions
from mcpward.core.invalid import invalid
from mcpward.core.jsonio import DEFAULT_BOUNDS, Bounds
from mcpward.core.reasons import Reason
from mcpward.core.values import Arrival, Call, Era, Kind, Principal, Reply
from mcpward.protocol import answer, meta, params, reply
from mcpward.protocol.bodies import Bodies
from mcpward.protocol.declared import NEEDS_TASKS
from mcpward.protocol.decode import Message, Opened, arguments_of, batch_ids, message_of, parse
from mcpward.protocol.headers import require_agreement, require_single
from mcpward.protocol.introduction import short_introduction
from mcpward.protocol.methods import (
    END_SESSION,
    GET_PROMPT,
    INITIALIZE,
    OPEN_STREAM,
    RESPOND,
    ServerInfo,
    mirrored_target,
    other_target,
    table,
)
from mcpward.protocol.plain import PlainCalls
from mcpward.protocol.session import Session, Sessions
from mcpward.protocol.state import States
from mcpward.protocol.versions import (
    CAPABILITIES_KEY,
    CLIENT_KEY,
    EVENT_HEADER,
    LEGACY,
    MODERN,
    SESSION_HEADER,
    SUPPORTED,
    VERSION_HEADER,
    VERSION_KEY,
)

_NO_META: Final[Mapping[str, Any]] = {}
_NO_TRACE: Final[Mapping[str, str]] = {}
#: The contents of every modern request; most have no more.
_PLAIN: Final = frozenset({VERSION_KEY, CAPABILITIES_KEY, CLIENT_KEY})
_STATELESS: Final = Session("", MODERN, 0.0)
_UNOPENED: Final = Session("", "", 0.0)
#: Event ids are ours: visible ASCII, and never longer than this.
_EVENT: Final = re.compile(rb"[\x21-\x7e]{1,256}")
_MODERN_HEADER: Final = MODERN.encode()
_LEGACY_HEADERS: Final = {version.encode(): version for version in LEGACY}


class Protocol:
    """Reads what comes in, and answers what is the protocol's own; ``reply.py`` writes all other answers."""

    def __init__(
        self,
        servers: Mapping[str, ServerInfo],
        sessions: Sessions,
        states: States,
        bounds: Bounds = DEFAULT_BOUNDS,
    ) -> None:
        self.sessions: Final = sessions
        self.states: Final = states
        self.bodies: Final = Bodies(bounds)
        self._servers = dict(servers)
        self._bounds = bounds
        self._introductions = {name: short_introduction(server) for name, server in servers.items()}
        # One table for each era, not one for both: an Enum as a key is hashed in Python.
        self._legacy = {name: table(server, Era.LEGACY) for name, server in servers.items()}
        self._modern = {name: table(server, Era.MODERN) for name, server in servers.items()}
        self._plain = PlainCalls({name: self._introductions[name] for name in servers if servers[name].has_tools})

    def read(self, arrival: Arrival, principal: Principal, opened: Opened | None = None) -> Call:
        """Return the call that an arrival makes. ``opened`` is its body, if that is a large one: see :attr:`bodies`.

        Raises :class:`Refusal` for everything that is not a well-formed, agreeing, served message of one of the eras;
        its fact :class:`~mcpward.core.facts.Unread` says how to answer.
        """
        if arrival.verb != "POST":
            return self._read_bare(arrival, principal)
        value, is_spelt = parse(arrival.body, self._bounds) if opened is None else (opened.value, False)
        if is_spelt:
            call = self._plain.read(arrival, principal, value)
            if call is not None:
                return call
        message = said = None
        try:
            message = message_of(value, is_spelt=is_spelt, opened=opened)
            require_single(arrival)
            said = message.params.get("_meta")
            if said is None:
                said = _NO_META
            elif type(said) is not dict:
                raise invalid("_meta", "an object")
            if VERSION_KEY in said:
                return self._read_modern(arrival, principal, message, said)
            return self._read_other(arrival, principal, message, said)
        except Refusal as no:
            raise no.telling(_unread(no, arrival, value, message, said)) from None

    def answer(self, call: Call) -> Reply:
        """Answer a call of the kinds lifecycle, notification and answer; ``session/delete`` ends the session here.

        The caller has written down before what a request sets or subscribes to.
        """
        if call.kind is Kind.NOTIFICATION or call.kind is Kind.ANSWER:
            return reply.accepted()
        if call.method == END_SESSION:
            if call.session is not None:
                self.sessions.end(call.session)
            return reply.ended()
        return answer.lifecycle(call, self._servers[call.arrival.server], self.sessions)

    def _read_modern(self, arrival: Arrival, principal: Principal, message: Message, said: Mapping[str, Any]) -> Call:
        """The ladder of 2026-07-28: first failing rung wins, agreement before support."""
        version = said[VERSION_KEY]
        if type(version) is not str:
            raise invalid(f"_meta.{VERSION_KEY}", "a string")
        header = arrival.headers.get(VERSION_HEADER)
        # Headers that are missing or name a legacy revision would have the body judged by other rules.
        if header is None or header in _LEGACY_HEADERS or header != version.encode():
            raise Refusal(Reason.HEADER_MISMATCH, "MCP-Protocol-Version is not what the body says")
        if version != MODERN:
            raise _unsupported(version)
        if not message.is_request:
            require_agreement(arrival, message.method, None, demanded=False)
            return _notification(arrival, principal, message, Era.MODERN, MODERN)
        return self._request(arrival, principal, message, said, Era.MODERN, _STATELESS)

    def _read_other(self, arrival: Arrival, principal: Principal, message: Message, said: Mapping[str, Any]) -> Call:
        """A body without the modern key: legacy, unless its header says that it should have had one.

        ``initialize`` negotiates only by its body: its client does not know yet which revisions are served.
        """
        if message.method == INITIALIZE and message.is_request:
            return self._request(arrival, principal, message, said, Era.LEGACY, _UNOPENED)
        header = arrival.headers.get(VERSION_HEADER)
        if header and header not in _LEGACY_HEADERS:
            if header != _MODERN_HEADER:
                raise _unsupported(header.decode("latin-1"))
            if message.is_request:
                raise invalid(f"_meta.{VERSION_KEY}", f"required: {MODERN}, as the header says")
            if message.answers is not None:
                # Nothing is asked of a modern client but in a result: it has no request of ours to answer.
                raise Refusal(Reason.MESSAGE_MALFORMED, "a posted response")
            # No notification of the modern era means anything over HTTP: it is taken and dropped.
            require_agreement(arrival, message.method, None, demanded=False)
            return _notification(arrival, principal, message, Era.MODERN, MODERN)
        session = self._session(arrival, principal)
        if not message.is_request:
            require_agreement(arrival, message.method, None, demanded=False)
            if message.answers is not None:
                return _answer(arrival, principal, message, session)
            return _notification(arrival, principal, message, Era.LEGACY, session.version, session.id)
        return self._request(arrival, principal, message, said, Era.LEGACY, session)

    def _request(
        self,
        arrival: Arrival,
        principal: Principal,
        message: Message,
        said: Mapping[str, Any],
        era: Era,
        session: Session,
    ) -> Call:
        method, said_params = message.method, message.params
        is_modern = era is Era.MODERN
        kind = (self._modern if is_modern else self._legacy)[arrival.server].get(method)
        target = mirrored_target(method, said_params) if kind is not None else None
        require_agreement(arrival, method, target, demanded=is_modern)
        declared = meta.capabilities(said) if is_modern else session.capabilities
        if kind is None:
            raise Refusal(Reason.METHOD_UNKNOWN)
        params.require_params(method, said_params)
        if kind is Kind.TASK and (missing := lacks(declared, NEEDS_TASKS)) is not None:
            raise Refusal(Reason.CAPABILITY_MISSING, method, Lacking(missing))
        has_arguments = (kind is Kind.TOOL or method == GET_PROMPT) and said_params.get("arguments") is not None
        inputs, state = _NO_META, None
        if is_modern and ("requestState" in said_params or "inputResponses" in said_params):
            inputs, state = params.inputs(said_params), params.state(said_params)
        token, level, traced = None, None, _NO_TRACE
        if not said.keys() <= _PLAIN:
            token, traced = meta.progress_token(said), meta.trace(said)
            level = meta.log_level(said) if is_modern else None
        return Call(
            arrival=arrival,
            principal=principal,
            era=era,
            version=session.version,
            kind=kind,
            method=method,
            id=message.id,
            target=target if target is not None else other_target(method, said_params),
            arguments=arguments_of(message, arrival.body) if has_arguments else None,
            # Only validation reads a tool's arguments, from their raw bytes.
            params=_NO_META if kind is Kind.TOOL else said_params,
            progress_token=token,
            log_level=level,
            trace=traced,
            capabilities=declared,
            session=session.id or None,
            introduction=self._introductions[arrival.server] if is_modern else b"",
            meta=said,
            inputs=inputs,
            state=state,
        )

    def _session(self, arrival: Arrival, principal: Principal) -> Session:
        token = arrival.headers.get(SESSION_HEADER)
        if token is None:
            raise Refusal(Reason.SESSION_MISSING)
        session = self.sessions.open(token, principal)
        if session is None:
            # One answer for forged, foreign, old and ended: no oracle.
            raise Refusal(Reason.SESSION_UNKNOWN)
        # The session's own version rules. Clients are known to send another one that is served; one that is not was
        # refused before.
        return session

    def _read_bare(self, arrival: Arrival, principal: Principal) -> Call:
        """Read a request without a body: HTTP GET opens a stream of a legacy session, DELETE ends the session.

        The modern era has neither, and no other verb reaches this package. A GET without a session asks for a stream
        that is not offered: 405 (2025-11-25, transports page), whatever version it names.
        """
        header = arrival.headers.get(VERSION_HEADER)
        opens = arrival.verb == "GET"
        if (
            arrival.verb not in {"DELETE", "GET"}
            or header == _MODERN_HEADER
            or (opens and not arrival.headers.get(SESSION_HEADER))
        ):
            raise Refusal(Reason.VERB_REFUSED, "", Allow("POST"))
        require_single(arrival)
        if header and header not in _LEGACY_HEADERS:
            raise _unsupported(header.decode("latin-1"))
        session = self._session(arrival, principal)
        return Call(
            arrival=arrival,
            principal=principal,
            era=Era.LEGACY,
            version=session.version,
            kind=Kind.STREAM if opens else Kind.LIFECYCLE,
            method=OPEN_STREAM if opens else END_SESSION,
            session=session.id,
            capabilities=session.capabilities,
            last_event=_last_event(arrival) if opens else None,
        )


def _last_event(arrival: Arrival) -> str | None:
    """Return the event after which a stream is resumed; an empty id is none (HTML, server-sent events)."""
    said = arrival.headers.get(EVENT_HEADER)
    if not said:
        return None
    if not _EVENT.fullmatch(said):
        raise Refusal(Reason.EVENT_UNKNOWN, "the event id is not one of ours")
    return said.decode("ascii")


def _answer(arrival: Arrival, principal: Principal, message: Message, session: Session) -> Call:
    """A legacy client's response to a question of ours."""
    return Call(
        arrival=arrival,
        principal=principal,
        era=Era.LEGACY,
        version=session.version,
        kind=Kind.ANSWER,
        method=RESPOND,
        id=message.answers,
        params=message.params,
        capabilities=session.capabilities,
        session=session.id,
    )


def _notification(
    arrival: Arrival, principal: Principal, message: Message, era: Era, version: str, session: str | None = None
) -> Call:
    return Call(
        arrival=arrival,
        principal=principal,
        era=era,
        version=version,
        kind=Kind.NOTIFICATION,
        method=message.method,
        params=message.params,
        session=session,
    )


def _unread(no: Refusal, arrival: Arrival, value: object, message: Message | None, said: object) -> Unread:
    """Return what the answer to a refused message depends on: its era, its id or a batch's, whether it has any."""
    if message is None and type(value) is dict and type(given := value.get("params")) is dict:
        said = given.get("_meta")
    is_modern = arrival.headers.get(VERSION_HEADER) == _MODERN_HEADER or (type(said) is dict and VERSION_KEY in said)
    if message is not None:
        return Unread(not is_modern, message.id, is_one_way=not message.is_request)
    known = no.find(Unread)
    ids = batch_ids(value) if type(value) is list and not is_modern else ()
    return Unread(not is_modern, None if known is None else known.id, tuple(ids))


def _unsupported(requested: str) -> Refusal:
    return Refusal(Reason.VERSION_UNSUPPORTED, "", Versions(tuple(SUPPORTED), requested))
