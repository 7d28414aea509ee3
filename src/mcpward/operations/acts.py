"""Acts that are no change of a row: put on record beforehand, unless the disk is full."""

from mcpward.operations.site import Site
from mcpward.traffic.act import Act
from mcpward.traffic.sink import NoRoom


async def noted(site: Site, act: Act) -> bool:
    """Put an act on record and return True; on a full disk return False.

    For what only carries data away or starts the site: whoever makes room that way must be able to.
    """
    try:
        await site.store.acts.note(act)
    except NoRoom:
        return False
    return True
