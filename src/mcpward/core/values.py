"""The values that travel through mcpward. Each stage takes one of these and returns the next; all are frozen.

``Arrival`` (ingress) → ``Principal`` (identity) → ``Call`` (protocol) → ``AcceptedCall`` (validation) → ``Outcome``
(sanitize) → ``Reply``.
"""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, Protocol

from msgspec import Struct

from mcpward.core.caller_values import CallerValues
from mcpward.core.effort import Effort
from mcpward.core.question_text import Wording
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.core.unbounded import Unbounded


class Rate(Struct, frozen=True):
    """``count`` calls per ``per_s`` seconds, at most ``burst`` of them at once."""

    count: int
    per_s: float
    burst: int


class Period(Enum):
    """The length of a quota's period. Periods are those of the calendar in UTC: a day begins at midnight for all
    callers.
    """

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Quota(Struct, frozen=True):
    """``count`` in each ``period``; nothing is carried over."""

    count: int
    period: Period


class Enforcement(Struct, frozen=True):
    """The enforcement of a limit. Without ``enforce`` it is counted and reported ("would refuse"), and never refuses.

    ``on_store_failure`` is the policy while the shared counters are away: ``closed`` refuses, ``open`` lets pass,
    ``local`` lets each process grant a share of the limit by itself.
    """

    enforce: bool = True
    on_store_failure: str = "local"


class RateLimit(Struct, frozen=True):
    """A rate with its enforcement: the content of one setting of a limit."""

    rate: Rate
    ruling: Enforcement = Enforcement()


class QuotaLimit(Struct, frozen=True):
    """A quota together with its ruling."""

    quota: Quota
    ruling: Enforcement = Enforcement()


class Budget(Struct, frozen=True, kw_only=True):
    """A resource behind tools that calls use up: a rate, a quota, or both; one for all tools that draw on it."""

    name: str
    rate: Rate | None = None
    quota: Quota | None = None
    ruling: Enforcement = Enforcement()


class Pool(Struct, frozen=True, kw_only=True):
    """A named resource of which a few calls may hold a slot at once: a database's connections, a licence, a GPU.

    ``queue`` calls may wait for a slot, each for ``queue_timeout_s`` seconds.
    """

    name: str
    slots: int
    queue: int = 128
    queue_timeout_s: float = 5.0
    on_store_failure: str = "local"


class HeadVerdict(Struct, gc=False):
    """Per-connection cache of results derived from a request head, as long as the connection sends the same bytes.

    ``key_id`` names the API key that its credential proved to be. Whether the key still opens anything is checked anew.
    ``tool`` is the tool that its routing headers name for a modern call.
    """

    key_id: str | None = None
    tool: str | None = None


class Arrival(Struct, frozen=True, eq=False, gc=False):
    """One HTTP request to one MCP server, past the gates, with its body whole and unread.

    ``headers`` has lower-case names; a name in ``repeated`` came more than once (the first value is kept). ``bucket``
    is the peer's identity for counters: its IPv4 address, or its IPv6 /64. ``visit`` is set if the same head may come
    again. ``url`` is the URL of the server that was used, "" for its stable one. ``connection`` is the number of the
    client's own connection, 0 if it is a proxy's.
    """

    id: str
    at: float
    started: float
    peer: str
    bucket: str
    verb: str
    server: str
    headers: Mapping[bytes, bytes]
    repeated: frozenset[bytes] = frozenset()
    body: bytes = b""
    path_secret: Secret | None = None
    visit: HeadVerdict | None = None
    url: str = ""
    connection: int = 0

    def __repr__(self) -> str:
        # Headers carry the credential and the body may carry anything: neither is ever printed.
        return f"Arrival(id={self.id!r}, server={self.server!r}, verb={self.verb!r}, peer={self.peer!r})"


