"""Arguments of a tool that the caller's own identity fills, or the operator: the model can neither see nor set them."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct


class CallerValues(Struct, frozen=True, eq=False):
    """Fills such arguments of one tool.

    ``sources`` maps each argument to what fills it: ``caller.subject``, or "" for a fixed value. ``missing`` returns
    why a principal cannot fill them, "" if it can. ``fill`` returns the arguments with the values put in, and raises
    :class:`~mcpward.core.errors.Refusal`. ``told`` returns what a principal filled in, as a line for the record.
    """

    sources: Mapping[str, str]
    missing: Callable[[Any], str]
    fill: Callable[[Any, dict[str, Any]], dict[str, Any]]
    told: Callable[[Any], str]
