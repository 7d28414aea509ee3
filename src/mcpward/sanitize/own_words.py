"""The protocol's own words: a secret that is part of them cannot be masked, or no message could leave."""

from typing import Final

from mcpward.sanitize.views import bare_of_blanks, skeleton

MASK: Final = "[redacted]"
_OURS: Final = (
    '{"jsonrpc":"2.0","id":0,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{}},'
    '"content":[{"type":"text","text":""},{"type":"image","data":"","mimeType":""},{"type":"resource","resource":'
    '{"uri":"","mimeType":"","text":"","blob":""}}],"structuredContent":{"result":null},"isError":false}}'
    '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"","data":"[redacted]"}}'
    '{"method":"notifications/progress","params":{"progressToken":"","progress":0,"total":0,"message":""}}'
    '"isError":true "level":"debug" "warning" "error" "type":"audio" "type":"resource_link"'
)
_SEEN: Final = skeleton(_OURS)
_TIGHT: Final = bare_of_blanks(_SEEN)


def is_own(text: str) -> bool:
    """Return whether ``text``, forwards or backwards, in any case, stands in the protocol's own words."""
    seen = skeleton(text)
    tight = bare_of_blanks(seen)
    return text.isascii() and any(way in _SEEN or way in _TIGHT for way in (seen, seen[::-1], tight, tight[::-1]))
