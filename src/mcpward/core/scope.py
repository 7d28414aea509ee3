"""Access classes and scopes: a caller's rights, as plain values."""

from enum import IntEnum


class Access(IntEnum):
    """How much a tool may change. Ordered: a caller cleared for one class is cleared for those below."""

    READ = 0
    WRITE = 1
    DESTRUCTIVE = 2

    @property
    def label(self) -> str:
        """The word used in configuration, records and headers."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> "Access":
        """Read the word back. Raises ``ValueError`` for any other word."""
        try:
            return cls[word.upper()]
        except KeyError:
            raise ValueError(f"unknown access class {word!r}: read, write or destructive") from None
