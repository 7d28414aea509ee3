"""The operator of this command: asked of the operating system, so that no variable decides the author of an act."""

import os
import pwd
import socket
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any, Final

from mcpward.core.operator import Operator

#: The command's own words, without its arguments and options.
_command: ContextVar[str] = ContextVar("command", default="")
_LONGEST: Final = 100


def note_command(root: Any, words: Sequence[str]) -> None:
    """Remember which command of ``root`` the words run: no value of an argument is among those that are kept."""
    said: list[str] = []
    group = root
    for word in words:
        group = getattr(group, "commands", {}).get(word)
        if group is None:
            break
        said.append(word)
    _command.set(" ".join(said))


def this_operator() -> Operator:
    """Return the account, the host and the terminal of this process, and the command that it runs."""
    return Operator(
        user=account(),
        host=socket.gethostname()[:_LONGEST] or "unknown",
        command=_command.get() or "unknown",
        terminal=_terminal(),
        on_behalf=_asked_by(),
        address=_address(),
    )


def account() -> str:
    """Return the account that this process acts as: no variable changes it, as LOGNAME does in ``getpass``."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's account needs no name
        return f"uid {uid}"


def _terminal() -> str | None:
    for stream in (sys.__stdin__, sys.__stderr__, sys.__stdout__):
        try:
            if stream is not None:
                return os.ttyname(stream.fileno())
        except (OSError, ValueError):
            continue
    return None


def _asked_by() -> str | None:
    name = os.environ.get("SUDO_USER") or os.environ.get("DOAS_USER")
    return name[:_LONGEST] if name else None


def _address() -> str | None:
    said = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    try:
        return str(ip_address(said))
    except ValueError:
        return None
