"""Scopes that a token lacks and its holder could get: named in a challenge, all those of the operation at once.

Only in OAuth mode (RFC 6750 §3.1, the step-up flow of the MCP authorization pages). Tools that no scope can open stay
unknown.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.challenge import Challenge
from mcpward.core.errors import Refusal
from mcpward.core.facts import MissingScope
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Principal


class Demand(Struct, frozen=True):
    """The demands of one server in OAuth mode: ``required`` of every token, and by ``access`` a scope for each class.

    ``challenge`` is the server's own. ``named`` are scopes that every challenge names beside those that are needed;
    ``lists`` has lists show what another scope would open.
    """

    challenge: Challenge
    required: frozenset[str] = frozenset()
    access: Mapping[str, Access] = {}
    named: frozenset[str] = frozenset()
    lists: bool = False

    def needed(self, principal: Principal, scopes: frozenset[str], access: Access) -> frozenset[str] | None:
        """Return all scopes of an operation; None if no scope opens its class to this caller."""
        needed = self.required | scopes
        if access is Access.READ:
            return needed
        opening = sorted((scope for scope in self.access if self.access[scope] >= access), key=self.access.__getitem__)
        held = [scope for scope in opening if scope in principal.scopes]
        if not held and principal.access >= access:  # by a group, a role or a client, which no holder can request
            return needed
        return needed | {(held or opening)[0]} if opening else None

    def refusal(self, needed: frozenset[str]) -> Refusal:
        """Return the refusal that names the scopes to ask for."""
        scopes = tuple(sorted(needed | self.named))
        challenge = replace(self.challenge, scopes=scopes)
        return Refusal(Reason.SCOPE_MISSING, "a scope that the token lacks", MissingScope(" ".join(scopes)), challenge)
