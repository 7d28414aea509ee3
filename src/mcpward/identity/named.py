"""The operator's mode: a caller that the operator names, without a credential. HTTP requests never reach it.

The operator holds the master key and could make a key for anyone. Naming the caller skips that step, and the record
says ``operator:NAME``. A named key is used as the key's own caller, with its rights, limits and end.
"""

from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Arrival, AuthMethod, Principal
from mcpward.identity.establish import Identity
from mcpward.identity.keys.key_cache import KeyCache
from mcpward.identity.keys.url_cache import UrlCache
from mcpward.identity.named_caller import OPERATOR, NamedCaller
from mcpward.identity.oauth.pending_verification import PendingVerification

#: The origin of such a call, for a key that works only from some networks: this machine.
_HERE: Final = "127.0.0.1"


class NamedCallers(Identity):
    """Knows each arrival's caller by the name set just before, and no other caller."""

    def __init__(self, keys: KeyCache, urls: UrlCache) -> None:
        super().__init__({}, keys, urls)
        self._named: dict[str, NamedCaller] = {}

    def expect(self, arrival: str, caller: NamedCaller) -> None:
        """Let the arrival of this id be ``caller``'s, once."""
        self._named[arrival] = caller

    def recall(self, arrival: Arrival) -> Principal | PendingVerification | None:
        """Return the caller that the operator named.

        Raises:
            Refusal: credential-invalid; no caller was named, or the key opens nothing here now.
        """
        caller = self._named.pop(arrival.id, None)
        if caller is None:
            raise Refusal(Reason.CREDENTIAL_INVALID, "no caller was named")
        if caller.key_id is None:
            return _principal(caller, arrival.server)
        principal = self._keys.again(caller.key_id, arrival.server, _HERE)
        if principal is None:
            raise Refusal(Reason.CREDENTIAL_INVALID, "the key that was named opens nothing here")
        return principal


def _principal(caller: NamedCaller, server: str) -> Principal:
    return Principal(
        key=OPERATOR + caller.name,
        way=AuthMethod.OPERATOR,
        server=server,
        subject=caller.name,
        client=caller.name,  # the name of a caller without a token, as a key's is
        scopes=frozenset(caller.scopes),
        access=Access.parse(caller.access),
    )
