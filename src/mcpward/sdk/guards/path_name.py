"""Names of files as callers write them: relative, with ``/`` between folders, and nothing that another system reads
differently. Taken literally: ``%2e%2e`` is a name of six characters.
"""

import re
from typing import Final

LONGEST: Final = 1_024
_LONGEST_PART: Final = 255
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")
#: Devices of Windows, in every folder and with any suffix.
_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$|clock\$)(?:\..*)?",
    re.IGNORECASE | re.ASCII,
)
#: Whatever is looked at part by part; in a short ASCII path without it there is nothing to refuse.
_ODD: Final = re.compile(
    r"[\x00-\x1f\x7f\\:]|[. /](?:/|$)|^/|(?:^|/)(?:con|prn|aux|nul|com[0-9]|lpt[0-9]|conin|conout|clock)[.$/]"
    r"|(?:^|/)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$",
    re.IGNORECASE | re.ASCII,
)
_RELATIVE: Final = "a path below the folder, without .. and not beginning with /"
_PORTABLE: Final = "a path that means the same on every system: / between folders, no drive, stream or device"


class Unnamed(ValueError):
    """A text is not the name of a file. Its first argument is the rule that it breaks."""


def parts_of(text: object) -> tuple[str, ...]:
    """Return the parts of a relative path; ``.`` and doubled slashes are left out, so that none may remain.

    Raises:
        Unnamed: with the rule.
    """
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
        raise Unnamed(f"a path of 1 to {LONGEST} characters")
    if len(text) <= _LONGEST_PART and text.isascii() and _ODD.search(text) is None:  # most paths
        return tuple(text.split("/"))
    if _UNSEEN.search(text):
        raise Unnamed("a path without NUL and control characters")
    if "\\" in text or _DRIVE.match(text):
        raise Unnamed(_PORTABLE)
    if text.startswith("/"):
        raise Unnamed(_RELATIVE)
    parts = tuple(part for part in text.split("/") if part not in {"", "."})
    for part in parts:
        _require(part)
    return parts


def _require(part: str) -> None:
    if part == "..":
        raise Unnamed(_RELATIVE)
    if part.endswith((".", " ")) or "::" in part or ":$" in part or _DEVICE.fullmatch(part):
        raise Unnamed(_PORTABLE)
    try:
        length = len(part.encode())
    except UnicodeEncodeError:
        raise Unnamed("a path without lone surrogates") from None
    if length > _LONGEST_PART:
        raise Unnamed(f"names of at most {_LONGEST_PART} bytes")
