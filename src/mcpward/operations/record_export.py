"""Exports the record: every row that is meant, one at a time, in a format of other programs. On record itself."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from mcpward.operations.acts import noted
from mcpward.operations.site import Site
from mcpward.storage.traffic_filter import TrafficFilter
from mcpward.traffic.act import Act
from mcpward.traffic.formats import FORMATS

Progress = Callable[[int, int], None]
#: Rows between two calls of ``progress``.
_STEP = 1000


class Exported(Struct, frozen=True):
    """The number of rows that were written, and whether the export itself is on record: not if the disk is full."""

    rows: int
    is_on_record: bool


async def export_record(
    site: Site, wanted: TrafficFilter, form: str, write: Callable[[str], None], progress: Progress | None = None
) -> Exported:
    """Write every record that agrees with ``wanted``, oldest first, a line each; none at all if there are none.

    The rows are those of one moment and pass through one by one. ``write`` is called with each line without its end,
    perhaps in another thread. ``form`` is a name of :data:`FORMATS`.
    """
    make, head = FORMATS[form]
    newest = await site.store.traffic.select(replace(wanted, limit=1))
    if not newest:
        return Exported(0, is_on_record=False)
    wanted = replace(wanted, last_id=newest[0]["seq"])  # without the act of this export
    of = await site.store.traffic.count(wanted)
    is_on_record = await _noted(site, wanted, form, of)
    if head is not None:
        write(head)
    done = 0

    def take(row: dict[str, Any]) -> None:
        nonlocal done
        write(make(row))
        done += 1
        if progress is not None and not done % _STEP:
            progress(done, max(done, of))

    return Exported(await site.store.traffic.stream(wanted, take), is_on_record)


async def _noted(site: Site, wanted: TrafficFilter, form: str, rows: int) -> bool:
    chosen = {
        name: value
        for name in ("server", "tool", "key_id", "reason", "outcome", "peer", "by_limit", "since", "until", "acts")
        if (value := getattr(wanted, name)) is not None
    }
    narrowed = "".join(f", {name} {value}" for name, value in chosen.items())
    what = f"record exported: {rows} rows as {form}{narrowed}"
    act = Act(object="record", after={"format": form, "rows": rows, **chosen}, detail=what)
    return await noted(site, act)
