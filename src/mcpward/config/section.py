"""The base of every table of the file, and the declaration of one setting in it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """One table of the file: closed, frozen, and strict (``"2"`` is not 2), so that a slip is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True, validate_default=True
    )


def key(default: Any, meaning: str, example: str = "", *, secret: bool = False) -> Any:
    """Declare a setting: ``...`` for required, ``example`` as TOML, ``secret`` if the value is masked."""
    return Field(
        default, description=meaning, examples=[example] if example else None, repr=not secret,
        json_schema_extra={"secret": True} if secret else None,
    )  # fmt: skip
