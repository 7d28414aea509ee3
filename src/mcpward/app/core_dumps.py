"""No core dumps: a file of this process's memory would hold every secret of its tools (attack 93)."""

import resource


def forbid_core_dumps() -> None:
    """Let neither this process nor one that it starts leave a dump; no process below it can allow one again."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
