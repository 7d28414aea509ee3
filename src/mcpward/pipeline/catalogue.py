"""What a server offers: its lists, filtered for their caller, and its resources and prompts.

The same decision that guards a call filters the list (attack 67). A result passes sanitize as a tool's does.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call
from mcpward.policy.decide import Policy
from mcpward.protocol.page import cut
from mcpward.sanitize.clean import Sanitizer
from mcpward.tools.registry import Registry
from mcpward.tools.report import Notify
from mcpward.tools.run import Runner
from mcpward.validation.accept import accept_prompt

_encode: Final = msgspec.json.Encoder().encode


class Catalogue:
    """Answers the requests of the kind catalogue. ``registries`` by server name."""

    def __init__(
        self, registries: Mapping[str, Registry], policy: Policy, runner: Runner, sanitizer: Sanitizer
    ) -> None:
        self._registries = dict(registries)
        self._policy = policy
        self._runner = runner
        self._sanitizer = sanitizer

    async def answer(self, call: Call, notify: Notify) -> bytes:
        """Give the result object, encoded and fit to leave.

        Raises:
            Refusal: resource-unknown, prompt-unknown, params-invalid, output-refused.
            Fault: a resource's or a prompt's function failed.
        """
        registry = self._registries[call.arrival.server]
        match call.method:
            case "tools/list":
                tools = self._policy.visible(call.principal, registry.tools)
                result = _page("tools", call, [tool.listing for tool in tools], "name")
            case "resources/list":
                result = _page("resources", call, self._open(call, registry.resources), "uri")
            case "resources/templates/list":
                result = {"resourceTemplates": []}
            case "prompts/list":
                result = _page("prompts", call, self._open(call, registry.prompts), "name")
            case "resources/read":
                result = await self._read(call, registry, notify)
            case "prompts/get":
                result = await self._render(call, registry, notify)
            case _:
                raise Refusal(Reason.METHOD_UNKNOWN, "no such list")
        clean = self._sanitizer.frame(_encode(result))
        if not clean:
            raise Refusal(Reason.OUTPUT_REFUSED, "too large, or a secret stands across several members")
        return clean

    def _open(self, call: Call, offered: Sequence[Any]) -> list[Mapping[str, Any]]:
        return [one.listing for one in offered] if self._policy.may_browse(call.principal) else []

    async def _read(self, call: Call, registry: Registry, notify: Notify) -> dict[str, Any]:
        resource = registry.find_resource(call.target) if self._policy.may_browse(call.principal) else None
        if resource is None:
            raise Refusal(Reason.RESOURCE_UNKNOWN)
        return await self._runner.read(call, resource, notify)

    async def _render(self, call: Call, registry: Registry, notify: Notify) -> dict[str, Any]:
        prompt = registry.find_prompt(call.target) if self._policy.may_browse(call.principal) else None
        if prompt is None:
            raise Refusal(Reason.PROMPT_UNKNOWN)
        return await self._runner.render(call, prompt, accept_prompt(call, prompt.bind), notify)


def _page(member: str, call: Call, entries: list[Mapping[str, Any]], name: str) -> dict[str, Any]:
    page = cut(entries, call.params.get("cursor"), _named(name))
    result: dict[str, Any] = {member: page.items}
    if page.next_cursor is not None:
        result["nextCursor"] = page.next_cursor
    return result


def _named(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda entry: str(entry[name])
