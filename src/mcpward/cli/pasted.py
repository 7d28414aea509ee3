"""A key or a secret URL as people paste it: with ``Bearer``, quotes, spaces, line ends or invisible characters."""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mcpward.cli import ui
from mcpward.cli.clients import VARIABLE, variable_of
from mcpward.core.secret import Secret

_MOST_BYTES: Final = 64 * 1024
_QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb<>,;"
# Text before a key in a header, a shell's line or a file of settings.
_BEFORE: Final = re.compile(
    r"(?:(?:export|set|authorization|x-api-key|bearer)(?=[\s:\"']|sk-)|\$env:|[A-Z_][A-Z0-9_]*\s*=)[\s:=\"']*",
    re.IGNORECASE,
)
_DASHES: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-"))


def cleaned(text: str) -> Secret:
    """Return what was pasted without what came along with it."""
    seen = "".join(one for one in text if unicodedata.category(one) not in {"Cf", "Cc"} or one in "\t\r\n")
    rest = seen.strip().strip(_QUOTES).strip()
    while (before := _BEFORE.match(rest)) and before.end() and not rest.lower().startswith(("sk-", "http")):
        rest = rest[before.end() :].strip().strip(_QUOTES).strip()
    return Secret("".join(rest.translate(_DASHES).split()))


def from_file(file: Path) -> Secret:
    """Read a key from a file of its own, in UTF-8 or as PowerShell writes it (UTF-16 with a byte order mark).

    Raises:
        CommandEnded: it cannot be read, or is too long to be a key.
    """
    try:
        with file.expanduser().open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeError:  # its text would quote the key
        raise ui.CommandEnded(ui.Exit.USAGE, f"--key-file: {file} is not text in UTF-8") from None
    except OSError as error:
        raise ui.CommandEnded(ui.Exit.UNREACHABLE, f"--key-file: {file} cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES or not text.strip():
        raise ui.CommandEnded(ui.Exit.USAGE, f"--key-file: {file} has no key", "the file must contain only the key")
    return cleaned(text)


def from_environment(env: Mapping[str, str], server: str, variable: str) -> Secret | None:
    """Return the key of a server: from the variable that was named, its own variable, or the one for all servers."""
    for name in (variable, variable_of(server), VARIABLE):
        if name and (value := env.get(name, "")):
            return cleaned(value)
    return None


def is_url(secret: Secret) -> bool:
    """Whether a URL was pasted, not a key."""
    return secret.reveal().lower().startswith(("https://", "http://"))
