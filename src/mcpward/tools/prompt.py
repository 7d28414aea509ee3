"""A prompt as mcpward knows it: its entry in ``prompts/list``, its arguments, and how to make it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder

from mcpward.core.client_channel import ClientChannel
from mcpward.core.values import Call
from mcpward.sdk.content import Message
from mcpward.sdk.definitions import PromptDefinition
from mcpward.tools.entry import entry_of
from mcpward.tools.result import block
from mcpward.tools.run_context import RunContext, invoke

_strings: Final = Decoder(dict[str, str | None]).decode


class Prompt(Struct, frozen=True, kw_only=True, eq=False):
    """``bind`` reads raw arguments (raises what ``validation.accept_prompt`` explains), ``render`` gives the result.

    ``schema`` is that of the arguments.
    """

    server: str
    name: str
    listing: Mapping[str, Any]
    bind: Callable[[bytes], dict[str, Any]]
    render: Callable[[Call, Mapping[str, Any], RunContext, ClientChannel], Awaitable[dict[str, Any]]]
    schema: Mapping[str, Any] = {}
    scopes: frozenset[str] = frozenset()
    deadline_s: float = 30.0


def bind_prompt(server: str, definition: PromptDefinition, deadline_s: float) -> Prompt:
    """Make a definition servable."""

    def bind(raw: bytes) -> dict[str, Any]:
        # The specification gives prompts strings only; each is read as its parameter's type.
        given = {name: text for name, text in _strings(raw).items() if text is not None}  # null: not given
        return definition.arguments.bind_strings(given)

    async def render(
        call: Call, arguments: Mapping[str, Any], stage: RunContext, channel: ClientChannel
    ) -> dict[str, Any]:
        value = await invoke(definition.function, definition.signature, arguments, call, stage, channel)
        parts = value if isinstance(value, list | tuple) else [value]
        return {"description": definition.description, "messages": [_message(part) for part in parts]}

    return Prompt(
        server=server,
        name=definition.name,
        listing=_listing(definition),
        bind=bind,
        render=render,
        schema=definition.arguments.schema(),
        scopes=definition.scopes,
        deadline_s=deadline_s,
    )


def _listing(definition: PromptDefinition) -> dict[str, Any]:
    required = definition.arguments.required()
    arguments = []
    for name in definition.arguments.names:
        argument: dict[str, Any] = {"name": name, "required": name in required}
        description = definition.arguments.description(name)
        if description is not None:
            argument["description"] = description
        arguments.append(argument)
    return entry_of(definition, arguments=arguments or None)


def _message(part: Any) -> dict[str, Any]:
    if isinstance(part, Message):
        return {"role": part.role, "content": block(part.content)}
    return {"role": "user", "content": block(part)}
