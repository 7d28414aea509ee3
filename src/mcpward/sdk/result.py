"""A result that an author puts together by hand: blocks, structured content and ``_meta`` in one."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from mcpward.sdk.content import Content
from mcpward.sdk.labels import read_meta

_NONE: Final[Mapping[str, Any]] = {}


class ToolResult(Struct, frozen=True):
    """``content`` is a text, a content value or a list of them; left out, it is the structured content as text.

    ``structured`` is an object; if the tool's return annotation declares a schema it must fit that. ``meta`` is the
    result's ``_meta``, for the client and not for the model.

    Raises:
        AuthoringError: a key of ``meta`` is reserved, or its values are nothing that JSON can hold.
    """

    content: str | Content | Sequence[str | Content] | None = None
    structured: Any = None
    meta: Mapping[str, Any] = _NONE
    is_error: bool = False

    def __post_init__(self) -> None:
        if self.meta:
            read_meta(self.meta, "the result of a tool")
