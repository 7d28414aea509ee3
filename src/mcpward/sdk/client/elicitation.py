"""Asks a person, through their client: by a form, or by a page that they open (``elicitation/create``)."""

from collections.abc import Mapping
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from mcpward.core.client_channel import Question
from mcpward.sdk.client.ask import Unfit, converted
from mcpward.sdk.client.form import Form, form_by_hand, form_of
from mcpward.sdk.errors import AuthoringError

T = TypeVar("T")
Action = Literal["accept", "decline", "cancel"]
_LONGEST_URL: Final = 2048
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Elicited(Struct, Generic[T], frozen=True):
    """The person's action. ``data`` is the filled-in form if ``action`` is ``accept``, else None."""

    action: Action
    data: T | None = None


class Elicit:
    """Asks by a form of ``model``'s fields: a flat pydantic model or dataclass.

    ``schema`` is a form written by hand instead, in the specification's restricted JSON schema; its data is a dict.
    Without either, the form has no fields: the person accepts or does not.

    Raises:
        AuthoringError: the form has fields that no form has, or asks for a secret.
    """

    __slots__ = ("_form", "message")

    def __init__(self, message: str, model: Any = None, *, schema: Mapping[str, Any] | None = None) -> None:
        if model is not None and schema is not None:
            raise AuthoringError("a form has a model or a schema, not both", hint="leave one of them out")
        if isinstance(model, Mapping):
            raise AuthoringError("a schema is a keyword argument", hint="write Elicit(…, schema={…})")
        self.message = message
        self._form: Form = form_of(model) if model is not None else form_by_hand(_EMPTY if schema is None else schema)

    def question(self, key: str) -> Question:
        """Return the request to the client. ``mode`` is left out: clients before 2025-11-25 do not know it."""
        params = {"message": self.message, "requestedSchema": self._form.schema}
        return Question(key=key, method="elicitation/create", params=params, capability={"elicitation": {"form": {}}})

    def read(self, result: Any) -> Elicited[Any]:
        """Return the person's answer, with data that is what the form asks for.

        Raises:
            Unfit: the result does not answer the question.
        """
        answer = converted(result, _Result)
        if answer.action != "accept":
            return Elicited(answer.action)
        content = {} if answer.content is None else answer.content
        if not isinstance(content, dict):
            raise Unfit("the content is not what the form asks for")
        return Elicited(answer.action, self._form.read(content))


class ElicitUrl:
    """Asks a person to open a page, for what must not pass through their client.

    ``accept`` says that they agreed to open it, not that they are done there. The page itself must check that its
    visitor is the caller (``client/elicitation``, phishing).

    Raises:
        ValueError: the URL is not ``https`` (``http`` only for this machine), or holds a name or a password.
    """

    __slots__ = ("message", "url")

    def __init__(self, message: str, url: str) -> None:
        _require_sound(url)
        self.message = message
        self.url = url

    def question(self, key: str) -> Question:
        """Return the request to the client."""
        params = {"mode": "url", "message": self.message, "url": self.url}
        return Question(key=key, method="elicitation/create", params=params, capability={"elicitation": {"url": {}}})

    def read(self, result: Any) -> Elicited[None]:
        """Return the person's answer; content has no place in it.

        Raises:
            Unfit: the result does not answer the question.
        """
        return Elicited(converted(result, _Result).action)


class UnsoundUrl(AuthoringError, ValueError):
    """A URL that no person should be sent to."""


class _Result(Struct):
    action: Action
    content: Any = None


_EMPTY: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}


def _require_sound(url: str) -> None:
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise UnsoundUrl("the URL is too long, or has invalid characters", hint="percent-encode it")
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not is_safe or not parts.hostname:
        raise UnsoundUrl("the URL of a page is not https", hint='write "https://…", or http://127.0.0.1 for a test')
    if "@" in parts.netloc:
        hint = "let the page ask for the login: put no user and no password into its URL"
        raise UnsoundUrl("the URL contains a credential, and clients display URLs", hint=hint)
