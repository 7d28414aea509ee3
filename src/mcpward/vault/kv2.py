"""Secrets from a KV secrets engine, version 2, of HashiCorp Vault or OpenBao, over HTTP.

``GET <url>/v1/<mount>/data/<path>`` returns the latest version of an entry; its fields are the secrets. A version that
was deleted or destroyed is a 404 whose metadata say so. Nothing of an answer is ever quoted: an error could repeat the
token. A redirect is not followed: it would take the token to another host.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from mcpward.config.names import SERVER_NAME
from mcpward.core.managed_secrets import ManagedSecrets
from mcpward.core.secret import Secret
from mcpward.egress.client import Client
from mcpward.egress.failures import EgressFailed, EgressRefused, Failure
from mcpward.egress.response import Fetched
from mcpward.vault.secret_source import SourceFailed

SERVER: Final = "{server}"
LONGEST: Final = 64 * 1024
"""Bytes of one value."""
MOST: Final = 1_000
"""Secrets of one server."""
_LONGEST_ANSWER: Final = 4 * 1024 * 1024
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_NOT_KV2: Final = "its answer is not one of KV version 2"
#: In words of our own, by status: https://developer.hashicorp.com/vault/api-docs#http-status-codes.
_STATUSES: Final[Mapping[int, str]] = {
    400: "it does not understand the request (400): see namespace, mount and path",
    403: "it refuses the token (403)",
    404: "it has no such mount (404)",
    412: "it is not up to date yet (412)",
    429: "it is asked too often, or is on standby (429)",
    503: "it is sealed, or in maintenance (503)",
}
#: Of these, another server's entry may be readable.
_OF_ONE: Final = frozenset({400, 403, 404})


class Kv2Place(Struct, frozen=True):
    """Where the entries are: ``path`` has ``{server}`` in the place of a server's name."""

    url: str
    mount: str
    path: str
    namespace: str = ""


class Kv2:
    """Implements :class:`~mcpward.vault.secret_source.SecretSource`.

    ``token`` is asked for each request, so that a renewed one is used; it raises :class:`SourceFailed`.
    """

    def __init__(self, client: Client, place: Kv2Place, token: Callable[[], Awaitable[Secret]]) -> None:
        self._client = client
        self._place = place
        self._token = token

    async def read(self, server: str) -> ManagedSecrets:
        """Read the latest version of a server's entry.

        Raises:
            SourceFailed: as the port says.
        """
        try:
            url, headers = self._url(server), await self._headers()
            fetched = await self._client.get_json(url, max_bytes=_LONGEST_ANSWER, headers=headers)
        except (EgressFailed, EgressRefused) as error:
            raise SourceFailed(_explain(error), is_away=True) from None
        if fetched.status == 200:
            return _secrets(fetched.value)
        if fetched.status == 404 and _is_absent(fetched):
            return ManagedSecrets()
        problem = _STATUSES.get(fetched.status, f"its answer is {fetched.status}")
        raise SourceFailed(problem, is_away=fetched.status not in _OF_ONE)

    def _url(self, server: str) -> str:
        if not SERVER_NAME.fullmatch(server):  # no name can lead to another server's entry
            raise SourceFailed("the server's name cannot stand in a path", is_away=False)
        place = self._place
        return f"{place.url}/v1/{place.mount}/data/{place.path.replace(SERVER, server)}"

    async def _headers(self) -> dict[str, str | Secret]:
        # An agent or proxy of Vault may ask for X-Vault-Request: a page that forges requests cannot send it.
        headers: dict[str, str | Secret] = {"X-Vault-Request": "true", "X-Vault-Token": await self._token()}
        if self._place.namespace:
            headers["X-Vault-Namespace"] = self._place.namespace
        return headers


def _is_absent(fetched: Fetched) -> bool:
    """Return whether a 404 means that there is no entry, or that its version was deleted. Others name their error."""
    value = fetched.value
    return isinstance(value, Mapping) and not value.get("errors")


def _secrets(answer: Any) -> ManagedSecrets:
    entry = answer.get("data") if isinstance(answer, Mapping) else None
    fields = entry.get("data") if isinstance(entry, Mapping) else None
    metadata = entry.get("metadata") if isinstance(entry, Mapping) else None
    if not isinstance(metadata, Mapping) or not isinstance(fields, Mapping | None):
        raise SourceFailed(_NOT_KV2, is_away=False)
    if fields is None:
        return ManagedSecrets()
    if len(fields) > MOST:
        raise SourceFailed(f"the entry has more than {MOST} fields", is_away=False)
    values, problems = {}, {}
    for name, value in fields.items():
        problem = _problem(name, value)
        if problem:
            problems[name] = problem
        elif value:  # an empty one counts as not set
            values[name] = Secret(value, name)
    version = metadata.get("version")
    return ManagedSecrets(values, problems, version=version if isinstance(version, int) else 0)


def _problem(name: str, value: Any) -> str:
    if not _NAME.fullmatch(name):
        return "its name is not made of letters, digits and _"
    if not isinstance(value, str):
        return "its value is no text"
    if "\0" in value or len(value.encode("utf-8", "surrogatepass")) > LONGEST:
        return "its value is larger than 64 KiB, or has a NUL"
    return ""


def _explain(error: EgressFailed | EgressRefused) -> str:
    if error.why is Failure.REDIRECTED:
        return "it redirects, which mcpward does not follow with a token: name the node that answers"
    return f"{error.why.value} ({error.detail})" if error.detail else error.why.value