class AuthMethod(Enum):
    """How a principal came in."""

    ANONYMOUS = "anonymous"
    UNLISTED = "unlisted"
    API_KEY = "api-key"
    OAUTH = "oauth"
    OPERATOR = "operator"
    """Named by the operator at the command line (``mcpward call``); never over HTTP."""


class Principal(Struct, frozen=True, kw_only=True, eq=False):
    """The caller's identity. Never holds the credential itself.

    ``key`` is the only definition of "the same caller": limits, sessions, sealed state and traffic use it. ``tools`` is
    None if every tool of the server may be used; ``networks`` were checked already. ``access`` is the lowest class
    unless the principal was made with another. ``claims`` are those of a token that the operator chose for tools to
    see, deeply frozen; ``tags`` are those of its key, by name. ``expires_at`` is when the token ends (seconds since
    1970), None for a credential without an end of its own. ``waiver`` names what lets the caller's calls run if its
    client cannot ask a person for consent, "key" or "scope"; None if nothing does.
    """

    key: str
    way: AuthMethod
    server: str
    subject: str
    issuer: str = "mcpward"
    client: str = ""
    key_id: str | None = None
    scopes: frozenset[str] = frozenset()
    tools: frozenset[str] | None = None
    access: Access = Access.READ
    rate: Rate | None = None
    claims: Mapping[str, Any] = {}
    tags: Mapping[str, str] = {}
    expires_at: float | None = None
    waiver: str | None = None


class Era(Enum):
    """The protocol generation that a request speaks: with sessions (≤ 2025-11-25) or without (2026-07-28)."""

    LEGACY = "legacy"
    MODERN = "modern"


class Kind(Enum):
    """The purpose of a message; decides which stages it passes."""

    TOOL = "tool"
    """``tools/call``: all stages."""
    CATALOGUE = "catalogue"
    """Lists and reads of a server's offers: filtered, charged to the discovery bucket."""
    LIFECYCLE = "lifecycle"
    """initialize, ping, discover, session end: answered by the package protocol itself."""
    NOTIFICATION = "notification"
    """No answer but 202."""
    ANSWER = "answer"
    """A legacy client's response to a question of ours; no answer but 202."""
    STREAM = "stream"
    """Opens a stream of changes: a legacy GET, or ``subscriptions/listen``."""
    TASK = "task"
    """``tasks/get``, ``tasks/update`` and ``tasks/cancel`` of the tasks extension."""


class Call(Struct, frozen=True, eq=False, gc=False):
    """One message of the protocol, classified and agreed with its headers; nothing of its arguments is read yet.

    ``target`` is the tool's name, the prompt's name or the resource's URI (empty if there is none). ``arguments`` are
    the raw JSON bytes of ``params.arguments``, exactly as they came (None when absent). ``introduction`` is the
    response's description of the server (modern era), encoded by protocol for its own reply. ``capabilities`` are those
    that the client declared: with this request, or in the legacy era when its session began. ``meta`` is the request's
    ``_meta`` as it came. ``inputs`` and ``state`` are ``inputResponses`` and ``requestState`` (modern era);
    ``last_event`` is the ``Last-Event-ID`` of a legacy GET.

    The fields of every modern call stand first: passed by position, which costs far less than by name.
    """

    arrival: Arrival
    principal: Principal
    era: Era
    version: str
    kind: Kind
    method: str
    id: int | str | None = None
    target: str = ""
    arguments: bytes | None = None
    capabilities: Mapping[str, Any] = {}
    introduction: bytes = b""
    meta: Mapping[str, Any] = {}
    params: Mapping[str, Any] = {}
    trace: Mapping[str, str] = {}
    inputs: Mapping[str, Any] = {}
    progress_token: int | str | None = None
    log_level: str | None = None
    session: str | None = None
    state: str | None = None
    last_event: str | None = None


class UnknownArguments(Enum):
    """The handling of arguments of a call that its tool does not declare."""

    REFUSE = "refuse"
    """The call is refused."""
    DROP_CLIENT = "drop-client"
    """The names that clients add for themselves are dropped, and any other is refused."""
    DROP = "drop"
    """They are dropped."""


