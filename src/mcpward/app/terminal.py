"""Whether the terminal from which this process was started is gone: then SIGHUP does not ask for a reload."""

import os
from typing import Final

_CONTROLLING: Final = "/dev/tty"


class Terminal:
    """The controlling terminal, as it was when this was made. A service has none."""

    def __init__(self) -> None:
        self._was_there = _is_there()

    def is_lost(self) -> bool:
        """Return whether there was one and there is none any more."""
        return self._was_there and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open(_CONTROLLING, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
