"""The valid names of servers, and the spelling that was probably meant."""

import re
from typing import Final

from mcpward.core.caller_path import read_caller_path
from mcpward.core.limit_name import SYNTAX, is_limit_name
from mcpward.core.spelling import nearest as nearest  # noqa: PLC0414  for modules that import it from here

SERVER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
# First path segments that mcpward answers itself: a server of that name could never be reached, or hide them.
RESERVED: Final = frozenset({"mcp", "healthz", "readyz", "metrics", "register", "authorize", "token", "dashboard"})


def check_server_name(name: str) -> str:
    """Return the name back.

    Raises:
        ValueError: it is not fit to stand in a path, or is taken by mcpward.
    """
    if not SERVER_NAME.fullmatch(name):
        raise ValueError("a server's name is 1 to 63 of a-z, 0-9 and -, and does not begin with -")
    if name in RESERVED:
        raise ValueError("mcpward itself uses this name: choose another")
    return name


_LONGEST_ARGUMENT: Final = 200
_ISSUER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
# RFC 6749 §3.3, without "*": no key holds every scope by accident.
_SCOPE_NAME: Final = re.compile(r"[\x21\x23-\x29\x2b-\x5b\x5d-\x7e]{1,255}")
_PERMISSION_NAME: Final = re.compile(r"(?:group|role|client):\S(?:.{0,253}\S)?")
_SECRET_NAME: Final = re.compile(r"(?:env:[A-Za-z_][A-Za-z0-9_]{0,99}|[A-Z][A-Z0-9_]{0,99})?", re.ASCII)


def check_issuer_name(name: str) -> str:
    """Return the name back. Raises ``ValueError`` for one that is not fit to be a key."""
    if not _ISSUER_NAME.fullmatch(name):
        raise ValueError("a provider's name is 1 to 63 of a-z, 0-9 and -, and does not begin with -")
    return name


def check_argument_name(name: str) -> str:
    """Return the name of an argument. Raises ``ValueError`` for one that no schema has."""
    if not 0 < len(name) <= _LONGEST_ARGUMENT or not name.isprintable():
        raise ValueError(f"an argument's name is 1 to {_LONGEST_ARGUMENT} printable characters")
    return name


def check_caller_value(path: str) -> str:
    """Return the path of a caller's value. Raises ``ValueError`` for one that there is none of."""
    if not path.startswith("caller."):
        raise ValueError("write caller.subject, caller.issuer, caller.client, caller.claims.NAME or caller.tags.NAME")
    read_caller_path(path.removeprefix("caller."))
    return path


def check_scope_name(name: str) -> str:
    """Return the scope back. Raises ``ValueError`` for what cannot be one, and for wildcards."""
    if not _SCOPE_NAME.fullmatch(name):
        raise ValueError('a scope is printable ASCII without spaces, quotes, backslashes and "*"')
    return name


def check_permission_name(name: str) -> str:
    """Return the name. Raises ``ValueError`` if it is not valid for its kind."""
    if not _PERMISSION_NAME.fullmatch(name) or not name.isprintable():
        raise ValueError('write "group:NAME", "role:NAME" or "client:ID"')
    return name


def check_secret_name(name: str) -> str:
    """Return the name back. Raises ``ValueError``, which does not quote it: it may be the secret itself."""
    if not _SECRET_NAME.fullmatch(name):
        raise ValueError("write the place of the secret, not the secret: env:NAME, or NAME as in mcpward secret set")
    return name


_MANAGER_PATH: Final = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9_.~-]+(?:/[A-Za-z0-9_.~-]+)*", re.ASCII)
_MANAGER_TOKEN: Final = re.compile(r"(?:env:[A-Za-z_][A-Za-z0-9_]{0,99}|file:\S(?:.*\S)?)?")


def check_manager_path(path: str) -> str:
    """Return the path of a mount, an entry or a namespace back. Raises ``ValueError`` for one that could be read as
    another, as with ``..``.
    """
    if not _MANAGER_PATH.fullmatch(path):
        raise ValueError("write parts of A-Z a-z 0-9 _ . ~ - with a slash between them, without . and .. as a part")
    return path


def check_manager_token(place: str) -> str:
    """Return the place of a token back. Raises ``ValueError``, which does not quote it: it may be the token itself."""
    if not _MANAGER_TOKEN.fullmatch(place) or not place.isprintable():
        raise ValueError("write the place of the token, not the token: env:NAME, or file:/path")
    return place


_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)


def check_budget_name(name: str) -> str:
    """Return the name back. Raises ``ValueError`` for one that is not fit to stand in an answer field and a metric."""
    return _limit_name(name, "budget")


def check_pool_name(name: str) -> str:
    """Return the name back. Raises ``ValueError``, as for budgets."""
    return _limit_name(name, "pool")


def check_tool_name(name: str) -> str:
    """Return the name back. Raises ``ValueError`` for what no tool can be called (MCP, tool names)."""
    if not _TOOL_NAME.fullmatch(name):
        raise ValueError("a tool's name is 1 to 128 of the characters A-Z a-z 0-9 _ . -")
    return name


def _limit_name(name: str, kind: str) -> str:
    if not is_limit_name(name):
        raise ValueError(f"a {kind}'s name is {SYNTAX}")
    return name
