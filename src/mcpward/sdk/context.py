"""The context of a running function: its caller, progress, log messages, questions to the client."""

from collections.abc import Awaitable, Generator, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar, overload

from msgspec import Struct

from mcpward.core.exchange import Token
from mcpward.core.values import AuthMethod
from mcpward.sdk.client.ask import Askable, Root, Roots
from mcpward.sdk.client.elicitation import Elicit, Elicited, ElicitUrl
from mcpward.sdk.client.sampling import Sample, Sampled
from mcpward.sdk.content import Content, Message
from mcpward.sdk.environment import env
from mcpward.sdk.errors import ExchangeRefused

__all__ = ["Asker", "Caller", "Context", "Exchanger", "Reporter", "env"]

T = TypeVar("T")


class Exchanger(Protocol):
    """Gets tokens for one caller while its call runs. The tools package has the one implementation."""

    async def exchange(self, audience: str, scopes: frozenset[str]) -> Token:
        """Return a token for an upstream; see :meth:`Caller.exchange`."""
        ...


class Caller(Struct, frozen=True, kw_only=True, dict=True):
    """The caller, as mcpward established it. The model can neither see nor set any of this.

    ``subject`` is the caller's stable name within its ``way`` and ``issuer``: the key's root id, the token's subject,
    or a name for the nameless. ``name`` is what the operator called a key; elsewhere it is the subject again.
    ``client`` is the OAuth client that the token was issued to, ``claims`` those of the token that the operator chose.
    ``tags`` are those of its API key (``key create --tag tenant=acme``), by name; one without a value has "".
    """

    subject: str
    name: str
    server: str
    way: AuthMethod
    issuer: str = "mcpward"
    client: str = ""
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = {}
    key_id: str | None = None
    tags: Mapping[str, str] = {}

    async def exchange(self, *, audience: str = "", scope: str | Iterable[str] = ()) -> Token:
        """Return an access token for an upstream that acts for this caller (RFC 8693), by the caller's own provider.

        ``audience`` is what the provider calls the upstream, ``scope`` one word, several with spaces, or a list of
        them. The token is a :class:`~mcpward.core.secret.Secret` with ``expires_at`` and ``scopes``: it prints as
        ``***``, and only ``.reveal()`` gives its value. It is kept until shortly before its end, so ask whenever it
        is needed instead of keeping it.

        Raises:
            ExchangeRefused: the caller has no access token (a key, a task), or the provider gives none for this.
            ExchangeUnavailable: the provider does not answer as it should; later it may.
            ValueError: neither audience nor scope, or one that cannot be asked for.
            RuntimeError: the call is over, or this is another event loop.
        """
        exchanger: Exchanger | None = self.__dict__.get(_EXCHANGER)
        if exchanger is None:
            raise ExchangeRefused("the caller has no access token to exchange", "nothing-to-exchange")
        words = scope.split() if isinstance(scope, str) else scope
        return await exchanger.exchange(audience, frozenset(words))


#: Beside the fields: it is no fact about the caller, and neither compared nor written where the facts are.
_EXCHANGER: Final = "_exchanger"


def give_exchanger(caller: Caller, exchanger: Exchanger) -> None:
    """Let ``caller`` exchange its token while its call runs."""
    caller.__dict__[_EXCHANGER] = exchanger


class Reporter(Protocol):
    """The receiver of a running tool's messages. The tools package has the one implementation; usable from any
    thread.
    """

    def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Report progress to the caller."""
        ...

    def log(self, level: str, text: str) -> None:
        """Send one log message to the caller."""
        ...


class Asker(Protocol):
    """The channel from a running call to its client. The tools package has the one implementation."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """The request's ``_meta``."""
        ...

    @property
    def trace(self) -> Mapping[str, str]:
        """The request's trace context."""
        ...

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """The client's declared capabilities."""
        ...

    def next_key(self) -> str:
        """Return the key of the next question that has none."""
        ...

    async def ask(self, asked: Mapping[str, Askable]) -> dict[str, Any]:
        """Put all of them to the client in one round and return its answers, read, by key."""
        ...

    def run(self, awaitable: Any) -> Any:
        """Wait in a thread for what the event loop does meanwhile."""
        ...

    def release(self) -> None:
        """Signal the client to reconnect for the answer."""
        ...


