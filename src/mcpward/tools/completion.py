"""The completion of an argument while a person types it: the author's function, or the values that its type names.

At most 100 values leave (completion page of the specification); ``total`` is how many there are.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from mcpward.core.client_channel import ClientChannel
from mcpward.core.invalid import invalid
from mcpward.core.unicode import well_formed
from mcpward.core.values import Call
from mcpward.core.withheld import withheld
from mcpward.sdk.completion import CONTEXT, VALUE
from mcpward.sdk.definitions import CompletionDefinition, PromptDefinition, ResourceDefinition
from mcpward.sdk.schema.choices import choices_of
from mcpward.sdk.schema.mismatch import found
from mcpward.tools.prompt import Prompt
from mcpward.tools.resource import Resource, ResourceTemplate
from mcpward.tools.run_context import RunContext, invoke

_MOST: Final = 100
Offer = Prompt | Resource | ResourceTemplate
Values = Callable[[Call, RunContext, ClientChannel], Awaitable[Sequence[str]]]


class Completion(Struct, frozen=True, kw_only=True, eq=False):
    """The completion that one call asks for. ``offer`` is what it completes: only for those who may use that.

    ``values`` is None if the offer has no such argument.
    """

    offer: Offer
    values: Values | None
    deadline_s: float = 30.0
    where: str = ""

    def _at(self) -> str:
        return f" ({self.where})" if self.where else ""

    def require_argument(self) -> None:
        """Raise :class:`Refusal` (params-invalid) if there is no such argument."""
        if self.values is None:
            raise invalid("argument.name", "the name of an argument of what ref names")

    async def complete(self, call: Call, stage: RunContext, channel: ClientChannel) -> dict[str, Any]:
        """Return the result of ``completion/complete``."""
        values = await self.values(call, stage, channel) if self.values is not None else ()
        if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
            raise withheld(f"the completion returned {_kinds(values)}, not a list of texts{self._at()}")
        shown = [*map(well_formed, values[:_MOST])]
        return {"completion": {"values": shown, "total": len(values), "hasMore": len(values) > _MOST}}


def _kinds(values: Any) -> str:
    if isinstance(values, list | tuple):
        return f"a list with {next(type(value).__name__ for value in values if not isinstance(value, str))}"
    return found(values)


class Completions:
    """The completions of a server's prompts and templates."""

    def __init__(
        self,
        offered: Iterable[PromptDefinition | ResourceDefinition],
        written: Sequence[CompletionDefinition],
        deadline_s: float,
    ) -> None:
        own = {(id(one.of), one.argument): _by_author(one) for one in written}
        self._deadline_s = deadline_s
        self._where = {(_key(one.of), one.argument): one.where for one in written}
        self._values: dict[str, dict[str, Values]] = {}
        self.any = bool(own)
        for definition in offered:
            values: dict[str, Values] = {}
            for parameter in definition.signature.parameters:
                choices = choices_of(parameter.annotation)
                self.any = self.any or bool(choices)
                values[parameter.name] = own.get((id(definition), parameter.name)) or _by_type(choices)
            self._values[_key(definition)] = values

    def of(self, offer: Offer, argument: str) -> Completion:
        """Return the completion of an argument of a prompt, a resource or a template."""
        values = self._values[_key(offer)].get(argument)
        where = self._where.get((_key(offer), argument), "")
        return Completion(offer=offer, values=values, deadline_s=self._deadline_s, where=where)


def _key(of: PromptDefinition | ResourceDefinition | Offer) -> str:
    """A prompt's name has no colon, a URI has one."""
    return of.name if isinstance(of, PromptDefinition | Prompt) else of.uri


def _by_author(definition: CompletionDefinition) -> Values:
    taken = {parameter.name for parameter in definition.signature.parameters}

    async def values(call: Call, stage: RunContext, channel: ClientChannel) -> Sequence[str]:
        given = {VALUE: call.params["argument"]["value"], CONTEXT: _known(call)}
        wanted = {name: value for name, value in given.items() if name in taken}
        found: Sequence[str] = await invoke(definition.function, definition.signature, wanted, call, stage, channel)
        return found

    return values


def _by_type(choices: tuple[str, ...]) -> Values:
    async def values(call: Call, _stage: RunContext, _channel: ClientChannel) -> Sequence[str]:
        begun = call.params["argument"]["value"].casefold()
        return [choice for choice in choices if choice.casefold().startswith(begun)]

    return values


def _known(call: Call) -> Mapping[str, str]:
    """The other arguments, as far as the client sent them."""
    return dict((call.params.get("context") or {}).get("arguments") or {})
