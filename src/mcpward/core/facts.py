"""The public facts of a refusal beside its reason: one small type for each fact.

All of it is public by construction, so nothing secret belongs in it. Two facts quote the caller, in the path of a
problem and in the requested version; both are cleaned before they leave.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Fact(Struct, frozen=True):
    """One thing that a refused caller may know."""


class RetryAfter(Fact, frozen=True):
    """When to come again, in seconds.

    ``policy`` names the limit that refuses, ``headers`` show its standing. ``answered``: whether the calls before had
    an answer, for a repeated one; None if that is not known.
    """

    seconds: float
    policy: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    answered: bool | None = None


class Problem(Struct, frozen=True):
    """One argument that was refused: its path and the rule it broke. Never its value."""

    path: str
    rule: str


class Problems(Fact, frozen=True):
    """The problem with arguments or params."""

    problems: tuple[Problem, ...]


class Remedy(Fact, frozen=True):
    """Words of ours: advice for the model, or its person."""

    advice: str


class ErrorId(Fact, frozen=True):
    """Under which id the log has the rest."""

    error_id: str


class Lacking(Fact, frozen=True):
    """Capabilities that the client would have to declare."""

    required_capabilities: Mapping[str, Any]


class Versions(Fact, frozen=True):
    """The protocol versions that are served, and the one that was asked for."""

    supported: tuple[str, ...]
    requested: str


class MissingScope(Fact, frozen=True):
    """The scopes that the operation needs, as one ``scope`` parameter (RFC 6749 §3.3)."""

    scope: str


class Allow(Fact, frozen=True):
    """The HTTP methods that are allowed (RFC 9110 §10.2.1)."""

    allow: str


class Unread(Fact, frozen=True):
    """How to answer a message that no call was read from: in a session or not, under its id or those of its batch.

    ``is_one_way``: it is a notification or a response, and has no answer.
    """

    is_session: bool = False
    id: int | str | None = None
    ids: tuple[int | str, ...] = ()
    is_one_way: bool = False
