"""The author's line of an error is found without a look at every frame of it: that would hold the event loop."""

import json

import pytest

from mcpward.tools.origin import Origin


class Counting(Origin):
    def __init__(self) -> None:
        super().__init__(None)
        self.looks: list[str] = []

    def holds(self, filename: str) -> bool:
        self.looks.append(filename)
        return super().holds(filename)


def endless(n: int) -> int:
    return endless(n + 1)


def encodes(_: object) -> str:
    return json.dumps(object(), default=encodes)  # frames of a library between ours


@pytest.mark.parametrize("function", [endless, encodes])
def test_an_endless_recursion_is_looked_at_by_its_files(function):
    origin = Counting()
    with pytest.raises(RecursionError) as error:
        function(0)
    frame = origin.frame(error.value)
    assert frame is not None
    assert (frame.filename, frame.name) == (__file__, function.__name__)
    assert frame.line is not None
    assert frame.line.startswith("return ")
    assert len(origin.looks) == len({*origin.looks}) < 5


def test_an_error_without_a_frame_of_the_authors_has_none():
    with pytest.raises(ValueError) as error:
        json.loads("{")
    assert Origin(None).frame(ValueError()) is None
    frame = Origin(None).frame(error.value)
    assert frame is not None
    assert frame.name == "test_an_error_without_a_frame_of_the_authors_has_none"
