"""Canary secrets for attack 85: planted where a secret may stand, then looked for in everything that leaves.

A canary knows of what it is made and how it may be disguised, written here anew and not taken from the code under test.
"""

import base64
import html
import json
import random
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

_PLAIN = string.ascii_letters + string.digits + "-_"
_AWKWARD = string.punctuation + " \t\n" + "äß€中🔑"
_WIDE = str.maketrans({chr(point): chr(point + 0xFEE0) for point in range(0x21, 0x7F)})


@dataclass(frozen=True)
class Canary:
    """One planted value. ``name`` is fit for an environment variable; ``parts`` must not leave one by one either."""

    name: str
    value: str
    parts: tuple[str, ...]

    def disguises(self) -> Iterator[tuple[str, str]]:
        """Return (disguise, text) for each encoding; every text holds the whole canary, or a whole part."""
        lines = self.value.splitlines()
        if len(lines) > 1:
            yield "lines joined", "".join(lines)
            yield "CRLF", "\r\n".join(lines)
            yield "indented as in YAML", "key: |\n" + "".join(f"    {line}\n" for line in lines)
            yield "indented as in JSON", json.dumps({"key": lines}, indent=4)
        for at, text in enumerate(dict.fromkeys((self.value, *self.parts))):
            for name, disguised in _disguises(text):
                yield (f"{name} of part {at}" if at else name), disguised

    def few(self, at: int, count: int = 5) -> list[str]:
        """Return some of the disguises, others for each ``at``."""
        made = [text for _, text in self.disguises()]
        return [made[(at * 7 + step * 5) % len(made)] for step in range(min(count, len(made)))]

    def traces(self) -> Iterator[bytes]:
        """Return the byte strings that betray the canary wherever they are found: each part, in every encoding."""
        for text in self.parts:
            yield from _traces(text)


def _disguises(text: str) -> Iterator[tuple[str, str]]:
    raw = text.encode()
    yield "raw", text
    for before in range(3):
        standard = base64.b64encode(b"x" * before + raw + b"y" * (2 - before)).decode()
        yield f"base64 after {before}", standard
        yield f"url-safe base64 after {before}", standard.translate(str.maketrans("+/", "-_"))
        for width in (64, 76):
            padded = base64.b64encode(b"x" * (40 + before) + raw + b"y" * 40).decode()
            yield f"base64 in lines of {width} after {before}", _wrapped(padded, width)
    yield "base64 without padding", base64.b64encode(raw).decode().rstrip("=")
    yield "base64 of user and password", base64.b64encode(b"admin:" + raw).decode()
    yield "base32", base64.b32encode(raw).decode()
    yield "base32 in lower case", base64.b32encode(raw).decode().lower().rstrip("=")
    yield "octets of C", "{" + ", ".join(f"0x{byte:02x}" for byte in raw) + "}"
    yield "octets in a list without blanks", ",".join(f"0x{byte:02X}" for byte in raw)
    yield "octets with blanks", " ".join(f"0x{byte:02x}" for byte in raw)
    for head in (b"", b"key: "):
        yield f"xxd after {len(head)}", _dump(head + raw, _xxd)
        yield f"hexdump -C after {len(head)}", _dump(head + raw, _hexdump)
        yield f"od -t x1 after {len(head)}", _dump(head + raw, _od)
    for name, digits in (("hex", raw.hex()), ("hex with colons", raw.hex(":")), ("hex with blanks", raw.hex(" "))):
        yield name, digits
        yield f"upper {name}", digits.upper()
    yield "quote", quote(text)
    yield "quote all", quote(text, safe="")
    yield "quote twice", quote(quote(text, safe=""), safe="")
    yield "quote_plus", quote_plus(text)
    yield "percent everything", "".join(f"%{byte:02x}" for byte in raw)
    yield "json", json.dumps(text)
    yield "json in utf-8", json.dumps(text, ensure_ascii=False)
    yield "json twice", json.dumps(json.dumps(text))
    yield "html", html.escape(text)
    yield "html in decimal", "".join(f"&#{ord(char)};" for char in text)
    yield "html in hex", "".join(f"&#x{ord(char):X};" for char in text)
    yield "python repr", repr(text)
    yield "python bytes repr", repr(raw)
    yield "reversed", text[::-1]
    yield "upper", text.upper()
    yield "lower", text.lower()
    for order in ("le", "be"):
        wide = text.encode(f"utf-16-{order}")
        yield f"utf-16-{order} in base64", base64.b64encode(wide).decode()
        yield f"utf-16-{order} in hex", wide.hex()
    yield "invisible characters between", "\u200b".join(text)
    yield "marks between", "\u0301".join(text)
    yield "full width", text.translate(_WIDE)


def _dump(raw: bytes, line: Callable[[int, bytes], str]) -> str:
    return "\n" + "".join(line(at, raw[at : at + 16]) + "\n" for at in range(0, len(raw), 16))


def _xxd(at: int, octets: bytes) -> str:
    groups = " ".join(octets[first : first + 2].hex() for first in range(0, len(octets), 2))
    return f"{at:08x}: {groups:39}  {_letters(octets)}"


def _hexdump(at: int, octets: bytes) -> str:
    return f"{at:08x}  {octets[:8].hex(' '):23}  {octets[8:].hex(' '):23}  |{_letters(octets)}|"


def _od(at: int, octets: bytes) -> str:
    return f"{at:07o} {octets.hex(' ')}"


