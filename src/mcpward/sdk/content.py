"""Content that a tool or prompt may give back besides text and data: images, audio, embedded resources.

Each knows its block as the specification has it (``server/tools``, "Tool Result"). Binary travels as base64.
"""

from base64 import b64encode
from typing import Any, Literal

from msgspec import Struct

_IMAGE_TYPES = {"jpg": "image/jpeg", "svg": "image/svg+xml"}
_AUDIO_TYPES = {"mp3": "audio/mpeg", "m4a": "audio/mp4"}


class Content(Struct, frozen=True):
    """An object that becomes one content block. A class, no Protocol: ``isinstance`` stands on the hot path."""

    def block(self) -> dict[str, Any]:
        """Return the block in the protocol's shape."""
        raise NotImplementedError


class Text(Content, frozen=True):
    """One block of text; for a tool that gives several blocks."""

    text: str

    def block(self) -> dict[str, Any]:
        """Return the block in the protocol's shape."""
        return {"type": "text", "text": self.text}


class Image(Content, frozen=True):
    """A picture: its bytes and its format (``png``, ``jpeg``, …) or whole media type."""

    data: bytes
    format: str = "png"

    def __post_init__(self) -> None:
        _require_bytes("Image", self.data)

    def block(self) -> dict[str, Any]:
        """Return the block in the protocol's shape."""
        return _binary("image", self.data, self.format, _IMAGE_TYPES)


class Audio(Content, frozen=True):
    """A sound: its bytes and its format (``wav``, ``mp3``, …) or whole media type."""

    data: bytes
    format: str = "wav"

    def __post_init__(self) -> None:
        _require_bytes("Audio", self.data)

    def block(self) -> dict[str, Any]:
        """Return the block in the protocol's shape."""
        return _binary("audio", self.data, self.format, _AUDIO_TYPES)


class EmbeddedResource(Content, frozen=True):
    """A whole resource inside a result: its URI and either ``text`` or ``blob``."""

    uri: str
    text: str | None = None
    blob: bytes | None = None
    mime_type: str = ""

    def __post_init__(self) -> None:
        if (self.text is None) == (self.blob is None):
            raise ValueError("an embedded resource has either text or blob")

    def block(self) -> dict[str, Any]:
        """Return the block in the protocol's shape."""
        resource: dict[str, Any] = {"uri": self.uri}
        if self.text is not None:
            resource["mimeType"] = self.mime_type or "text/plain"
            resource["text"] = self.text
        else:
            resource["mimeType"] = self.mime_type or "application/octet-stream"
            resource["blob"] = b64encode(self.blob or b"").decode()
        return {"type": "resource", "resource": resource}


class Message(Struct, frozen=True):
    """One message of a prompt: who says it, and what (a text or one content value)."""

    content: Any
    role: Literal["user", "assistant"] = "user"


def _require_bytes(kind: str, data: object) -> None:
    if not isinstance(data, bytes | bytearray | memoryview):
        hint = f"{kind}(Path(…).read_bytes())"
        raise TypeError(f"{kind} takes the bytes of a file, not {type(data).__name__}: write {hint}")


def _binary(kind: str, data: bytes, form: str, known: dict[str, str]) -> dict[str, Any]:
    word = form.lower()
    media_type = word if "/" in word else known.get(word, f"{kind}/{word}")
    return {"type": kind, "data": b64encode(data).decode(), "mimeType": media_type}
