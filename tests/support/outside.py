"""The world outside of mcpward, on loopback: HTTP servers of a test's own making, a certificate, a DNS server."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Answer = bytes | Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def http(body: bytes = b"{}", status: int = 200, media: str = "application/json", **fields: str) -> bytes:
    """Write an HTTP answer with its length. ``fields`` are header fields, ``_`` for ``-``."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    head = f"HTTP/1.1 {status} Said\r\ncontent-type: {media}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


EMPTY: Final = http()


class Outside:
    """A server that answers each request with the same bytes, or as a function says. A canary is one that counts."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.connections = 0
        self.came = asyncio.Condition()
        self.names: list[str | None] = []
        self.requests: list[bytes] = []
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await self._one(await self._request(reader), writer)
        writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        return head + await reader.readexactly(int(fields.get(b"content-length", 0)))

    async def _one(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        async with self.came:
            self.came.notify_all()
        if isinstance(self.answer, bytes):
            writer.write(self.answer)
            await writer.drain()
        else:
            await self.answer(request, writer)

    async def until(self, requests: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(10), self.came:
            await self.came.wait_for(lambda: len(self.requests) >= requests)

    async def gone(self) -> None:
        """Wait until the ends of all connections have been sent."""
        for writer in self._writers:
            with suppress(OSError):
                await writer.wait_closed()
        await asyncio.sleep(0.01)

    def hang_up(self) -> None:
        """End every connection."""
        for writer in self._writers:
            writer.close()

    def abort(self) -> None:
        """End every connection, and wait for no answer of the other side."""
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def outside(
    answer: Answer = EMPTY, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Outside]:
    """Serve on loopback until the block ends."""
    there = Outside(answer)
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: there.names.append(name)
    server = await asyncio.start_server(there.serve, host, port, ssl=tls)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()
        there.hang_up()
        if tls is not None:  # its end would wait for the other side's, which may be in another process
            there.abort()
        await asyncio.sleep(0)


def certificate_for(name: str, folder: Path, *more: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Sign a certificate for names or addresses with itself; give the server's context and one that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "outside")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = (
        made.serial_number(1).not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    )
    made = made.add_extension(x509.SubjectAlternativeName(list(map(_alternative, (name, *more)))), critical=False)
    pem = serialization.Encoding.PEM
    public, private = folder / "outside.pem", folder / "outside.key"
    public.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private.write_bytes(plain)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(public, private)
    return server, ssl.create_default_context(cafile=str(public))


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Names(asyncio.DatagramProtocol):
    """A DNS server (RFC 1035): for each name a list of answers, one list of addresses after the other, TTL 0."""

    def __init__(self, book: dict[str, Sequence[Sequence[str]]]) -> None:
        self.book = book
        self.asked: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        name, question = ".".join(labels), data[12 : at + 5]
        turns = self.book[name]
        addresses = turns[min(self.asked[name], len(turns) - 1)]
        self.asked[name] += 1
        records = [b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(address) for address in addresses]
        head = data[:2] + struct.pack("!HHHHH", 0x8180, 1, len(records), 0, 0)
        self.transport.sendto(head + question + b"".join(records), addr)  # type: ignore[attr-defined]  # of datagrams


class _Asking(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answer.set_result(data)


@asynccontextmanager
async def naming(
    book: dict[str, Sequence[Sequence[str]]],
) -> AsyncIterator[tuple[Names, Callable[[str, int], Awaitable[list[str]]]]]:
    """Serve names over UDP on loopback; give the server and a resolver that asks it anew each time.

    The machine's own resolver cannot be pointed to a port, so the resolver is one of our own.
    """
    loop = asyncio.get_running_loop()
    transport, names = await loop.create_datagram_endpoint(lambda: Names(book), local_addr=("127.0.0.1", 0))
    server = transport.get_extra_info("sockname")

    async def look_up(host: str, port: int) -> list[str]:
        question = b"".join(bytes([len(label)]) + label.encode() for label in host.split(".")) + b"\0\0\1\0\1"
        way, asking = await loop.create_datagram_endpoint(_Asking, remote_addr=server)
        try:
            way.sendto(b"\1\2\1\0\0\1\0\0\0\0\0\0" + question)
            answer = await asyncio.wait_for(asking.answer, 5)
        finally:
            way.close()
        (count,) = struct.unpack_from("!H", answer, 6)
        start = 12 + len(question)
        return [socket.inet_ntoa(answer[at + 12 : at + 16]) for at in range(start, start + 16 * count, 16)]

    try:
        yield names, look_up
    finally:
        transport.close()
