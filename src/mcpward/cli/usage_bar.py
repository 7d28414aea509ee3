"""How the use of a limit is shown: a line with a bar for people, and a value for programs."""

import sys
from typing import TYPE_CHECKING, Any, Final

from mcpward.cli import ui

if TYPE_CHECKING:
    from mcpward.operations.usage_question import BucketUsage

HEADER: Final = ("limit", "scope", "caller", "used", "of", "resets in", "")
_WIDTH: Final = 10
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def lines_of(uses: "list[BucketUsage]", most: int | None = None) -> list[str]:
    """Lay the uses out as a table, with a heading; used-up limits stand out. At most ``most`` lines."""
    shown = uses if most is None else uses[: max(1, most - 1)]
    head, *lines = ui.aligned([HEADER, *(_cells(use) for use in shown)])
    return [
        ui.styled(head, "dim", sys.stdout),
        *(
            line if use.remaining > 0 else ui.styled(line, "error", sys.stdout)
            for line, use in zip(lines, shown, strict=True)
        ),
    ]


def shape_of(use: "BucketUsage") -> dict[str, Any]:
    """Return the use as a program reads it: ``server`` and ``tool`` are null if the limit is of more than one.

    In ``reset_s`` seconds one more is available; of a quota, all of it.
    """
    server, _, tool = use.scope.partition("\0")
    return {
        "limit": use.limit,
        "server": server or None,
        "tool": tool or None,
        "caller": use.caller or None,
        "used": use.most - use.remaining,
        "of": use.most,
        "remaining": use.remaining,
        "reset_s": use.reset_s,
    }


def span_text(seconds: int) -> str:
    """Write a span in its two largest units: ``3s``, ``2m 5s``, ``7h 12m``, ``30d``."""
    words = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            words.append(f"{count}{unit}")
        elif words:
            break
    return " ".join(words[:2]) or "0s"


def bar(used: int, most: int) -> str:
    """Draw the used part. Any use shows, and only a used-up limit is drawn full."""
    full, empty = ("█", "░") if _can_draw() else ("#", ".")
    marks = min(_WIDTH - 1, max(1, round(_WIDTH * used / most))) if 0 < used < most else _WIDTH * (used > 0)
    return full * marks + empty * (_WIDTH - marks)


def _cells(use: "BucketUsage") -> tuple[object, ...]:
    scope = use.scope.replace("\0", "/") or "site"
    used = use.most - use.remaining
    return use.limit, scope, use.caller or "all", used, use.most, span_text(use.reset_s), bar(used, use.most)


def _can_draw() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
