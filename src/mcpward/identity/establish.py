"""The room's one question: who sent this? Answered by the server's mode alone; no way falls back to another.

Plain and not async: the books are in memory. Called for every request.
"""

from collections.abc import Callable, Mapping

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Arrival, Principal
from mcpward.identity import anonymous, credential
from mcpward.identity.keybook import KeyBook
from mcpward.identity.mode import Mode
from mcpward.identity.unlisted import UrlBook


class Identity:
    """``modes`` says for every server of the site how its callers come in.

    ``access`` is the highest class of tools, per server, for callers without a key of their own; a server that is not
    in it gives them reading alone. A key brings its own class.
    """

    def __init__(
        self, modes: Mapping[str, Mode], keys: KeyBook, urls: UrlBook, access: Mapping[str, Access] | None = None
    ) -> None:
        self._modes = dict(modes)
        self._access = dict.fromkeys(modes, Access.READ) | dict(access or {})
        self._keys = keys
        self._urls = urls
        ways: dict[Mode, Callable[[Arrival], Principal]] = {
            Mode.API_KEY: self._by_key,
            Mode.UNLISTED: self._by_url,
            Mode.PUBLIC: self._by_nothing,
        }
        self._ways = {server: ways[Mode(mode)] for server, mode in modes.items()}

    def establish(self, arrival: Arrival) -> Principal:
        """Give the principal that sent ``arrival``.

        Raises :class:`Refusal`: credential-missing, credential-invalid (one answer for unknown, expired, revoked and
        foreign), credential-ambiguous, route-unknown (unlisted: the secret is wrong), origin-refused (unlisted: a
        web page holds the secret), identity-unavailable.
        """
        way = self._ways.get(arrival.server)
        if way is None:
            raise Refusal(Reason.ROUTE_UNKNOWN, "no such server")
        return way(arrival)

    def knows_url(self, server: str, secret: str) -> bool:
        """Say whether ``secret`` is in the URL of ``server``, for requests that are no MCP request.

        Only for the choice of the answer: it lets nobody in.
        """
        if self._modes.get(server) != Mode.UNLISTED:
            return False
        try:
            return self._urls.verify(secret, server) is not None
        except Refusal:
            return True  # the snapshot is stale, which is told to holders of the secret alone

    def _by_key(self, arrival: Arrival) -> Principal:
        if arrival.path_secret is not None:
            raise Refusal(Reason.ROUTE_UNKNOWN, "a secret path on a server that has none")
        value = credential.plain(arrival)
        if value is not None:
            principal = self._keys.recall(value, arrival.server, arrival.peer)
            if principal is not None:
                return principal
        shown = credential.read(arrival)
        if shown is None:
            raise Refusal(Reason.CREDENTIAL_MISSING)
        principal = self._keys.verify(shown.reveal(), arrival.server, arrival.peer)
        if principal is not None:
            if value is not None:
                self._keys.remember(value, principal)
        else:
            raise Refusal(Reason.CREDENTIAL_INVALID, "unknown, expired, revoked or for elsewhere")
        return principal

    def _by_url(self, arrival: Arrival) -> Principal:
        server, secret = arrival.server, arrival.path_secret
        principal = None if secret is None else self._urls.verify(secret.reveal(), server, self._access[server])
        if principal is None:
            raise Refusal(Reason.ROUTE_UNKNOWN, "the secret path is wrong")
        # A browser that sends Origin got the URL into a web page: from there it leaks to anybody.
        if b"origin" in arrival.headers:
            raise Refusal(Reason.ORIGIN_REFUSED, "an origin on an unlisted server")
        return principal

    def _by_nothing(self, arrival: Arrival) -> Principal:
        if arrival.path_secret is not None:
            raise Refusal(Reason.ROUTE_UNKNOWN, "a secret path on a server that has none")
        return anonymous.admit(arrival, self._access[arrival.server])