class _Said:
    """The awaitable of something already done. Awaiting it hands the event loop one turn, so the message can leave."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        yield


_SAID = _Said()


class Context:
    """The running call. Reports work in ``async def`` functions (with ``await``) and in ``def`` functions (without).

    Questions are awaited; a ``def`` function waits for them with :meth:`run`. In the modern era (2026-07-28) a function
    that asks is ended, and begins again from its start when the answers have come: ask before you act, and ask the
    same in the same order. Answers are found again by their keys.
    """

    __slots__ = ("_asker", "_reporter", "caller", "request_id")

    def __init__(self, caller: Caller, request_id: str, reporter: Reporter, asker: Asker) -> None:
        self.caller = caller
        self.request_id = request_id
        self._reporter = reporter
        self._asker = asker

    @property
    def meta(self) -> Mapping[str, Any]:
        """The request's ``_meta``, as the client wrote it: a stranger's words. Read-only."""
        return MappingProxyType(dict(self._asker.meta))

    @property
    def trace(self) -> Mapping[str, str]:
        """W3C trace context of the request (``traceparent``, …), to hand on to what you call. Read-only."""
        return MappingProxyType(dict(self._asker.trace))

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """The client's declared capabilities (``elicitation``, ``sampling``, ``roots``, …). Read-only."""
        return MappingProxyType(dict(self._asker.capabilities))

    def report_progress(
        self, progress: float, total: float | None = None, message: str | None = None
    ) -> Awaitable[None]:
        """Report progress to the caller; sent only if the caller asked for it.

        ``progress`` must grow: reports that do not, and those above about 20 a second, are left out.

        Raises:
            ValueError: ``progress`` or ``total`` is not a finite number.
        """
        self._reporter.progress(progress, total, message)
        return _SAID

    def debug(self, text: str) -> Awaitable[None]:
        """Send a debug message to the caller. Nothing private belongs in it."""
        self._reporter.log("debug", text)
        return _SAID

    def info(self, text: str) -> Awaitable[None]:
        """Send an info message to the caller."""
        self._reporter.log("info", text)
        return _SAID

    def warning(self, text: str) -> Awaitable[None]:
        """Send a warning to the caller."""
        self._reporter.log("warning", text)
        return _SAID

    def error(self, text: str) -> Awaitable[None]:
        """Send an error message to the caller; the tool goes on."""
        self._reporter.log("error", text)
        return _SAID

    @overload
    async def elicit(self, message: str, model: type[T], *, key: str | None = None) -> Elicited[T]: ...

    @overload
    async def elicit(
        self, message: str, model: None = None, *, schema: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Elicited[dict[str, Any]]: ...

    async def elicit(
        self, message: str, model: Any = None, *, schema: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Elicited[Any]:
        """Ask the person by a form; see :class:`~mcpward.sdk.client.elicitation.Elicit`. Never for a secret.

        Raises:
            AuthoringError: the form has fields that no form has, or asks for a secret.
        """
        answer: Elicited[Any] = await self._ask(Elicit(message, model, schema=schema), key)
        return answer

    async def elicit_url(self, message: str, url: str, *, key: str | None = None) -> Elicited[None]:
        """Ask the person to open a page; see :class:`~mcpward.sdk.client.elicitation.ElicitUrl`.

        Raises:
            ValueError: the URL is not ``https``.
        """
        answer: Elicited[None] = await self._ask(ElicitUrl(message, url), key)
        return answer

    async def sample(
        self,
        messages: str | Sequence[Message | Content | str],
        *,
        max_tokens: int,
        system: str | None = None,
        temperature: float | None = None,
        key: str | None = None,
        **more: Any,
    ) -> Sampled:
        """Ask the client's model; ``more`` as in :class:`~mcpward.sdk.client.sampling.Sample`."""
        asked = Sample(messages, max_tokens=max_tokens, system=system, temperature=temperature, **more)
        answer: Sampled = await self._ask(asked, key)
        return answer

    async def roots(self, *, key: str | None = None) -> list[Root]:
        """Ask for the folders that the client works on."""
        answer: list[Root] = await self._ask(Roots(), key)
        return answer

    async def ask(self, **asked: Askable) -> dict[str, Any]:
        """Ask several things in one round; each is answered under its own name."""
        return await self._asker.ask(asked)

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait, in a ``def`` function, for a question, or a token: ``context.run(context.elicit(…))``."""
        answer: T = self._asker.run(awaitable)
        return answer

    def release_stream(self) -> None:
        """End the HTTP answer while the call goes on; the client comes back for the result (2025-11-25 only)."""
        self._asker.release()

    async def _ask(self, asked: Askable, key: str | None) -> Any:
        chosen = key if key is not None else self._asker.next_key()
        return (await self._asker.ask({chosen: asked}))[chosen]
