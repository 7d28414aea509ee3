"""The media type of a request's body: JSON in UTF-8, whatever other parameters come with it (RFC 9110 §8.3, attack 51).

A charset other than UTF-8 is refused: the body would be another text to a reader that honours it.
"""

import re
from functools import lru_cache
from typing import Final

_JSON: Final = b"application/json"
_LONGEST: Final = 256
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
#: One parameter with its semicolon, or a semicolon without one (RFC 9110 §5.6.6). Possessive: no second way to match.
_PARAMETER: Final = re.compile(
    rb";[ \t]*+(?:(" + _TOKEN + rb")[ \t]*+=[ \t]*+(" + _TOKEN + rb'|"(?:[^"\\]|\\.)*+"))?[ \t]*+'
)
_UTF_8: Final = frozenset({b"utf-8", b"utf8"})


@lru_cache(maxsize=64)
def is_json(media_type: bytes) -> bool:
    """Return whether a Content-Type field is ``application/json`` in UTF-8."""
    if len(media_type) > _LONGEST:
        return False
    essence, _, _ = media_type.partition(b";")
    if essence.strip(b" \t").lower() != _JSON:
        return False
    at = len(essence)
    while at < len(media_type):
        parameter = _PARAMETER.match(media_type, at)
        if parameter is None:
            return False
        name, value = parameter.groups(b"")
        if name.lower() == b"charset" and value.strip(b"\"'").lower() not in _UTF_8:
            return False
        at = parameter.end()
    return True
