"""Harmless results, of real material at hand: pages, code, corpora, and what tools return most: rows, ids, hashes."""

import base64
import hashlib
import json
import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SIZE = 3_000
#: Python's own modules, and packages that are installed with mcpward: code listings that we did not write.
_PACKAGES = Path(json.__file__).parents[1]
_DOCUMENTS = (
    (ROOT / "docs", "*.md"), (ROOT / "src", "*.py"), (ROOT / "examples", "*"), (ROOT / "deploy", "*"),
    (ROOT / "tests" / "corpora", "[jn]*.json"), (ROOT / "requirements", "*.txt"),
    *((_PACKAGES / name, "*.py") for name in ("asyncio", "email", "http", "json", "logging", "urllib", "xml")),
    *((Path(package.__file__ or "").parent, "*.py") for package in map(__import__, ("msgspec", "uvicorn", "pydantic"))),
    (ROOT / "tests" / "interop" / "node_modules" / "zod", "*.js"),  # where the packages of Node are installed
)  # fmt: skip


def harmless(count: int) -> Iterator[str]:
    """Yield so many texts of results at least: first those of files, then rows made up in the same way each time."""
    made = 0
    for text in _files():
        yield text
        made += 1
    chance = random.Random(14)
    while made < count:
        for make in _MAKERS:
            yield make(chance)
            made += 1


def _files() -> Iterator[str]:
    for folder, pattern in _DOCUMENTS:
        for path in sorted(folder.rglob(pattern)):
            if path.is_file() and "wycheproof" not in path.parts:  # those are JWTs
                text = path.read_text(errors="replace")
                yield from (text[at : at + _SIZE] for at in range(0, len(text), _SIZE))


def _rows(chance: random.Random) -> str:
    return json.dumps([
        {
            "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "order": f"SO-{chance.randrange(10**8):08d}",
            "sku": f"SKU{chance.randrange(10**6):06d}-{chance.choice('ABCDEF')}",
            "mail": f"customer{chance.randrange(999)}@example.com",
            "at": f"2026-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}T10:{chance.randrange(60):02d}:00Z",
            "total": chance.randrange(10**6) / 100,
        }
        for _ in range(20)
    ])  # fmt: skip


def _commits(chance: random.Random) -> str:
    return "\n".join(f"{chance.randbytes(20).hex()} Merge pull request #{chance.randrange(9999)}" for _ in range(40))


def _image(chance: random.Random) -> str:
    return "data:image/png;base64," + base64.b64encode(chance.randbytes(2_200)).decode()


def _url_safe(chance: random.Random) -> str:
    return json.dumps({"cursor": base64.urlsafe_b64encode(chance.randbytes(300)).decode(), "next": None})


def _urls(chance: random.Random) -> str:
    lines = []
    for _ in range(20):
        host = f"app{chance.randrange(99)}.example.com:{chance.randrange(1024, 65535)}"
        lines.append(
            f"https://{host}/v1/items/{chance.getrandbits(32):x}?page=2&sig_alg=none&q=a%40b&to=team@example.com"
        )
    return "\n".join(lines)


def _locks(chance: random.Random) -> str:
    return "\n".join(
        f'"node_modules/p{n}": {{"version": "1.{n}.0", "integrity": "sha512-'
        f'{base64.b64encode(hashlib.sha512(chance.randbytes(8)).digest()).decode()}"}}'
        for n in range(20)
    )


def _script(chance: random.Random) -> str:
    names = [chance.choice("abcdefgh") + chance.choice("_$xyz") for _ in range(60)]
    return ";".join(
        f"function {name}(a){{return a.hf_{name}||{name}['SG.'+a]?sk_{name}:a&&npm_config}}" for name in names
    )


def _log(chance: random.Random) -> str:
    lines = []
    for n in range(20):
        peer = f"10.0.{chance.randrange(255)}.{chance.randrange(255)}:{chance.randrange(65535)}"
        where = f"[{chance.getrandbits(64):016x}] GET /api/webhooks/{n} 200 from {peer} user=app pid={n}"
        lines.append(f"2026-11-29 10:{n:02d}:00,{chance.randrange(999):03d} INFO {where}")
    return "\n".join(lines)


def _manual(_: random.Random) -> str:
    return f"""Set AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE and
AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY. Connect to postgres://user:password@localhost:5432/db,
or https://<token>@github.com, or amqp://guest:guest@mq. Send `Authorization: Bearer $TOKEN`.
A token begins with ghp_ and has 40 characters: ghp_{"x" * 36}.
The file begins with -----BEGIN PRIVATE KEY----- and the key is between the lines.
connect(host=host, user=user, password=settings.password, port=5432); curl -u user:$PASSWORD https://api.example
"""


_MAKERS: tuple[Callable[[random.Random], str], ...] = (
    _rows, _commits, _image, _url_safe, _urls, _locks, _script, _log, _manual,
)  # fmt: skip
