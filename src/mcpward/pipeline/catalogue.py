"""A server's offers: its lists, filtered for their caller, its resources, prompts and completions.

The same decision that guards a call filters the list (attack 67). A result passes sanitize as a tool's does.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from mcpward.core.client_channel import ClientChannel
from mcpward.core.errors import Refusal
from mcpward.core.long_work import LongWork, TooLong
from mcpward.core.reasons import Reason
from mcpward.core.values import Call
from mcpward.core.withheld import CROWDED, withheld
from mcpward.policy.decide import Policy
from mcpward.policy.rule import Offer
from mcpward.protocol.page import cut
from mcpward.sanitize.clean import Sanitizer
from mcpward.tools.completion import Completion
from mcpward.tools.prompt import Prompt
from mcpward.tools.resource import Resource
from mcpward.tools.run import Runner
from mcpward.tools.tool_source import ToolSource
from mcpward.validation.accept import accept_prompt, accept_variables

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_Offer = TypeVar("_Offer", bound=Offer)


class Listed(Struct, frozen=True):
    """A result, encoded and fit to leave. ``ttl_ms`` is how long a client may keep it; None leaves that to protocol.

    ``origin`` names where its text comes from if strangers wrote that.
    """

    body: bytes
    ttl_ms: int | None = None
    origin: str | None = None


class Catalogue:
    """Answers the requests of the catalogue kind. ``sources`` by server name."""

    def __init__(self, sources: Mapping[str, ToolSource], policy: Policy, runner: Runner, sanitizer: Sanitizer) -> None:
        self._sources = dict(sources)
        self._policy = policy
        self._runner = runner
        self._sanitizer = sanitizer
        self._cleaning = LongWork("large-resources")

    async def answer(self, call: Call, channel: ClientChannel) -> Listed:
        """Return the result object.

        Raises:
            Refusal: resource-unknown, prompt-unknown, params-invalid, output-refused; capability-missing and
                consent-missing of a function that asks.
            Fault: a resource's, a prompt's or a completion's function failed.
            InputRequired: a function asks, and its answers have not come yet.
        """
        source = self._sources[call.arrival.server]
        ttl_ms = origin = None
        match call.method:
            case "resources/read":
                resource = self._resource(call, source)
                result, ttl_ms = await self._runner.read(call, resource, channel), resource.ttl_ms
                origin = resource.untrusted
            case "prompts/get":
                prompt = self._prompt(call, source)
                result = await self._runner.render(
                    call, prompt, accept_prompt(call, prompt.bind, prompt.schema), channel
                )
            case "completion/complete":
                result = await self._runner.complete(call, self._completion(call, source), channel)
            case _:
                result = self._list(call, source)
        body, whole = _encode(result), self._sanitizer.whole
        clean = whole(body, call) if len(body) <= self._sanitizer.at_once(call) else await self._beside(call, body)
        if self._sanitizer.is_split(_parts(result), lambda: _parts(_decode(clean)), call):
            raise withheld("a secret is split over several parts of the result")
        if call.method == "resources/read":
            clean = self._sanitizer.resource(clean, call, origin)
        return Listed(clean, ttl_ms, origin)

    async def _beside(self, call: Call, body: bytes) -> bytes:
        """Clean a large result beside the event loop."""
        try:
            return await self._cleaning.do(call.principal.key, self._sanitizer.whole, body, call)
        except TooLong:
            raise withheld("too many large results wait to be cleaned", CROWDED) from None

    def _list(self, call: Call, source: ToolSource) -> dict[str, Any]:
        match call.method:
            case "tools/list":
                return _page("tools", call, self._policy.visible(call.principal, source.tools), "name")
            case "resources/list":
                return _page("resources", call, self._usable(call, source.resources), "uri")
            case "resources/templates/list":
                return _page("resourceTemplates", call, self._usable(call, source.templates), "uriTemplate")
            case "prompts/list":
                return _page("prompts", call, self._usable(call, source.prompts), "name")
            case _:
                raise Refusal(Reason.METHOD_UNKNOWN, "no such list")

    def _usable(self, call: Call, offered: Iterable[_Offer]) -> list[_Offer]:
        return [offer for offer in offered if self._policy.listed(call.principal, offer)]

    def _resource(self, call: Call, source: ToolSource) -> Resource:
        """One answer for an item that is missing and for one that this caller may not read."""
        resource = source.find_resource(call.target)
        if resource is None:
            raise Refusal(Reason.RESOURCE_UNKNOWN)
        self._policy.require_offer(call.principal, resource, Reason.RESOURCE_UNKNOWN)
        return resource.filled(accept_variables(resource.bind, resource.schema))

    def _prompt(self, call: Call, source: ToolSource) -> Prompt:
        prompt = source.find_prompt(call.target)
        if prompt is None:
            raise Refusal(Reason.PROMPT_UNKNOWN)
        self._policy.require_offer(call.principal, prompt, Reason.PROMPT_UNKNOWN)
        return prompt

    def _completion(self, call: Call, source: ToolSource) -> Completion:
        is_prompt = call.params["ref"]["type"] == "ref/prompt"
        unknown = Reason.PROMPT_UNKNOWN if is_prompt else Reason.RESOURCE_UNKNOWN
        completion = source.complete(call)
        if completion is None:
            raise Refusal(unknown)
        self._policy.require_offer(call.principal, completion.offer, unknown)
        completion.require_argument()
        return completion


def _page(member: str, call: Call, offers: Iterable[Any], name: str) -> dict[str, Any]:
    page = cut([offer.listing for offer in offers], call.params.get("cursor"), _named(name))
    result: dict[str, Any] = {member: page.items}
    if page.next_cursor is not None:
        result["nextCursor"] = page.next_cursor
    return result


def _named(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda entry: str(entry[name])


def _parts(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a model reads one after the other: the messages of a prompt, contents of a resource, completions."""
    values = result.get("completion", {}).get("values", ())
    return [
        *(message["content"] for message in result.get("messages", ())),
        *result.get("contents", ()),
        *({"text": value} for value in values),
    ]
