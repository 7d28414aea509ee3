import pytest

from mcpward.core.ended_cache import EndedCache


def test_an_ended_session_is_remembered_until_its_token_runs_out() -> None:
    book = EndedCache()
    book.add("s1", forget_at=100.0)
    book.add("s2", forget_at=200.0)
    book.prune(now=100.0)
    assert not book.has("s1")
    assert book.has("s2")


@pytest.mark.slow
def test_a_million_ended_sessions_take_bounded_memory() -> None:
    book = EndedCache(capacity=1_000)
    for number in range(1_000_000):
        book.add(f"s{number}", forget_at=float(number))
    assert len(book) == 1_000
    assert book.has("s999999")
