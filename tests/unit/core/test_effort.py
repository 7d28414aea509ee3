"""Values that need no counting are not decoded for it: counting 1 MiB of digits takes longer than binding them."""

import pytest

from mcpward.core.effort import Effort


def refuse(raw: bytes) -> dict[str, object]:
    pytest.fail("bound")


def effort(per_part: int, found: int) -> tuple[Effort, list[int]]:
    counted: list[int] = []

    def count(raw: bytes, most: int) -> int:
        counted.append(most)
        return found

    return Effort(light=0, per_part=per_part, few=10, most=100, count=count, bind=refuse), counted


@pytest.mark.parametrize("parts, per_part, is_counted", [(50, 2, False), (51, 2, True), (1, 0, True)])
def test_what_cannot_be_too_much_is_not_counted(parts: int, per_part: int, is_counted: bool):
    one, counted = effort(per_part, found=1)
    assert not one.is_too_much(b"1," * (parts - 1) + b"1")
    assert counted == [100] * is_counted


@pytest.mark.parametrize("found, is_too_much", [(100, False), (101, True)])
def test_the_rest_is_too_much_beyond_the_bound_alone(found: int, is_too_much: bool):
    one, _ = effort(per_part=0, found=found)
    assert one.is_too_much(b"[1]") is is_too_much
