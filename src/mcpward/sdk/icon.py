"""Icons that a client may show beside a server, a tool, a resource or a prompt."""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from mcpward.sdk.errors import AuthoringError

#: The specification allows plain HTTP too; careful clients do not show an icon that can be replaced on the way.
_SOURCE: Final = re.compile(r"https://[!-~]+|data:image/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+={0,2}", re.ASCII)
_SIZE: Final = re.compile(r"[0-9]{1,5}x[0-9]{1,5}|any", re.ASCII)
_MEDIA_TYPE: Final = re.compile(r"image/[a-z0-9.+-]{1,64}", re.ASCII)
_LONGEST: Final = 65_536


class Icon(Struct, frozen=True):
    """One picture: where it is (``https:`` or ``data:image/…;base64,``), its media type, sizes and theme.

    Raises :class:`AuthoringError` for a source that a client should not load, and for words that it does not know.
    """

    src: str
    mime_type: str | None = None
    sizes: Sequence[str] | None = None
    theme: Literal["light", "dark"] | None = None

    def __post_init__(self) -> None:
        if len(self.src) > _LONGEST or not _SOURCE.fullmatch(self.src):
            hint = 'write Icon("https://shop.example/icon.png"), or a data:image/png;base64,… of at most 64 KiB'
            raise AuthoringError("an icon is neither at an https: address nor in a data: URI", hint=hint)
        if self.mime_type is not None and not _MEDIA_TYPE.fullmatch(self.mime_type):
            raise AuthoringError("an icon's mime_type is one of image/…", hint='write mime_type="image/png"')
        if self.sizes is not None and (isinstance(self.sizes, str) or not all(map(_SIZE.fullmatch, self.sizes))):
            raise AuthoringError("an icon's sizes are a list", hint='write sizes=["48x48"], or sizes=["any"]')
        if self.theme not in {None, "light", "dark"}:
            raise AuthoringError("an icon's theme is 'light' or 'dark'", hint='write theme="dark", or leave it out')

    def block(self) -> dict[str, Any]:
        """Return the icon in the protocol's shape."""
        block: dict[str, Any] = {"src": self.src}
        if self.mime_type is not None:
            block["mimeType"] = self.mime_type
        if self.sizes is not None:
            block["sizes"] = list(self.sizes)
        if self.theme is not None:
            block["theme"] = self.theme
        return block
