"""The form of an API key, judged without any data: whether a text is a whole key, and which id is in it."""

from typing import Final

from mcpward.core.secret import Secret
from mcpward.identity.keys.api_key import PREFIX, find_id, parse
from mcpward.operations.denied import Invalid

_LENGTH: Final = len(PREFIX) + 12 + 1 + 43 + 6


def id_in_key(text: str) -> str | None:
    """Return the id in a whole key; None if a text is none."""
    return find_id(text)


def require_whole_key(key: Secret) -> None:
    """Check the form of a key.

    Raises:
        Invalid: it is not whole; the text is not repeated.
    """
    if parse(key.reveal()) is not None:
        return
    text = key.reveal()
    if text.count(PREFIX) > 1:
        raise Invalid("that is more than one key", "paste one")
    if not text.startswith(PREFIX):
        raise Invalid("that is not a key", f"a key begins with {PREFIX}")
    if len(text) != _LENGTH:
        hint = f"it has {len(text)} characters; a key has {_LENGTH}: copy the whole key"
        raise Invalid("that is not a whole key", hint)
    raise Invalid("that is not a whole key", "its checksum is wrong: copy it again, or create a new one")
