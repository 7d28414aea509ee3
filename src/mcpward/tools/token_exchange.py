"""A running call's way to tokens for upstreams, and the end of it: no token of a call leaves in its result.

The words that an author's caller receives are ours, from a closed list; the detail stays with identity's log.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import pydantic_core
from msgspec import Struct, structs

from mcpward.core.exchange import Exchange, ExchangeFailed, NoToken, Token
from mcpward.core.values import Call
from mcpward.core.withheld import withheld
from mcpward.sdk.errors import ExchangeRefused, ExchangeUnavailable, ToolError

_WORDS: Final = {
    NoToken.NOTHING_TO_EXCHANGE: "the caller has no access token to exchange",
    NoToken.IN_TASK: "a task runs without its caller's access token, so it cannot exchange one",
    NoToken.NOT_SET_UP: "this server may not exchange tokens at its identity provider",
    NoToken.REFUSED: "the identity provider refuses the caller a token for what this tool calls",
    NoToken.UNAVAILABLE: "the identity provider issues no token at the moment: try again later",
}


class Exchanging:
    """Implements the sdk's ``Exchanger`` for one call. Holds the call until :meth:`close`, its token never."""

    __slots__ = ("_call", "_given", "_loop", "_port")

    def __init__(self, call: Call, port: Exchange | None) -> None:
        self._call: Call | None = call
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._given: list[Token] = []

    def __repr__(self) -> str:
        return "Exchanging(***)"

    async def exchange(self, audience: str, scopes: frozenset[str]) -> Token:
        """Return a token for an upstream.

        Raises:
            ExchangeRefused: the provider refuses one.
            ExchangeUnavailable: not at the moment.
            ValueError: the audience or a scope cannot be asked for.
            RuntimeError: the call is over, or this is another event loop.
        """
        call = self._call
        if call is None or asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                "tokens are exchanged while the call runs, in its event loop: use context.run in threads"
            )
        try:
            if self._port is None:
                raise ExchangeFailed(NoToken.NOT_SET_UP)
            token = await self._port.exchange(call, audience, scopes)
        except ExchangeFailed as failed:
            raise _told(failed) from None
        self._given.append(token)
        return token

    def close(self) -> None:
        """The call is over: nothing is exchanged any more, and the caller's request is let go."""
        self._call = None

    def notifier(self, notify: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Return a ``notify`` that drops messages with a token."""

        def send(message: bytes) -> None:
            if not self._finds(message):
                notify(message)

        return send

    def require_clean(self, value: object) -> None:
        """Raise :class:`Refusal` (output-refused) if a function's result holds a token.

        Upstreams quote what they were sent, in errors above all.
        """
        if self._given and self._finds(_text(value)):
            raise withheld("the result contains a token that was exchanged for its caller")

    def require_untold(self, told: ToolError) -> None:
        """Raise the same refusal if the error text for the caller holds a token."""
        self.require_clean(told.message)

    def _finds(self, data: bytes) -> bool:
        return any(token.reveal().encode() in data for token in self._given)


def _told(failed: ExchangeFailed) -> ToolError:
    words = _WORDS[failed.why]
    if failed.why is NoToken.UNAVAILABLE:
        return ExchangeUnavailable(words)
    return ExchangeRefused(f"{words} ({failed.error})" if failed.error else words, failed.why.value, failed.error)


def _text(value: object) -> bytes:
    """Return all the text in a value. What JSON cannot hold is refused elsewhere."""
    try:
        return pydantic_core.to_json(value, inf_nan_mode="null", bytes_mode="base64", fallback=_fields)
    except (ValueError, TypeError, RecursionError):
        return repr(value).encode("utf-8", "replace")


def _fields(value: object) -> object:
    return structs.asdict(value) if isinstance(value, Struct) else repr(value)
