"""Bodies that cost more than they weigh: JSON values of any size, and a gauge of the event loop's pauses."""

from collections.abc import Callable
from typing import Final

KIB: Final = 1024
SIZES: Final = (64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB)
#: The bytes that a message needs around a value.
AROUND: Final = 512


def _list(one: bytes) -> Callable[[int], bytes]:
    return lambda size: b"[" + b",".join([one] * max(1, size // (len(one) + 1))) + b"]"


def _string(one: bytes) -> Callable[[int], bytes]:
    return lambda size: b'"' + one * (size // len(one)) + b'"'


def _names(width: int) -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        return b"{" + b",".join(b'"%0*x":0' % (width, at) for at in range(size // (width + 5))) + b"}"

    return make


#: Values by name; each is made for a size in bytes.
BOMBS: Final[dict[str, Callable[[int], bytes]]] = {
    # numbers
    "1e300": _list(b"1e300"),
    "subnormal": _list(b"2.2250738585072011e-308"),
    "halfway": _list(b"9007199254740993.0"),
    "ones": _list(b"1"),
    "fractions": _list(b"0.12345678901234567"),
    "25 digits": _list(b"1" * 25),
    "300 digits": _list(b"1" * 300),
    "4000 digits": _list(b"1" * 4000),
    "one number": lambda size: b"[0." + b"1" * size + b"]",
    # depth
    "deep arrays": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "deep objects": lambda size: b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6),
    "open brackets": lambda size: b"[" * size,
    "deep and wide": lambda size: b"[" * 50 + _list(b"[]")(size) + b"]" * 50,
    # names and objects
    "short names": _names(5),
    "long names": _names(40),
    "empty objects": _list(b"{}"),
    "small objects": _list(b'{"a":0}'),
    "records": _list(b'{"id":1,"name":"Alice Smith","price":12.5,"tags":["a","b"],"ok":true}'),
    "one name": lambda size: b'{"' + b"a" * size + b'":1}',
    "repeated name": lambda size: b"{" + b",".join([b'"a":0'] * (size // 6)) + b"}",
    "repeated names": _list(b'{"a":0,"a":0}'),
    "repeated at the end": lambda size: b'{"a":0,"b":"' + b"x" * size + b'","a":0}',
    # strings
    "base64": _string(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo3e9"),
    "short strings": _list(b'"ab"'),
    "empty strings": _list(b'""'),
    "line breaks": _string(b"\\n"),
    "quotes": _string(b'\\"'),
    "backslashes": _string(b"\\\\"),
    "escaped letters": _string(b"\\u0041"),
    "escaped pairs": _string(b"\\ud83d\\ude00"),
    "half pairs": _string(b"\\ud83d"),
    "structure": _string(b"[{,:"),
    "lines of text": _string(b"The quick brown fox jumps over the lazy dog, and so on.\\n"),
    # Unicode
    "Cyrillic": _string("Привет мир, это тест. ".encode()),
    "Chinese": _string("中文".encode()),
    "emoji": _string("😀".encode()),
    "no UTF-8": _string(b"\xff"),
    # no values at all
    "spaces": lambda size: b"[" + b" " * size + b"1]",
    "commas": lambda size: b"[" + b"," * size + b"]",
    "bare quotes": lambda size: b'"' * size,
}  # fmt: skip


def message(value: bytes, tool: str = "take") -> bytes:
    """Return a modern call of ``tool`` whose argument ``value`` is the JSON text given."""
    meta = (
        b'{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},'
        b'"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"}}'
    )
    head = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%b","_meta":%b,' % (tool.encode(), meta)
    return head + b'"arguments":{"value":' + value + b"}}}"


def body(name: str, size: int, tool: str = "take") -> bytes:
    """Return the message of a bomb, of at most ``size`` bytes."""
    made = message(BOMBS[name](size - AROUND), tool)
    assert len(made) <= size
    return made


#: A source whose ``watch`` measures, from the next turn of the loop on, how long each turn is; ``seen`` gives the
#: longest in seconds. A pause of ours is in both, the clock's time and the processor's time of the whole process. Other
#: work of the machine is only in the first, and threads beside a running loop only in the second: the lesser of the two
#: counts.
TOOLS: Final = '''
import asyncio
import time
from typing import Any

from mcpward import Server

server = Server("demo", version="1.0")


class Gauge:
    def __init__(self):
        self.worst, self.last = 0.0, (time.monotonic(), time.process_time())
        self.running = False

    def turn(self):
        now = (time.monotonic(), time.process_time())
        self.worst = max(self.worst, min(now[0] - self.last[0], now[1] - self.last[1]))
        self.last = now
        if self.running:
            asyncio.get_running_loop().call_later(0.0002, self.turn)


gauge = Gauge()


@server.tool(read_only=True)
async def watch() -> str:
    """Begin to measure."""
    gauge.worst, gauge.last = 0.0, (time.monotonic(), time.process_time())
    if not gauge.running:
        gauge.running = True
        gauge.turn()
    return "watching"


@server.tool(read_only=True)
async def seen() -> float:
    """Tell the longest turn, and measure anew."""
    worst, gauge.worst = gauge.worst, 0.0
    return worst


@server.tool(read_only=True)
async def take(value: Any) -> int:
    """Take a value of any kind."""
    return 1


@server.tool(read_only=True)
async def keep(value: str) -> int:
    """Take a text."""
    return len(value)


@server.tool(read_only=True)
async def echo(text: str) -> str:
    """Give the text back."""
    return text
'''
