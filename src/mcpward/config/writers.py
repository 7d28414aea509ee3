"""Other accounts that may write the site's file, and the sources of its servers: they decide who gets in, and what
runs.

The owners are root or the user who runs this, as for the data folder: an owner can change a file in any mode. A group
that belongs only to the owner, as many systems give each user, has no other member. In a folder that is sticky or
mounted read-only, no account can replace a file of another user. Looks at the file and its folder, not at those above.
"""

import grp
import os
import pwd
import stat
from pathlib import Path

from mcpward.core.errors import Finding


def writable_by_others(path: Path, name: str = "the site's file", decides: str = "who gets in") -> list[Finding]:
    """Return what is wrong with the owners and rights of a file and of the folders through which it is found.

    ``name`` is what the file is called in messages, ``decides`` what its writers decide.

    Raises ``OSError`` when they cannot be looked at.
    """
    findings: list[Finding] = []
    if _is_of_another(path.stat()):
        findings.append(Finding(f"{name} belongs to another user", str(path), _chown(path)))
    elif _is_of_another(path.lstat()):  # sources are looked for in the folder of the link
        findings.append(Finding(f"the link to {name} belongs to another user", str(path), _chown(path, " -h")))
    if _may_others_write(path.stat()):
        what = f"other users may change {name}, and so {decides}"
        findings.append(Finding(what, str(path), f"chmod go-w {path}"))
    real = path.resolve()
    for folder in dict.fromkeys((path.absolute().parent.resolve(), real.parent)):
        state = folder.stat()
        if _is_of_another(state):  # sticky or not: its owner may remove and rename what is in it
            what = f"the folder of {name} belongs to another user"
            findings.append(Finding(what, str(folder), _chown(folder)))
        if _may_others_write(state) and not state.st_mode & stat.S_ISVTX and not _is_read_only(folder):
            what = f"other users may put another file in the place of {name}"
            findings.append(Finding(what, str(folder), f"chmod go-w {folder}"))
    return findings


def importable_by_others(folder: Path, name: str) -> list[Finding]:
    """Return the fault in the owner and rights of a folder from which Python imports.

    An account that may add a file there has it run in the place of a library's. So sticky is not enough.

    Raises ``OSError`` when it cannot be looked at.
    """
    state = folder.stat()
    if _is_of_another(state):
        return [Finding(f"the folder of {name} belongs to another user", str(folder), _chown(folder))]
    if _may_others_write(state) and not _is_read_only(folder):
        what = f"other users may put a module beside {name}, which it would run"
        return [Finding(what, str(folder), f"chmod go-w {folder}")]
    return []


def _is_of_another(state: os.stat_result) -> bool:
    return state.st_uid not in (os.geteuid(), 0)


def _chown(path: Path, option: str = "") -> str:
    return f"run mcpward as its owner, or, as root: chown{option} {os.geteuid()} {path}"


def _may_others_write(state: os.stat_result) -> bool:
    if state.st_mode & stat.S_IWOTH:
        return True
    return bool(state.st_mode & stat.S_IWGRP) and not is_of_one(state.st_uid, state.st_gid)


def is_of_one(user: int, group: int) -> bool:
    """Return whether a group is a user's own: named alike, and without other members."""
    try:
        name, found = pwd.getpwuid(user).pw_name, grp.getgrgid(group)
    except KeyError:  # as in a container whose user has no name: there are no others in the group
        return user == group
    return found.gr_name == name and set(found.gr_mem) <= {name}


def _is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
