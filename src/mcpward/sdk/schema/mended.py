"""Values with their half characters replaced, of the same types as before: for what refuses to take such text."""

from copy import copy as shallow_copy
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from mcpward.core.unicode import well_formed


def mended(value: Any) -> Any:
    """Return a copy of ``value``, of the same types, in which every text is well formed."""
    if type(value) is str:
        return well_formed(value)
    if isinstance(value, dict):
        return {mended(name): mended(member) for name, member in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(map(mended, value))
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(map(mended, value))
    if isinstance(value, BaseModel):
        copy = value.model_copy()
        copy.__dict__.update(mended(value.__dict__))
        object.__setattr__(copy, "__pydantic_extra__", mended(value.__pydantic_extra__))
        return copy
    return _mended_dataclass(value) if is_dataclass(value) and not isinstance(value, type) else value


def _mended_dataclass(value: Any) -> Any:
    copy = shallow_copy(value)
    for field in fields(value):
        object.__setattr__(copy, field.name, mended(getattr(value, field.name)))
    return copy
