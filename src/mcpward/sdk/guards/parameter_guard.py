"""What a guard is: of a whole call (:class:`Guard`), and of one value (:class:`ParameterGuard`).

A guard of a value stands in the parameter's annotation, at any depth: ``list[Annotated[str, Email()]]``. It is part of
the parameter's own validation, so that a refusal has the path of the value.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from pydantic_core import PydanticCustomError, core_schema

from mcpward.core.facts import Problem
from mcpward.core.model_words import BREAKS_SCHEMA, IS_DANGEROUS

Said = Problem | str | None
"""The result of a check: None, or the rule that was broken, with its path or (a text) for the first parameter."""
SENTENCES: Final = "x-mcpward-sentences"
"""Where a schema under construction keeps what its description will end with. Never published."""


class Guard(Protocol):
    """A check of a call's arguments against their declared meaning.

    A guard may also have ``describe()``, a sentence for the description that the model reads, ``keywords(parameter)``,
    members for the published schema of one parameter, and ``require_types(annotations)``. That gets the annotations of
    all parameters when the tool is declared, and raises :class:`AuthoringError` if one that it reads has a type that it
    cannot check.
    """

    @property
    def parameters(self) -> tuple[str, ...]:
        """The tool's parameters that this guard reads; a name the tool does not have is an author's mistake."""
        ...

    def check(self, arguments: Mapping[str, Any]) -> Said | Awaitable[Said]:
        """Return the rule that the arguments break, or None. ``async def`` for one that has to wait."""
        ...


class ParameterGuard:
    """A check of one value: subclass it, write :meth:`check`, and use it as ``Annotated[int, Even()]``.

    ``kinds`` are the JSON types that it reads (``string``, ``integer``, ``number``, ``array``, ``object``, and
    ``ordered`` for dates and times); none means any. ``is_published`` says that :meth:`keywords` say all of the rule.
    """

    kinds: frozenset[str] = frozenset()
    is_published: bool = False
    called: str = ""
    """Its name in messages to the author, if that is not the class's."""

    def check(self, value: Any) -> str | Awaitable[str | None] | None:
        """Return the rule that the value breaks, in words for the model, without the value; None if it keeps it."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return one sentence for the parameter's description; "" if the keywords say it all."""
        return ""

    def keywords(self) -> Mapping[str, Any]:
        """Return members for the parameter's published JSON schema."""
        return {}

    @property
    def waits(self) -> bool:
        """Whether the check is awaited, after the arguments are bound and before a person is asked."""
        return inspect.iscoroutinefunction(self.check)

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> core_schema.CoreSchema:
        schema: core_schema.CoreSchema = handler(source)
        if self.waits:
            return schema
        return core_schema.no_info_after_validator_function(self._accepted, schema)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        made: dict[str, Any] = dict(handler.resolve_ref_schema(handler(schema)))
        sentence = self.describe()
        made.update(self.keywords())
        if sentence:
            made[SENTENCES] = [*made.get(SENTENCES, ()), sentence]
        return made

    def _accepted(self, value: Any) -> Any:
        """Return the value that the function gets. Raises pydantic's error for one that is refused."""
        if value is not None:
            broken = self.check(value)
            if broken is not None:
                raise refused(broken, BREAKS_SCHEMA if self.is_published else IS_DANGEROUS)
        return value


def name_of(guard: object) -> str:
    """Return a guard's name in messages to its author."""
    return getattr(guard, "called", "") or type(guard).__name__


def refused(rule: Any, kind: Any = IS_DANGEROUS) -> PydanticCustomError:
    """Return pydantic's error for a value that breaks a rule."""
    if not isinstance(rule, str):
        # No ValueError and no TypeError: pydantic would take either for a refusal of the author's own.
        raise RuntimeError(f"a guard returned {type(rule).__name__}, not a text or None")  # noqa: TRY004
    return PydanticCustomError(kind, "{rule}", {"rule": rule})
