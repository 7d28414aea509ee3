"""Cuts the text of a notification: after it was redacted, and without what redaction could see only a part of."""

from collections.abc import Callable
from typing import Final

import msgspec

from mcpward.core.notification_bounds import LONGEST, LONGEST_READ, MARGIN

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_TEXTS: Final = ("data", "message")


def cut_notification(message: bytes, redact: Callable[[str], str]) -> bytes:
    """Return an encoded notification with at most ``LONGEST`` characters in each text; longer ones are redacted.

    The end of a text that was cut before may be a part of a secret, which no redaction finds: it is left out.
    """
    whole = _decode(message)
    params = whole.get("params")
    if not isinstance(params, dict):
        return message
    for name in _TEXTS:
        text = params.get(name)
        if isinstance(text, str) and len(text) > LONGEST:
            clean = redact(text)
            most = len(clean) - MARGIN if len(text) >= LONGEST_READ else LONGEST
            params[name] = clean[: max(0, min(most, LONGEST))]
    return _encode(whole)
