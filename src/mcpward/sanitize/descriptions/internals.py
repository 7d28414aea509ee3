"""What a description gives away of the inside: private addresses, paths of a machine, versions, credentials."""

import re
from typing import Final

from mcpward.sanitize.screens import known_credentials
from mcpward.sanitize.screens.invisible import strip

_SHOWN: Final = 80
#: The machine that a client runs on says nothing of ours; ``example`` and the like are documentation's.
_HOST: Final = re.compile(
    r"\b(?:https?|wss?|ftp|postgres(?:ql)?|mysql|redis|mongodb|amqp)://(?:[^\s/@]{1,100}@)?([A-Za-z0-9_.-]{1,253})"
)
_ADDRESS: Final = re.compile(
    r"(?<![\d.])(?:10\.\d{1,3}|172\.(?:1[6-9]|2\d|3[01])|192\.168|169\.254)\.\d{1,3}\.\d{1,3}(?!\.?\d)"
)
_INSIDE: Final = re.compile(
    r"(?i)[\w-]{1,63}(?:\.[\w-]{1,63}){0,6}\.(?:internal|intranet|corp|lan|local|cluster\.local|private|home\.arpa)"
)
_PUBLIC_LABELS: Final = frozenset(
    {"localhost", "example", "host", "hostname", "server", "domain", "url", "site", "website"}
)
_PATH: Final = re.compile(
    r"(?<![\w/.~])(?:/(?:home|Users)/([\w.-]{1,64})/[\w.-]{1,64}|/(?:root|srv|opt)/([\w.-]{1,64})/[\w./-]{1,64}|"
    r"/var/(?:lib|www|run|log)/([\w.-]{1,64})|[A-Za-z]:\\Users\\([\w.-]{1,64})\\)"
)
_ANYBODY: Final = frozenset(
    {
        "user",
        "username",
        "you",
        "your",
        "me",
        "name",
        "yourname",
        "example",
        "alice",
        "bob",
        "john",
        "path",
        "project",
        "app",
    }
)
_PRODUCT: Final = re.compile(
    r"(?i)\b(?:(?:postgres(?:ql)?|mysql|mariadb|redis|valkey|nginx|apache|httpd|django|flask|fastapi|express|"
    r"spring(?: boot)?|openssl|linux kernel|ubuntu|debian|centos|kubernetes|kafka|rabbitmq|mongodb|elasticsearch|"
    r"tomcat|log4j|sqlalchemy|sql server|jenkins)[ /]v?\d{1,4}\.\d{1,4}(?:\.\d{1,6})?|"
    r"(?:python|node(?:\.js)?|java|php|ruby)[ /]v?\d{1,3}\.\d{1,3}\.\d{1,4})\b"
)


def internals(text: str) -> list[tuple[str, str]]:
    """Return kind and words of what is inside, one of each kind at most. Of a credential, no part is shown."""
    text = strip(text)
    found = []
    if where := _address(text):
        found.append(("an address inside a network", where))
    if path := _path(text):
        found.append(("a path of a machine", path))
    if product := _PRODUCT.search(text):
        found.append(("the version of what runs inside", product[0][:_SHOWN]))
    kinds: list[str] = []
    known_credentials.masked(text, kinds)
    if kinds:
        found.append(("a credential", kinds[0]))
    return found


def _address(text: str) -> str:
    private = _ADDRESS.search(text) or _INSIDE.search(text)
    if private is not None:
        return private[0][:_SHOWN]
    for found in _HOST.finditer(text):
        host = found[1].lower().rstrip(".")
        is_name = "." not in host and not host.isdigit() and host not in _PUBLIC_LABELS
        if is_name and not host.startswith(("your", "my")):
            return found[0][:_SHOWN] if "@" not in found[0] else host[:_SHOWN]
    return ""


def _path(text: str) -> str:
    for found in _PATH.finditer(text):
        owner = next((one for one in found.groups() if one), "")
        if owner.lower().strip("<>{}") not in _ANYBODY:
            return found[0][:_SHOWN]
    return ""
