"""A Lua script, and how it is called: by its digest, or with its whole text if Redis has forgotten it."""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Final

Word = str | int | bytes
_CLOCK: Final = "clock.lua"


def bulk(*words: Word) -> bytes:
    """Write words as the protocol has them."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in map(_bytes, words)])


def _bytes(word: Word) -> bytes:
    # A caller's key may hold half a surrogate pair, from a token: it stays a key of its own.
    return word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogatepass")


class Script:
    """A file of this package, after the virtual clock's functions.

    ``by_digest`` and ``by_text`` are the first two words of a command that runs it.
    """

    __slots__ = ("by_digest", "by_text", "name", "text")

    def __init__(self, name: str) -> None:
        folder = files(__package__)
        self.name = name
        self.text = "\n".join(folder.joinpath(each).read_text(encoding="utf-8") for each in (_CLOCK, name))
        digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self.by_digest = bulk(b"EVALSHA", digest)
        self.by_text = bulk(b"EVAL", self.text)

    def __repr__(self) -> str:
        return f"Script({self.name!r})"


class Command:
    """One command: ``rest`` are its words as they travel, ``count`` of them; a script's first two not among them."""

    __slots__ = ("count", "rest", "script")

    def __init__(self, rest: bytes, count: int, script: Script | None = None) -> None:
        self.rest = rest
        self.count = count
        self.script = script

    @classmethod
    def of(cls, *words: Word) -> "Command":
        """Make a plain command."""
        return cls(bulk(*words), len(words))

    @classmethod
    def running(cls, script: Script, keys: Sequence[Word], args: Sequence[Word]) -> "Command":
        """Make a command that runs a script."""
        return cls(bulk(len(keys), *keys, *args), 1 + len(keys) + len(args), script)

    def packed(self, *, with_text: bool = False) -> bytes:
        """Return it as it travels."""
        script = self.script
        if script is None:
            return b"*%d\r\n%b" % (self.count, self.rest)
        return b"*%d\r\n%b%b" % (self.count + 2, script.by_text if with_text else script.by_digest, self.rest)