class Draw(Struct, frozen=True, kw_only=True, eq=False):
    """The draw of one call of a tool on a budget: ``cost``, or the result of ``cost_of`` for its bound arguments.

    ``argument`` names the argument that the cost comes from, if it is a single one, for messages.
    """

    budget: str
    cost: int = 1
    cost_of: Callable[[Mapping[str, Any]], int] | None = None
    argument: str = ""


def _as_it_is(value: Any) -> Any:
    return value


class Tool(Struct, frozen=True, kw_only=True, eq=False):
    """One tool as mcpward knows it. ``bind`` turns raw argument bytes into keyword arguments.

    ``bind`` raises :class:`~mcpward.core.errors.Refusal` (arguments-invalid, argument-dangerous). ``run`` begins a call
    and returns an awaitable of the author's result, of which ``shape`` makes a :class:`RawResult`. ``listing`` is the
    tool's entry in ``tools/list``, ready to encode. ``confirm`` if a person must agree first, ``question`` is the text
    of the request ("" for mcpward's own), ``wording`` its parts if arguments stand in it, and ``asker`` begins the call
    of a function that returns it. ``parameter_of`` maps published names of arguments to the function's own where they
    differ. ``ask_first`` makes a tool that runs as a task put its questions before the task begins. ``mirrored`` maps
    each header (``mcp-param-…``, lower-case) to the path of the argument that it repeats (``x-mcp-header``). ``task``
    states whether the tool may (``optional``) or must (``required``) run as a task of the tasks extension.
    ``concurrency`` calls of it may run at once (None: as many as its server allows). It holds a slot in each of
    ``pools`` while it runs, and draws on budgets by ``draws``. ``unknown_arguments`` is the handling of those that the
    schema does not have. ``untrusted`` names the origin of what it returns if strangers write that. ``asks_tainted``
    has a person agree while the conversation has read such a result. ``suspects`` finds the parts of raw arguments that
    must be checked before they are bound: None if there are none. ``effort`` is the cost of binding them, None unless
    it is known to be more than reading them. ``caller_values`` fills the arguments that are the caller's own, None if
    there are none. ``inquire`` asks the guards that have to wait about bound arguments, and raises ``Refusal``; None if
    there are none. ``guards`` are all guards in words. ``unbounded`` are the parts of the arguments that the author
    left without a bound. ``owned`` returns a result with only the caller's own rows, and raises ``Refusal``
    (output-refused); None if rows have no owner.
    """

    server: str
    name: str
    access: Access
    listing: Mapping[str, Any]
    bind: Callable[[bytes], dict[str, Any]]
    run: Callable[..., Any]
    shape: Callable[[Any], Any] = _as_it_is
    scopes: frozenset[str] = frozenset()
    rate: Rate | None = None
    deadline_s: float = 30.0
    confirm: bool = False
    question: str = ""
    wording: Wording | None = None
    asker: Callable[..., Any] | None = None
    parameter_of: Mapping[str, str] = {}
    structured: bool = False
    mirrored: Mapping[bytes, tuple[str, ...]] = {}
    task: str | None = None
    ask_first: bool = False
    concurrency: int | None = None
    pools: tuple[str, ...] = ()
    draws: tuple[Draw, ...] = ()
    unknown_arguments: UnknownArguments = UnknownArguments.DROP_CLIENT
    untrusted: str | None = None
    asks_tainted: bool = False
    suspects: Callable[[bytes], object | None] | None = None
    effort: Effort | None = None
    caller_values: CallerValues | None = None
    inquire: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None
    guards: tuple[str, ...] = ()
    unbounded: tuple[Unbounded, ...] = ()
    owned: "Callable[[Principal, RawResult], RawResult] | None" = None


