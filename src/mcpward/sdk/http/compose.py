"""Composes a request from what an author passes, as httpx does, and notes where each secret went."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote, quote_plus

import msgspec
from msgspec.structs import replace

from mcpward.core.secret import Secret, used_value_of
from mcpward.egress.outgoing import OutgoingRequest, Use, read_header, require_method
from mcpward.egress.url import parse
from mcpward.sdk.errors import MissingSecret
from mcpward.sdk.http.safe_url import SafeUrl, hosts_of, text_of

Text: TypeAlias = str | Secret
#: Values are texts, numbers, secrets, None, or lists of them.
Pairs: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]
HeaderPairs: TypeAlias = Mapping[str, Text] | Iterable[tuple[str, Text]]
Body: TypeAlias = str | bytes | Secret
_FORM: Final = "application/x-www-form-urlencoded"
_MASKED: Final = str(Secret(""))
_URL: Final = "the URL"


class Composer:
    """Composes one request; ``uses`` grows with each secret that is written into it."""

    def __init__(self) -> None:
        self.uses: list[Use] = []

    def compose(
        self,
        method: str,
        url: Text | SafeUrl,
        *,
        params: Pairs | None,
        headers: HeaderPairs | None,
        auth: tuple[Text, Text] | None,
        json: Any,
        data: Pairs | Body | None,
        content: Body | None,
    ) -> OutgoingRequest:
        """Return the request, with none of the checks on where it may go.

        Raises:
            Misuse: an argument has a type that cannot be sent.
            EgressRefused: the URL, a header or the method cannot be sent.
        """
        target = parse(self._url(url, params))
        before = len(self.uses)
        body, media = self._body(json, data, content)
        self.uses[before:] = [replace(use, is_body=True) for use in self.uses[before:]]
        fields = self._headers(headers)
        names = {name for name, _ in fields}
        if auth is not None:
            if "authorization" in names:
                raise Misuse("auth and the header Authorization are both there", "pass one of them")
            fields.append(read_header("Authorization", self._basic(auth)))
        if media and "content-type" not in names:
            fields.append(("content-type", media))
        if "accept" not in names:
            fields.append(("accept", "*/*"))
        hosts = hosts_of(url) if isinstance(url, SafeUrl) else None
        return OutgoingRequest(require_method(method), target, tuple(fields), body, tuple(self.uses), hosts)

    def _text(self, value: Any, what: str, header: str = "") -> str:
        if isinstance(value, Secret):
            if not value.has_value:  # an empty credential is none, and would be sent as one
                raise MissingSecret(value.name)
            self.uses.append(Use(value, header))
            return used_value_of(value)
        if isinstance(value, str):
            if _MASKED in value and (header or what == _URL):  # a secret of env in an f-string
                hint = 'write env.NAME.template("Bearer {}"), which has the value in the place of {}'
                raise Misuse(f"{what} contains ***, because a secret does not print its value", hint)
            return value
        raise Misuse(f"{what} is {type(value).__name__}, not a text or a secret", "pass str(…), or a secret of env")

    def _plain(self, value: Any, what: str) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, int | float) else self._text(value, what)

    def _pairs(self, pairs: Any, what: str) -> list[tuple[str, str]]:
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
        found: list[tuple[str, str]] = []
        for name, value in items:
            several = value if isinstance(value, list | tuple | set | frozenset) else [value]
            found += [(str(name), self._plain(one, f"{what}[{name!r}]")) for one in several]
        return found

    def _url(self, url: Text | SafeUrl, params: Pairs | None) -> str:
        text = text_of(url) if isinstance(url, SafeUrl) else self._text(url, _URL)
        if not params:
            return text
        query = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self._pairs(params, "params")
        )
        return f"{text}{'&' if '?' in text else '?'}{query}"

    def _headers(self, headers: HeaderPairs | None) -> list[tuple[str, str]]:
        if headers is None:
            return []
        items = headers.items() if isinstance(headers, Mapping) else headers
        return [
            read_header(str(name), self._text(value, f"the header {name}", str(name).lower())) for name, value in items
        ]

    def _basic(self, auth: Any) -> str:
        if not isinstance(auth, tuple) or len(auth) != 2:
            raise Misuse("auth is not a pair", 'pass auth=("user", env.PASSWORD), or headers={"Authorization": …}')
        user, password = (self._text(part, "auth", "authorization") for part in auth)
        if ":" in user:
            raise Misuse("the user of auth contains a colon, which Basic cannot send", "check the order of auth")
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def _body(self, json: Any, data: Any, content: Any) -> tuple[bytes | None, str]:
        if sum(one is not None for one in (json, data, content)) > 1:
            raise Misuse("json, data and content are three ways to write one body", "pass one of them")
        if json is not None:
            return self._json(json), "application/json"
        raw = content if content is not None else data
        if raw is None:
            return None, ""
        if isinstance(raw, bytes):
            return raw, ""
        if isinstance(raw, str | Secret):
            return self._text(raw, "the body").encode(), ""
        if content is not None:
            raise Misuse(f"content is {type(content).__name__}, not str or bytes", "use json= or data=")
        fields = self._pairs(data, "data")
        return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in fields).encode(), _FORM

    def _json(self, value: Any) -> bytes:
        def other(leaf: Any) -> Any:
            if isinstance(leaf, Secret):
                return self._text(leaf, "json")
            dump = getattr(leaf, "model_dump", None)  # a pydantic model
            if dump is None:
                raise TypeError
            return dump(mode="json")

        try:
            return msgspec.json.encode(value, enc_hook=other)
        except (TypeError, ValueError, RecursionError, OverflowError):
            raise Misuse("json= has a value that JSON cannot hold", "pass dicts, lists, texts and numbers") from None


class Misuse(Exception):
    """An argument has a type that cannot be sent."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint
