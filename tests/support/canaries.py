"""Canary secrets for attack 85: planted where a secret may stand, then looked for in everything that leaves.

A canary knows how it may be disguised, written here anew and not taken from the code under test.
"""

import base64
import json
import random
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

_PLAIN = string.ascii_letters + string.digits + "-_"
_AWKWARD = string.punctuation + " \t\n" + "äß€中🔑"


@dataclass(frozen=True)
class Canary:
    """One planted value. ``name`` is fit for an environment variable."""

    name: str
    value: str

    def disguises(self) -> Iterator[tuple[str, str]]:
        """Return (disguise, text) for each encoding; every text holds the whole canary."""
        raw = self.value.encode()
        yield "raw", self.value
        for before in range(3):
            for after in range(3):
                standard = base64.b64encode(b"x" * before + raw + b"y" * after).decode()
                yield f"base64 after {before} before {after}", standard
                yield f"url-safe base64 after {before} before {after}", standard.translate(str.maketrans("+/", "-_"))
        yield "base64 without padding", base64.b64encode(raw).decode().rstrip("=")
        yield "hex", raw.hex()
        yield "upper hex", raw.hex().upper()
        yield "quote", quote(self.value)
        yield "quote all", quote(self.value, safe="")
        yield "quote_plus", quote_plus(self.value)
        yield "percent everything", "".join(f"%{byte:02x}" for byte in raw)
        yield "json", json.dumps(self.value)
        yield "json in utf-8", json.dumps(self.value, ensure_ascii=False)
        yield "json twice", json.dumps(json.dumps(self.value))
        yield "python repr", repr(self.value)
        yield "python bytes repr", repr(raw)

    def traces(self) -> Iterator[bytes]:
        """Return the byte strings that betray the canary wherever they are found: whole, and in every encoding."""
        raw = self.value.encode()
        yield raw
        yield json.dumps(self.value)[1:-1].encode()
        yield json.dumps(self.value, ensure_ascii=False)[1:-1].encode()
        yield json.dumps(json.dumps(self.value))[3:-3].encode()
        yield raw.hex().encode()
        yield raw.hex().upper().encode()
        yield quote(self.value).encode()
        yield quote(self.value, safe="").encode()
        yield quote_plus(self.value).encode()
        for before in range(3):
            # Characters that hold only bits of the canary: the same wherever it stands in the encoded bytes.
            whole = base64.b64encode(b"\0" * before + raw)[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]
            yield whole
            yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def canaries(count: int = 500, seed: int = 85) -> tuple[Canary, ...]:
    """Return ``count`` different canaries, the same in every run: tokens, awkward passwords, URLs, PINs."""
    draw = random.Random(seed)
    makers = (_token, _password, _database_url, _pin, _passphrase)
    return tuple(Canary(f"CANARY_{at}", makers[at % len(makers)](draw)) for at in range(count))


def _token(draw: random.Random) -> str:
    return "sk-canary-" + "".join(draw.choices(_PLAIN, k=draw.randint(16, 48)))


def _password(draw: random.Random) -> str:
    return "".join(draw.choices(_PLAIN + _AWKWARD, k=draw.randint(12, 24))).strip() + "canary"


def _database_url(draw: random.Random) -> str:
    word = "".join(draw.choices(_PLAIN, k=16))
    return f"postgresql://orders:{word}@db.internal:5432/orders?sslmode=require"


def _pin(draw: random.Random) -> str:
    return "".join(draw.choices(string.digits, k=12))


def _passphrase(draw: random.Random) -> str:
    return " ".join("".join(draw.choices(string.ascii_lowercase, k=5)) for _ in range(4))


def leaks(output: bytes, planted: Iterable[Canary]) -> list[str]:
    """Return the names of all canaries of which any trace stands in ``output``."""
    return [canary.name for canary in planted if any(trace in output for trace in canary.traces())]
