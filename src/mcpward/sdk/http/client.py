"""The requests of one server's tools: to hosts on its list, a few at once, callers in turn, in a bounded time."""

import ssl
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from mcpward.core.fair_timeout import fair_timeout
from mcpward.egress.address import Network
from mcpward.egress.client import Client
from mcpward.egress.failures import EgressFailed, EgressRefused, Failure
from mcpward.egress.guard import Guard, Lookup, ask_system
from mcpward.egress.host_list import HostList
from mcpward.egress.outgoing import OutgoingRequest
from mcpward.egress.response import Received
from mcpward.sdk.database.lease import Leases
from mcpward.sdk.http.errors import HttpFailed, HttpRefused
from mcpward.sdk.http.http_response import Headers, Response
from mcpward.sdk.http.redirect import MOST, is_redirect, redirected


class HttpPolicy(Struct, frozen=True):
    """What the tools of a server may call: hosts that are on all ``lists``, in public networks and those of ``allow``.

    Times are in seconds, sizes in bytes.
    """

    lists: tuple[tuple[str, ...], ...] = ()
    allow: tuple[Network, ...] = ()
    timeout_s: float = 10.0
    max_bytes: int = 4 * 1024 * 1024
    max_connections: int = 20


def strictest(policies: Sequence[HttpPolicy]) -> HttpPolicy:
    """Return the policy for code that belongs to no server: no private network, and only hosts that all may call."""
    if not policies:
        return HttpPolicy()
    return HttpPolicy(
        lists=tuple(entries for policy in policies for entries in policy.lists),
        timeout_s=min(policy.timeout_s for policy in policies),
        max_bytes=min(policy.max_bytes for policy in policies),
        max_connections=min(policy.max_connections for policy in policies),
    )


class ServerClient:
    """Sends what tools compose. It belongs to the event loop in which it is first used."""

    def __init__(
        self,
        policy: HttpPolicy,
        user_agent: str = "mcpward",
        *,
        lookup: Lookup = ask_system,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._lists = [HostList(entries) for entries in policy.lists]
        self._leases = Leases(policy.max_connections)
        self._client = Client(
            Guard(policy.allow, lookup),
            timeout_s=policy.timeout_s,
            user_agent=user_agent,
            tls=tls,
            per_endpoint=policy.max_connections,
            max_connections=policy.max_connections,
        )

    async def send(self, outgoing: OutgoingRequest, *, timeout_s: float | None, follow_redirects: bool) -> Response:
        """Send a request and return the response.

        Raises:
            HttpRefused: it may not leave.
            HttpFailed: no usable response came.
        """
        limit_s = self._policy.timeout_s if timeout_s is None else min(timeout_s, self._policy.timeout_s)
        try:
            async with fair_timeout(limit_s):
                return await self._follow(outgoing, MOST if follow_redirects else 0)
        except TimeoutError:
            raise _late(outgoing, limit_s) from None
        except EgressFailed as failed:
            raise HttpFailed(failed.detail, failed.why.value) from None
        except EgressRefused as refused:
            raise told(refused) from None

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def _follow(self, outgoing: OutgoingRequest, redirects: int) -> Response:
        received = await self._one(outgoing)
        if redirects:
            for _ in range(redirects):
                if not is_redirect(received):
                    break
                outgoing = redirected(outgoing, received)
                received = await self._one(outgoing)
            else:
                if is_redirect(received):
                    detail = f"{outgoing.url.origin} is the end of {redirects} redirects, and leads on"
                    raise EgressFailed(Failure.REDIRECTED, detail)
        return Response(
            status=received.status,
            headers=Headers(received.headers),
            content=received.content,
            host=outgoing.url.authority,
        )

    async def _one(self, outgoing: OutgoingRequest) -> Received:
        if not all(entries.has(outgoing.url) for entries in self._lists):
            raise EgressRefused(Failure.HOST_NOT_ALLOWED, f"this server's tools may not call {outgoing.url.authority}")
        if outgoing.hosts is not None and not outgoing.hosts.has(outgoing.url):  # a redirect
            detail = f"{outgoing.url.authority} is not on the list of the guard of this URL"
            raise EgressRefused(Failure.HOST_NOT_ALLOWED, detail)
        async with self._leases.one():
            return await self._client.send(outgoing, max_bytes=self._policy.max_bytes)


_HINTS: Final = {
    Failure.HOST_NOT_ALLOWED: "the operator adds it to hosts in [servers.<name>.http]",
    Failure.ADDRESS_REFUSED: "the operator names its network in [egress] allow",
    Failure.PLAIN_REFUSED: "use https://",
    Failure.URL_MALFORMED: "a URL has at most 2,048 characters of ASCII: pass values by params=, or quote() them",
    Failure.USERINFO_REFUSED: 'pass auth=("user", env.PASSWORD)',
    Failure.FRAGMENT_REFUSED: "leave out everything from # on",
    Failure.SECRET_BOUND: "mcpward secret list shows the hosts of each secret; only the operator changes them",
}


def told(refused: EgressRefused) -> HttpRefused:
    """Return a refusal as a tool gets it."""
    return HttpRefused(refused.detail, refused.why.value, _HINTS.get(refused.why, ""))


def _late(outgoing: OutgoingRequest, seconds: float) -> HttpFailed:
    return HttpFailed(f"{outgoing.url.origin} did not answer within {seconds:g} s", Failure.TIMEOUT.value)
