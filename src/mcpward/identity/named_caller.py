"""Whom an operator's call is made as."""

from typing import Final

from msgspec import Struct

from mcpward.core.scope import Access

OPERATOR: Final = "operator:"


class NamedCaller(Struct, frozen=True, kw_only=True):
    """Whom a call is made as: the holder of the key ``key_id``, else ``name`` with the rights given here.

    ``access`` is the word of an access class; ``operator`` is the system's account of who typed it.
    """

    name: str = ""
    key_id: str | None = None
    scopes: tuple[str, ...] = ()
    access: str = Access.READ.label
    operator: str = ""