class AcceptedCall(Struct, frozen=True, eq=False, gc=False):
    """A tool call whose arguments are well-formed and sensible: the only thing that ``tools.run`` takes.

    ``dropped`` names arguments that came with it and that its tool does not declare, fit to be shown.
    """

    call: Call
    tool: Tool
    arguments: Mapping[str, Any]
    dropped: tuple[str, ...] = ()


class RawResult(Struct, frozen=True, eq=False, gc=False):
    """A tool's result, in the protocol's shape but not yet fit to leave.

    ``content`` are content blocks as the specification has them; ``structured`` is None if the tool has no output
    schema. ``misfit`` returns the part of decoded structured content that the output schema does not allow, or None.
    ``is_mirrored`` if the text is the structured content once more, which a limit in bytes counts once. ``size`` is
    about the number of bytes of both if that was known when they were made, else 0.
    """

    content: list[dict[str, Any]]
    structured: Any = None
    is_error: bool = False
    meta: Mapping[str, Any] = {}
    misfit: Callable[[Any], str | None] | None = None
    is_mirrored: bool = False
    size: int = 0


class Outcome(Struct, frozen=True, eq=False, gc=False):
    """A result that may leave: ``body`` is the JSON object of ``content``, ``structuredContent`` and ``isError``.

    A ``_meta`` of the result's own stands first in it. ``screened`` names the kind of each thing that was taken out
    though it is no secret of the site.
    """

    body: bytes
    is_error: bool = False
    redactions: int = 0
    screened: tuple[str, ...] = ()


class Reply(Struct, frozen=True, eq=False, gc=False):
    """The response. ``reason`` is the refusal's name, or None if mcpward accepted.

    ``event_id`` names the response if it leaves as an event of a stream that can be resumed. An empty body ends a
    stream without a last event.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    reason: str | None = None
    error_id: str | None = None
    event_id: str | None = None


class ResponseStream(Protocol):
    """The way back to the caller while a call is still running; ingress owns it.

    ``notify`` sends one JSON-RPC notification that has been through sanitize, turning the answer into an
    event stream; a call that never notifies is answered with plain JSON.
    """

    def notify(self, message: bytes, event_id: str | None = None) -> None:
        """Send one clean JSON-RPC message as an event. Dropped without an error when the caller has gone.

        ``event_id`` becomes the event's ``id`` (legacy streams that can be resumed). An empty ``message`` with an id is
        the priming event of SEP-1699: a position to resume from, before the first message.
        """
        ...

    @property
    def streaming(self) -> bool:
        """Whether the answer has become an event stream, so that its status was sent: 200."""
        ...

    @property
    def is_gone(self) -> bool:
        """Whether the caller has left, or its stream was released."""
        ...

    @property
    def can_stream(self) -> bool:
        """Whether the caller reads event streams."""
        ...

    def let_in(self, *, is_known: bool) -> None:
        """Mark the caller as admitted; ``is_known``: it has shown a valid credential, so its connection is closed
        last.
        """
        ...

    def queue(self, *, cancel_on_disconnect: bool) -> None:
        """Mark the call as waiting: if the era allows it, a caller that hangs up leaves the queue.

        Raises:
            CancelledError: the caller has left already, and its leaving cancels.
        """
        ...

    def begin(self, *, cancel_on_disconnect: bool, endless: bool = False) -> None:
        """Mark the start of the work: from here on the response may become a stream, with comments to keep it alive.

        ``cancel_on_disconnect`` makes the caller's disconnect cancel the call (modern era; never legacy). ``endless``
        if the stream lasts until one side leaves. It is opened at once, and cancelled at once when the server stops,
        instead of being waited for (``is_gone`` is false then).

        Raises:
            CancelledError: the caller has left already, and its leaving cancels.
        """
        ...

    async def drained(self) -> None:
        """Return when the caller has read most of what was sent to it, or has gone."""
        ...

    def release(self, retry_ms: int) -> None:
        """End the HTTP response now while the call goes on, and tell the client when to retry.

        No effect if the response is no stream yet.
        """
        ...
