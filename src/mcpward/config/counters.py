"""The place of counters: ``memory``, or the URL of Redis or Valkey. No DNS, and no message quotes the URL."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from mcpward.config.address import Address, is_loopback, parse_address, parse_host
from mcpward.core.secret import Secret

MEMORY: Final = "memory"
ENVIRONMENT: Final = "env:"
SCHEMES: Final = ("redis", "rediss")
_PORT: Final = 6379
_MOST_NODES: Final = 32
_VARIABLE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_SYNTAX: Final = (
    'write "memory", "redis://[user[:password]@]host[:port][/db]", rediss://… with TLS, or "env:NAME" for one that a '
    "variable holds"
)
#: Names that no public DNS answers for: RFC 6761 §6.3, RFC 6762, RFC 8375, ICANN's resolution on .internal.
_PRIVATE: Final = (".localhost", ".local", ".home.arpa", ".internal")


class CountersUrl(Struct, frozen=True):
    """Redis or Valkey: one node, or some nodes of a cluster. ``user`` and ``password`` are empty if not given."""

    nodes: tuple[Address, ...]
    is_tls: bool
    user: str = ""
    password: Secret = Secret("")
    database: int = 0

    @property
    def in_clear(self) -> str | None:
        """A host to which the password would travel in clear over networks that are not private; None if there is none.

        A name without a dot is one of this machine's own network, as those of containers are.
        """
        if self.is_tls or not self.password:
            return None
        return next((node.host for node in self.nodes if not _is_private(node.host)), None)


def read_counters(text: str) -> CountersUrl | None:
    """Read the setting; None for ``memory``, and for a variable, whose value is not known yet.

    Raises:
        ValueError: it is none of these.
    """
    if text == MEMORY or _VARIABLE.fullmatch(text):
        return None
    return read_counters_url(text)


def read_counters_url(text: str) -> CountersUrl:
    """Read ``redis://[user[:password]@]host[:port][,host[:port]…][/db]``; user and password are percent-encoded.

    Raises:
        ValueError: it is something else.
    """
    scheme, colon, rest = text.partition("://")
    if not colon or scheme not in SCHEMES or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(_SYNTAX)
    if "#" in rest or "?" in rest:
        raise ValueError("the URL may not have a query or a fragment; in a password write them as %3F and %23")
    place, _, database = rest.partition("/")
    if database and (not database.isdigit() or len(database) > 4):
        raise ValueError("only the number of the database may follow the host; in a password write / as %2F")
    credential, _, hosts = place.rpartition("@")
    if "@" in credential or "," in credential:
        raise ValueError("one user comes before all hosts; in a user or a password write @ as %40 and , as %2C")
    user, _, password = credential.partition(":")
    if user and not password:  # an operator who writes redis://secret@host means a password, and would send none
        raise ValueError("a user needs a password; write a password without a user as redis://:password@host")
    nodes = tuple(_node(host) for host in hosts.split(","))
    if len(nodes) > _MOST_NODES:
        raise ValueError(f"name at most {_MOST_NODES} nodes")
    number = int(database or 0)
    if number and len(nodes) > 1:
        raise ValueError("a cluster has only database 0")
    return CountersUrl(nodes, scheme == "rediss", unquote(user), Secret(unquote(password), "limits.counters"), number)


def _node(text: str) -> Address:
    try:
        has_port = ":" in text.rpartition("]")[2]
        node = parse_address(text) if has_port else Address(parse_host(text), _PORT)
    except ValueError:
        raise ValueError("name each node as host or host:port, several separated by commas") from None
    if not node.port:
        raise ValueError("a port is 1 to 65535")
    return node


def _is_private(host: str) -> bool:
    if is_loopback(host):
        return True
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE)
