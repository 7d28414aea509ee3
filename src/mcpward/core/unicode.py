"""Text that any JSON parser and any line reader takes: no half of a surrogate pair, no bare line separator."""

from typing import Final

_LINE_SEPARATOR: Final = "\u2028".encode()
_PARAGRAPH_SEPARATOR: Final = "\u2029".encode()
#: The common beginning of both: one search if there is neither.
_COMMON: Final = _LINE_SEPARATOR[:2]


def well_formed(text: str) -> str:
    """Return ``text`` with the halves of a surrogate pair joined and any lone half as U+FFFD (ECMA-262 toWellFormed).

    The same object if there is no surrogate.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def escape_separators(json: bytes) -> bytes:
    r"""Return a JSON text with U+2028 and U+2029 as ``\u2028`` and ``\u2029``.

    JSON allows them bare; readers that split lines the Unicode way would cut an event of a stream in two there.
    """
    if _COMMON not in json:
        return json
    return json.replace(_LINE_SEPARATOR, b"\\u2028").replace(_PARAGRAPH_SEPARATOR, b"\\u2029")
