"""The response that a tool gets: frozen, whole, and without a readable ``repr``, since it may hold anything."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from mcpward.core.jsonio import Bounds, JsonRefused, decode
from mcpward.sdk.http.errors import HttpFailed, HttpStatusError

_CHARSET: Final = re.compile(r";\s*charset=\"?([A-Za-z0-9._-]{1,40})", re.IGNORECASE)
_BOUNDS: Final = Bounds(depth=128, members=5_000_000)
_MARK: Final = b"\xef\xbb\xbf"


class Headers(Mapping[str, str]):
    """Header fields, found in any case; those that came several times are one list (RFC 9110, 5.3)."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __repr__(self) -> str:
        return f"Headers({', '.join(self._fields)})"


class Response(Struct, frozen=True, kw_only=True):
    """A response: ``status`` (httpx's ``status_code`` as well), ``headers``, ``content``, ``host``.

    ``host`` is the host, with its port, that answered at last.
    """

    status: int
    headers: Headers
    content: bytes
    host: str

    @property
    def status_code(self) -> int:
        """The status."""
        return self.status

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        """Whether it leads elsewhere: a redirect that was not followed."""
        return 300 <= self.status < 400 and "location" in self.headers

    @property
    def is_error(self) -> bool:
        """Whether the status is 400 or above."""
        return self.status >= 400

    @property
    def text(self) -> str:
        """The content in the charset that it declares, else in UTF-8; what is not of it becomes U+FFFD."""
        named = _CHARSET.search(self.headers.get("content-type", ""))
        try:
            return self.content.decode(named[1] if named else "utf-8", "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the content as JSON.

        Raises:
            HttpFailed: it is not JSON, in which no name is repeated.
        """
        try:
            return decode(self.content.removeprefix(_MARK), _BOUNDS)
        except JsonRefused as refused:
            raise HttpFailed(f"the response of {self.host} with status {self.status}: {refused}", "not-json") from None

    def raise_for_status(self) -> "Response":
        """Return the response itself.

        Raises:
            HttpStatusError: the status is not 2xx.
        """
        if not self.is_success:
            raise HttpStatusError(self)
        return self

    def __repr__(self) -> str:
        return f"<Response [{self.status}]>"
