"""No core dumps: a file of this process's memory would hold every secret of its tools (attack 93)."""

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def forbid_core_dumps() -> None:
    """Let this process, and those that it forks, leave no dump.

    The limit alone does not hold where the kernel pipes dumps to a program (core(5)); not to be dumpable does, on
    Linux. It also keeps other processes of the same user from reading the memory (ptrace(2)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
