"""The three ways to stop.

A refusal (mcpward refused), a fault (mcpward failed), a misconfiguration (it did not open).
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec import Struct

from mcpward.core.facts import Fact, RetryAfter
from mcpward.core.reasons import Reason

F = TypeVar("F", bound=Fact)


class Refusal(Exception):
    """mcpward refused, for one reason from the closed list.

    ``detail`` is for the log and the traffic record and never reaches the wire. ``facts`` may be shown to the caller;
    there is at most one of each type. ``key_id`` names the API key that the caller proved to hold and that opens
    nothing here; like ``detail`` it is never public. ``principal`` is the caller, if a known one is refused before the
    request was read.
    """

    def __init__(self, reason: Reason, detail: str = "", *facts: Fact) -> None:
        super().__init__(reason.value, detail)
        self.reason = reason
        self.detail = detail
        self.key_id: str | None = None
        self.principal: Any = None
        self.facts = facts

    def find(self, kind: type[F]) -> F | None:
        """Return the fact of that type; None if there is none."""
        for fact in self.facts:
            if isinstance(fact, kind):
                return fact
        return None

    def telling(self, fact: Fact) -> "Refusal":
        """Return this refusal with ``fact``, in place of the one of its type if there is one."""
        others = (other for other in self.facts if type(other) is not type(fact))
        told = Refusal(self.reason, self.detail, *others, fact)
        told.key_id, told.principal = self.key_id, self.principal
        return told

    @property
    def policy(self) -> str | None:
        """The name of the limit that refuses, if one does."""
        retry = self.find(RetryAfter)
        return None if retry is None else retry.policy


class Fault(Exception):
    """mcpward failed, or a dependency of it is out.

    Logged with a traceback under ``error_id``; the caller sees only the id.
    """

    def __init__(self, error_id: str, detail: str = "") -> None:
        super().__init__(error_id, detail)
        self.error_id = error_id
        self.detail = detail


class Finding(Struct, frozen=True):
    """One fault of the configuration: what is wrong, where (``file:line`` or a key), and how to mend it."""

    what: str
    where: str = ""
    hint: str = ""


class Misconfigured(Exception):
    """mcpward does not open. Carries every finding at once, so that the operator need not mend them one by one."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(finding.what for finding in findings))
        self.findings = tuple(findings)


class Unreachable(Exception):
    """A dependency of the command cannot be reached (exit code 3). ``hint`` says what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Untrusted(Misconfigured):
    """The store holds rows not written with the master key, or fewer than it held before.

    At the start mcpward does not open; a running worker refuses calls that it cannot confirm any more.
    """

    def __init__(self, what: str, where: str = "", hint: str = "") -> None:
        super().__init__([Finding(what, where, hint)])