def _letters(octets: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in octets)


def _traces(text: str) -> Iterator[bytes]:
    raw = text.encode()
    for case in {text, text.lower(), text.upper(), text[::-1], text.translate(_WIDE)}:
        yield case.encode()
        yield json.dumps(case)[1:-1].encode()
        yield json.dumps(case, ensure_ascii=False)[1:-1].encode()
    yield json.dumps(json.dumps(text))[3:-3].encode()
    yield html.escape(text).encode()
    yield "".join(f"&#{ord(char)};" for char in text).encode()
    yield "".join(f"&#x{ord(char):X};" for char in text).encode()
    for digits in (raw.hex(), raw.hex(":"), raw.hex(" ")):
        yield digits.encode()
        yield digits.upper().encode()
    yield quote(text).encode()
    yield quote(text, safe="").encode()
    yield quote(quote(text, safe=""), safe="").encode()
    yield quote_plus(text).encode()
    yield "".join(f"%{byte:02x}" for byte in raw).encode()
    yield base64.b32encode(raw).rstrip(b"=")
    yield base64.b32encode(raw).rstrip(b"=").lower()
    yield ", ".join(f"0x{byte:02x}" for byte in raw).encode()
    yield "\u200b".join(text).encode()
    yield "\u0301".join(text).encode()
    for octets in (raw, text.encode("utf-16-le"), text.encode("utf-16-be")):
        for before in range(3):
            # Characters that hold only bits of the canary: the same wherever it stands in the encoded bytes.
            whole = base64.b64encode(b"\0" * before + octets)[(0, 2, 3)[before] : (before + len(octets)) * 8 // 6]
            yield whole
            yield whole.translate(bytes.maketrans(b"+/", b"-_"))
        yield octets.hex().encode()


def _wrapped(text: str, width: int) -> str:
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


def canaries(count: int = 500, seed: int = 85) -> tuple[Canary, ...]:
    """Return ``count`` different canaries, the same in every run: of every shape that a credential has."""
    draw = random.Random(seed)
    made = [_MAKERS[at % len(_MAKERS)](draw) for at in range(count)]
    return tuple(Canary(f"CANARY_{at}", value, parts or (value,)) for at, (value, parts) in enumerate(made))


_Made = tuple[str, tuple[str, ...]]


def _token(draw: random.Random) -> _Made:
    return "sk-canary-" + "".join(draw.choices(_PLAIN, k=draw.randint(16, 48))), ()


def _password(draw: random.Random) -> _Made:
    return "".join(draw.choices(_PLAIN + _AWKWARD, k=draw.randint(12, 24))).strip() + "canary", ()


def _database_url(draw: random.Random) -> _Made:
    word = "".join(draw.choices(_PLAIN, k=16))
    return f"postgresql://orders:{word}@db.internal:5432/orders?sslmode=require", (word,)


def _escaped_url(draw: random.Random) -> _Made:
    word = "".join(draw.choices(_PLAIN + "/@:#% ", k=18)).strip() + "/7q"
    url = f"mysql://root:{quote(word, safe='')}@10.0.0.7/shop"
    return url, (word, quote(word, safe=""), url.partition("://")[2])


def _pin(draw: random.Random) -> _Made:
    return "".join(draw.choices(string.digits, k=12)), ()


def _passphrase(draw: random.Random) -> _Made:
    return " ".join("".join(draw.choices(string.ascii_lowercase, k=5)) for _ in range(4)), ()


def _private_key(draw: random.Random) -> _Made:
    lines = [base64.b64encode(draw.randbytes(48)).decode() for _ in range(3)]
    return "-----BEGIN PRIVATE KEY-----\n" + "\n".join(lines) + "\n-----END PRIVATE KEY-----\n", tuple(lines)


def _service_account(draw: random.Random) -> _Made:
    key, lines = _private_key(draw)
    secret = "GOCSPX-" + "".join(draw.choices(_PLAIN, k=21))
    members = {"type": "service_account", "client_email": "svc@example.com", "private_key": key, "x": [{"y": secret}]}
    return json.dumps(members), (*lines, secret)


def _toml(draw: random.Random) -> _Made:
    words = ["".join(draw.choices(_PLAIN, k=20)) for _ in range(2)]
    head = '# keys\n[api]\nurl = "https://api.example.com"\n'
    return f"{head}token = \"{words[0]}\"\nother = '{words[1]}'\n", tuple(words)


def _dotenv(draw: random.Random) -> _Made:
    words = ["".join(draw.choices(_PLAIN, k=20)) for _ in range(2)]
    return f'export API_KEY="{words[0]}"\n# the other\nDB=postgres://u:{words[1]}@db/x\nLEVEL=debug\n', tuple(words)


def _user_and_password(draw: random.Random) -> _Made:
    return "admin:" + "".join(draw.choices(_PLAIN, k=20)), ()


def _padded(draw: random.Random) -> _Made:
    word = "".join(draw.choices(_PLAIN, k=24))
    return f"\ufeff  {word}\r\n", (word,)


_MAKERS = (
    _token, _password, _database_url, _pin, _passphrase, _private_key, _service_account, _escaped_url, _toml, _dotenv,
    _user_and_password, _padded,
)  # fmt: skip


def leaks(output: bytes, planted: Iterable[Canary]) -> list[str]:
    """Return the names of all canaries of which any trace stands in ``output``."""
    return [canary.name for canary in planted if any(trace in output for trace in canary.traces())]
