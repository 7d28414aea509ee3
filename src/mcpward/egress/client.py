"""The HTTP client that everything outbound goes through: bounded in time, size and number.

It stands on httpcore, the layer below httpx: there are no redirects, cookies, proxies from the environment, netrc files
or content codings to be switched off. It never follows, stores or forwards anything.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeVar
from urllib.parse import quote_plus

from httpcore2 import (
    URL,
    AsyncConnectionPool,
    ConnectError,
    NetworkError,
    ProtocolError,
    Response,
    TimeoutException,
)

from mcpward.core.fair_timeout import fair_timeout
from mcpward.core.secret import Secret, value_of
from mcpward.egress.binding import require_permitted
from mcpward.egress.concurrency import AT_ONCE, Concurrency
from mcpward.egress.failures import EgressFailed, Failure
from mcpward.egress.guard import Guard
from mcpward.egress.outgoing import OutgoingRequest
from mcpward.egress.response import Fetched, Received, read, receive
from mcpward.egress.url import Url, parse
from mcpward.egress.wire import PinnedSockets, tls

_MOST_CONNECTIONS: Final = 64
_MOST_IDLE: Final = 16
# Node closes idle connections after 5 s. Ours close first, so that no request meets a closing connection.
_IDLE_S: Final = 4.0
#: A body of this size is searched for secrets in a thread: a megabyte takes many milliseconds.
_LARGE: Final = 32_768
_FIELD: Final = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
_Headers = list[tuple[bytes, bytes]]
_NONE: Final[Mapping[str, str | Secret]] = {}
T = TypeVar("T")


class Client:
    """Calls the hosts that the guard allows. It belongs to the event loop in which it is first used.

    ``timeout_s`` is for the whole of a call, from the wait for a slot to the last byte of the body. ``per_endpoint``
    bounds the calls to one endpoint, ``max_connections`` the sockets to all of them.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        timeout_s: float = 5.0,
        user_agent: str = "mcpward",
        tls: ssl.SSLContext | None = None,
        per_endpoint: int = AT_ONCE,
        max_connections: int = _MOST_CONNECTIONS,
    ) -> None:
        self._guard = guard
        self._timeout_s = timeout_s
        self._user_agent = _field(user_agent)
        self._tls = tls
        self._lanes = Concurrency(per_endpoint)
        self._max_connections = max_connections
        self._pools: dict[str, AsyncConnectionPool] = {}
        self._is_closed = False

    async def get_json(
        self,
        url: str,
        *,
        max_bytes: int = 262_144,
        accept: str = "application/json",
        headers: Mapping[str, str | Secret] = _NONE,
    ) -> Fetched:
        """Fetch a JSON document. Any status but a redirect is an answer: look at it before the value.

        ``headers`` are sent with it, once: no redirect takes them elsewhere.

        Raises :class:`EgressRefused` and :class:`EgressFailed`.
        """
        fields = [(b"Accept", _field(accept))]
        fields += [(name.encode("ascii"), _field(_plain(value))) for name, value in headers.items()]
        return await self._call("GET", parse(url), fields, None, partial(read, max_bytes=max_bytes))

    async def post_form(
        self,
        url: str,
        fields: Mapping[str, str | Secret],
        *,
        auth: tuple[str, Secret] | None = None,
        max_bytes: int = 65_536,
    ) -> Fetched:
        """Send a form and return the JSON that comes back, for example OAuth's error of a 400.

        ``auth`` is client_secret_basic: both halves are form-encoded first (RFC 6749, 2.3.1).

        Raises :class:`EgressRefused` and :class:`EgressFailed`.
        """
        headers = [(b"Accept", b"application/json"), (b"Content-Type", b"application/x-www-form-urlencoded")]
        if auth is not None:
            pair = f"{quote_plus(auth[0])}:{quote_plus(value_of(auth[1]))}"
            headers.append((b"Authorization", b"Basic " + base64.b64encode(pair.encode())))
        form = "&".join(f"{quote_plus(name)}={quote_plus(_plain(value))}" for name, value in fields.items())
        return await self._call("POST", parse(url), headers, form.encode(), partial(read, max_bytes=max_bytes))

    async def send(self, outgoing: OutgoingRequest, *, max_bytes: int) -> Received:
        """Send a request of a tool, and return any response, redirects among them.

        Raises :class:`EgressRefused`, also for a bound secret in the wrong place, and :class:`EgressFailed`.
        """
        if outgoing.content is not None and len(outgoing.content) > _LARGE:
            await asyncio.to_thread(require_permitted, outgoing)
        else:
            require_permitted(outgoing)
        headers = [(name.encode(), value.encode()) for name, value in outgoing.headers]
        take = partial(receive, max_bytes=max_bytes, has_body=outgoing.method != "HEAD")
        return await self._call(outgoing.method, outgoing.url, headers, outgoing.content, take)

    async def close(self) -> None:
        """Close every connection. Calls that are under way fail, and so do all that come later."""
        self._is_closed = True
        for pool in self._pools.values():
            await pool.aclose()

    async def _call(
        self,
        method: str,
        url: Url,
        headers: _Headers,
        content: bytes | None,
        take: Callable[[Response], Awaitable[T]],
    ) -> T:
        try:
            async with fair_timeout(self._timeout_s), self._lanes.enter(url.endpoint):
                if self._is_closed:
                    raise EgressFailed(Failure.CLOSED, "the client is closed")
                return await self._exchange(method, url, headers, content, take)
        except (TimeoutError, TimeoutException):
            raise EgressFailed(Failure.TIMEOUT, f"{url.origin} did not answer within {self._timeout_s:g} s") from None
        except ConnectError as error:
            raise _unconnected(url, error) from None
        except (NetworkError, OSError):  # a TLS alert after the handshake comes as it is
            raise EgressFailed(Failure.UNREACHABLE, f"{url.origin} ended the connection") from None
        except ProtocolError:
            raise EgressFailed(Failure.PROTOCOL_BROKEN, f"{url.origin} does not speak HTTP/1.1 as it should") from None

    async def _exchange(
        self,
        method: str,
        url: Url,
        headers: _Headers,
        content: bytes | None,
        take: Callable[[Response], Awaitable[T]],
    ) -> T:
        every = [(b"Host", url.authority.encode())]
        if not any(name == b"user-agent" for name, _ in headers):
            every.append((b"User-Agent", self._user_agent))
        every += [(b"Accept-Encoding", b"identity"), *headers]
        place = URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target)
        extensions = {"timeout": {"connect": self._timeout_s}}
        pool = self._pool(url.scheme)
        response: Response
        async with pool.stream(method, place, headers=every, content=content, extensions=extensions) as response:
            return await take(response)

    def _pool(self, scheme: str) -> AsyncConnectionPool:
        """Return the connections of one scheme. There are two pools: http:// has a rule of its own in the guard."""
        if scheme not in self._pools:
            is_plain = scheme == "http"
            self._pools[scheme] = AsyncConnectionPool(
                ssl_context=None if is_plain else self._tls or tls(),
                max_connections=self._max_connections,
                max_keepalive_connections=min(_MOST_IDLE, self._max_connections),
                keepalive_expiry=_IDLE_S,
                network_backend=PinnedSockets(self._guard, is_plain=is_plain),
            )
        return self._pools[scheme]


def _unconnected(url: Url, error: ConnectError) -> EgressFailed:
    if any(isinstance(cause, ssl.SSLError) for cause in error.args):  # httpcore keeps what it translates there
        return EgressFailed(Failure.TLS_FAILED, f"{url.origin} has no certificate that is trusted for its name")
    return EgressFailed(Failure.UNREACHABLE, f"{url.origin} cannot be connected to")


def _field(text: str) -> bytes:
    """Return a header field's value. Raises :class:`ValueError` for what could be more than one line (attack 83)."""
    if not _FIELD.fullmatch(text):
        raise ValueError("a header field's value is not printable ASCII")
    return text.encode("ascii")


def _plain(value: str | Secret) -> str:
    return value_of(value) if isinstance(value, Secret) else value
