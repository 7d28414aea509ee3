"""The texts that a type takes, so far as it names them itself."""

from enum import Enum, IntEnum
from typing import Annotated, Literal, Optional

import pytest
from pydantic import Field

from mcpward.sdk.schema.choices import choices_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"
    NUMBER = 3


class Size(IntEnum):
    S = 1


@pytest.mark.parametrize(
    "annotation,choices",
    [
        (bool, ("true", "false")),
        (Colour, ("red", "blue")),
        (Size, ()),
        (Literal["a", "b", 3], ("a", "b")),
        (Annotated[Literal["a"], Field(description="x")], ("a",)),
        (Literal["a", "b"] | None, ("a", "b")),
        (Optional[Colour], ("red", "blue")),  # noqa: UP045  authors write both
        (Literal["a"] | Colour, ("a", "red", "blue")),
        (Literal["a"] | int, ()),
        (str, ()),
        (int, ()),
        (list[Literal["a"]], ()),
    ],
)
def test_a_closed_type_names_its_texts(annotation, choices):
    assert choices_of(annotation) == choices
