"""Limits with their enforcement as people write them: ``"10/minute"``, or a table that also states how it is enforced:
``{ rate = "10/minute", enforce = false, on_store_failure = "closed" }``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from mcpward.config.names import nearest
from mcpward.config.quota import parse_quota, quota_text
from mcpward.config.rate import parse_rate, rate_text
from mcpward.core.values import Enforcement, QuotaLimit, RateLimit

#: The policies for the time while the shared counters are away.
FAILURES: Final = ("closed", "open", "local")

T = TypeVar("T")


class InheritedLimit(str):
    """Used if a limit has no ``on_store_failure`` of its own: the site's value."""

    __slots__ = ()


_UNSAID: Final = InheritedLimit("local")


def read_limiting(value: object) -> object:
    """Return the rate and its enforcement; one that was read already, and None, are returned as they are.

    Raises:
        ValueError: it is neither text nor table, the text is no rate, or the table has something else in it.
    """
    return value if value is None or isinstance(value, RateLimit) else RateLimit(*_ruled(value, "rate", parse_rate))


def read_rationing(value: object) -> object:
    """Return the quota and its ruling, as :func:`read_limiting` does."""
    return value if value is None or isinstance(value, QuotaLimit) else QuotaLimit(*_ruled(value, "quota", parse_quota))


def settled(limit: Any, site: str) -> Any:
    """Return a limit with the site's own value ``site``; a value that is no limit is returned as it is."""
    if not isinstance(limit, RateLimit | QuotaLimit) or not isinstance(limit.ruling.on_store_failure, InheritedLimit):
        return limit
    ruling = Enforcement(limit.ruling.enforce, InheritedLimit(site))
    return RateLimit(limit.rate, ruling) if isinstance(limit, RateLimit) else QuotaLimit(limit.quota, ruling)


def ruled_text(limit: RateLimit | QuotaLimit | None) -> str | dict[str, Any]:
    """Write a limit so that it reads back the same: as a text if that expresses all; ``""`` for none."""
    if limit is None:
        return ""
    word = "rate" if isinstance(limit, RateLimit) else "quota"
    text = rate_text(limit.rate) if isinstance(limit, RateLimit) else quota_text(limit.quota)
    table: dict[str, Any] = {word: text}
    if not limit.ruling.enforce:
        table["enforce"] = False
    if not isinstance(limit.ruling.on_store_failure, InheritedLimit):
        table["on_store_failure"] = limit.ruling.on_store_failure
    return table if len(table) > 1 else text


def _ruled(value: object, word: str, parse: Callable[[str], T]) -> tuple[T, Enforcement]:
    if isinstance(value, str):
        return parse(value), Enforcement(on_store_failure=_UNSAID)
    if not isinstance(value, Mapping):
        raise ValueError(f'must be a text, or a table with {word} = "…"')  # noqa: TRY004
    known = (word, "enforce", "on_store_failure")
    for name in value:
        if name not in known:
            meant = nearest(str(name), known)
            raise ValueError(f"has an unknown key; {f'did you mean {meant}?' if meant else f'known: {known}'}")
    text, enforce = value.get(word), value.get("enforce", True)
    failure = value.get("on_store_failure", _UNSAID)
    if not isinstance(text, str):
        raise ValueError(f'a table has {word} = "…", and optionally enforce and on_store_failure')  # noqa: TRY004
    if not isinstance(enforce, bool):
        raise ValueError("enforce must be true or false")  # noqa: TRY004  # pydantic reports only a ValueError
    if failure not in FAILURES:
        raise ValueError("on_store_failure must be closed, open or local")
    return parse(text), Enforcement(enforce, failure)
