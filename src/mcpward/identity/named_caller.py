"""The caller of an operator's call."""

from typing import Final

from msgspec import Struct

from mcpward.core.scope import Access

OPERATOR: Final = "operator:"


class NamedCaller(Struct, frozen=True, kw_only=True):
    """The caller of an operator's call: the holder of the key ``key_id``, else ``name`` with the rights given here.

    ``access`` is the word of an access class; ``operator`` is the system account that typed the command.
    """

    name: str = ""
    key_id: str | None = None
    scopes: tuple[str, ...] = ()
    access: str = Access.READ.label
    operator: str = ""
