"""How long two workers wait for each other, while one sends the other the rest of a stream."""

from msgspec import Struct


class RemoteTimeouts(Struct, frozen=True, kw_only=True):
    """How long workers wait for each other, in seconds.

    ``answer_s`` is the limit for the first page, which reports whether there is such a stream. Afterwards each worker
    reports every ``renew_s`` that it is still there, and is given up after ``silence_s``.
    """

    answer_s: float = 3.0
    renew_s: float = 10.0
    silence_s: float = 30.0
