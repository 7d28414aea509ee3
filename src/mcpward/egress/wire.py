"""Sockets for the HTTP client: each is opened to an address that the guard returned, and to nothing else.

The client keeps using the name: the Host line, the server name in the TLS handshake and the certificate's check are
about it. Only the socket is about the address.
"""

import ssl
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from httpcore2 import (
    SOCKET_OPTION,
    AnyIOBackend,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    ConnectError,
    ConnectTimeout,
    default_ssl_context,
)

from mcpward.egress.guard import Guard

_MOST_ATTEMPTS: Final = 4


@cache
def tls() -> ssl.SSLContext:
    """Return the process's one TLS context: the system's authorities, or ``SSL_CERT_FILE``; TLS 1.2 or newer."""
    context = default_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def tls_trusting(authorities: Path) -> ssl.SSLContext:
    """Return a TLS context that trusts the authorities of a PEM file, and no others; TLS 1.2 or newer.

    Raises:
        OSError: the file cannot be read, or holds no certificate.
    """
    context = ssl.create_default_context(cafile=str(authorities))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Socket(AsyncNetworkStream):
    """A socket before TLS. A cancelled handshake closes it: httpcore does so only for errors."""

    def __init__(self, socket: AsyncNetworkStream) -> None:
        self._socket = socket

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  as in httpcore
        """Read what has come, at most so much."""
        return await self._socket.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  as in httpcore
        """Write all of it."""
        await self._socket.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the socket at once."""
        await self._socket.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  as in httpcore
    ) -> AsyncNetworkStream:
        """Speak TLS from here on, about the name and not the address."""
        try:
            return await self._socket.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._socket.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore wants to know of a socket."""
        return self._socket.get_extra_info(info)


class PinnedSockets(AsyncNetworkBackend):
    """Opens sockets for httpcore. A kept connection stays with the address that was checked when it was opened."""

    def __init__(self, guard: Guard, *, is_plain: bool) -> None:
        self._guard = guard
        self._is_plain = is_plain
        self._sockets = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  as in httpcore
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to the first of a host's addresses that answers.

        Raises what :meth:`Guard.resolve` does, and httpcore's own :class:`ConnectError` and :class:`ConnectTimeout`.
        """
        addresses = (await self._guard.resolve(host, port, is_plain=self._is_plain))[:_MOST_ATTEMPTS]
        share = None if timeout is None else timeout / len(addresses)
        *others, last = map(str, addresses)
        for address in others:
            try:
                return _Socket(await self._sockets.connect_tcp(address, port, share, local_address, socket_options))
            except (ConnectError, ConnectTimeout):
                continue
        return _Socket(await self._sockets.connect_tcp(last, port, share, local_address, socket_options))
