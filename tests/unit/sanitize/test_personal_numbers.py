"""Personal numbers by form and check digit (attack 85). What a caller sends decides how long the text is."""

import time

import pytest

from mcpward.sanitize.screens.personal_numbers import KINDS

CARD = "4111 1111 1111 1111"


def found(kind: str, text: str) -> list[str]:
    return [text[start:end] for start, end in KINDS[kind].find(text)]


@pytest.mark.parametrize(
    "text, cards",
    [
        (f"{CARD} 5x", [CARD]), (f"{CARD} 1.5", [CARD]), (f"2024 {CARD}", [CARD]), (f"{CARD} {CARD}", [CARD, CARD]),
        (f"{CARD}x", []), (f"{CARD}.5", []), (f"x{CARD}", []), (f"{CARD}, and", [CARD]),
    ],
)  # fmt: skip
def test_a_card_ends_where_its_own_groups_end(text, cards):
    assert found("cards", text) == cards


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", ["1 ", "1-", "1\u00a0", "1", "DE12 ", "a.", "a@b."])
def test_a_hostile_text_takes_linear_time(kind, piece):
    def cost(size: int) -> float:
        text = (piece * size)[:size] + "1x"
        began = time.process_time()
        found(kind, text)
        return time.process_time() - began

    assert cost(32_768) < 12 * max(min(cost(8_192) for _ in range(3)), 0.005)
