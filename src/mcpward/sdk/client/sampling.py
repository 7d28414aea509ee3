"""Asks the client's model (``sampling/createMessage``), with tools of ours if it can use them."""

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from mcpward.core.client_channel import Question
from mcpward.sdk.client.ask import Unfit, converted
from mcpward.sdk.content import Audio, Content, Image, Message, Text
from mcpward.sdk.errors import AuthoringError

Role = Literal["user", "assistant"]
_BLOCKS: Final = 64


class ToolUse(Content, frozen=True):
    """The model wants to use one of the tools that it was given. Its ``input`` is untrusted: check it."""

    id: str
    name: str
    input: dict[str, Any]

    def block(self) -> dict[str, Any]:
        """Return the block in the protocol's shape."""
        return {"type": "tool_use", "id": self.id, "name": self.name, "input": self.input}


class ToolUsed(Content, frozen=True):
    """The result of a tool use: the answer to the :class:`ToolUse` of that ``id``."""

    id: str
    content: str | Sequence[Content]
    is_error: bool = False

    def block(self) -> dict[str, Any]:
        """Return the block in the protocol's shape."""
        return {"type": "tool_result", "toolUseId": self.id, "content": _blocks(self.content), "isError": self.is_error}


class Sampled(Struct, frozen=True):
    """The model's answer. ``text`` is its text blocks together; ``content`` all its blocks.

    Output of a model that read your text: as untrusted as any caller.
    """

    text: str
    content: tuple[Content, ...]
    model: str
    role: Role = "assistant"
    stop_reason: str | None = None


class Sample:
    """Asks the client's model to go on after ``messages``: a text, or messages in their order.

    ``max_tokens`` bounds the answer. ``models`` are hints by name, best first; ``tools`` are entries as in
    ``tools/list`` (name, description, inputSchema), ``tool_choice`` is ``auto``, ``required`` or ``none``.
    """

    __slots__ = ("_needs_tools", "_params")

    def __init__(
        self,
        messages: str | Sequence[Message | Content | str],
        *,
        max_tokens: int,
        system: str | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
        models: Sequence[str] = (),
        tools: Sequence[Mapping[str, Any]] = (),
        tool_choice: Literal["auto", "required", "none"] | None = None,
    ) -> None:
        if type(max_tokens) is not int or max_tokens < 1:
            raise AuthoringError("max_tokens is a whole number above zero", hint="write max_tokens=500")
        said = [messages] if isinstance(messages, str) else messages
        given = {
            "systemPrompt": system,
            "temperature": temperature,
            "stopSequences": list(stop) or None,
            "modelPreferences": {"hints": [{"name": name} for name in models]} if models else None,
            "tools": [dict(tool) for tool in tools] or None,
            "toolChoice": {"mode": tool_choice} if tool_choice is not None else None,
        }
        self._params = {
            "messages": [_message(one) for one in said],
            "maxTokens": max_tokens,
            **{name: value for name, value in given.items() if value is not None},
        }
        self._needs_tools = bool(tools) or tool_choice is not None

    def question(self, key: str) -> Question:
        """Return the request to the client."""
        capability: dict[str, Any] = {"sampling": {"tools": {}} if self._needs_tools else {}}
        return Question(key=key, method="sampling/createMessage", params=self._params, capability=capability)

    def read(self, result: Any) -> Sampled:
        """Return what the model said.

        Raises:
            Unfit: the result does not answer the question, or uses a tool though none was offered.
        """
        answer = converted(result, _Result)
        blocks = answer.content if isinstance(answer.content, list) else [answer.content]
        content = tuple(_content(block) for block in blocks)
        if not self._needs_tools and any(isinstance(part, ToolUse) for part in content):
            raise Unfit("the model used a tool, but none was offered")
        text = "\n".join(part.text for part in content if isinstance(part, Text))
        return Sampled(text, content, answer.model, answer.role, answer.stopReason)


class _Text(Struct, tag_field="type", tag="text"):
    text: str


class _Image(Struct, tag_field="type", tag="image"):
    data: str
    mimeType: Annotated[str, Meta(max_length=128, pattern="^image/")]  # noqa: N815  the specification's own spelling


class _Audio(Struct, tag_field="type", tag="audio"):
    data: str
    mimeType: Annotated[str, Meta(max_length=128, pattern="^audio/")]  # noqa: N815  the specification's own spelling


class _ToolUse(Struct, tag_field="type", tag="tool_use"):
    id: Annotated[str, Meta(max_length=256)]
    name: Annotated[str, Meta(max_length=256)]
    input: dict[str, Any]


_Block = _Text | _Image | _Audio | _ToolUse


class _Result(Struct):
    role: Role
    content: _Block | Annotated[list[_Block], Meta(max_length=_BLOCKS)]
    model: Annotated[str, Meta(max_length=256)]
    stopReason: Annotated[str, Meta(max_length=256)] | None = None  # noqa: N815  the specification's own spelling


def _content(block: _Block) -> Content:
    if isinstance(block, _Text):
        return Text(block.text)
    if isinstance(block, _ToolUse):
        return ToolUse(block.id, block.name, block.input)
    try:
        data = b64decode(block.data, validate=True)
    except (BadBase64, ValueError):
        raise Unfit("a block is not base64") from None
    return Image(data, block.mimeType) if isinstance(block, _Image) else Audio(data, block.mimeType)


def _message(one: Message | Content | str) -> dict[str, Any]:
    if not isinstance(one, Message):
        return {"role": "user", "content": _block(one)}
    said = one.content
    return {"role": one.role, "content": _blocks(said) if isinstance(said, list | tuple) else _block(said)}


def _blocks(content: str | Sequence[Any]) -> list[dict[str, Any]]:
    return [_block(part) for part in ([content] if isinstance(content, str) else content)]


def _block(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, Content):
        return part.block()
    problem = f"a message to the model is text or content, not {type(part).__name__}"
    raise AuthoringError(problem, hint="pass a str, Text(…), Image(…) or Audio(…)")
