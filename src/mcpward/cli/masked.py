"""The parts of a client's file that may be shown: one server's lines, without any credential, ours or another's."""

import difflib
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from mcpward.cli import edit
from mcpward.cli.clients import Client
from mcpward.cli.edit import NotEditable, found
from mcpward.cli.edit import Path as Steps

_OURS: Final = re.compile(r"sk-mcpward-[0-9A-Za-z_]+|(?<=/mcp/)[0-9A-Za-z]{48}")
_PLAIN: Final = frozenset({"type", "transport", "name", "enabled", "disabled", "timeout", "bearer_token_env_var"})
_URLS: Final = frozenset({"url", "httpUrl", "serverUrl", "baseUrl", "uri"})
_MASK: Final = "***"


def masked(text: str) -> str:
    """Return a text of ours with its credentials masked."""
    return _OURS.sub(_MASK, text)


def difference(
    client: Client, file: Path, path: Steps, texts: tuple[str | None, str | None], known: Any = None
) -> list[str]:
    """Return how one server changes, as a unified diff. Values that are not ``known`` to be ours are masked."""
    before, after = (_shown(client, path, text, known) for text in texts)
    return list(difflib.unified_diff(before, after, str(file), str(file), lineterm="", n=1))


def _shown(client: Client, path: Steps, text: str | None, known: Any) -> list[str]:
    try:
        value = None if text is None else found(edit.load(client.format, text), path)
    except NotEditable:
        value = None
    if value is None:
        return []
    return edit.put(client.format, "", path, _safe(value, known, "")).splitlines()


def _safe(value: Any, known: Any, name: str) -> Any:
    if isinstance(value, dict):
        inner = known if isinstance(known, dict) else {}
        return {key: _safe(one, inner.get(key), key) for key, one in value.items()}
    if isinstance(value, list):
        same = known if isinstance(known, list) and len(known) == len(value) else [None] * len(value)
        return [_safe(one, other, "") for one, other in zip(value, same, strict=True)]
    if not isinstance(value, str) or not value:
        return value if isinstance(value, bool | int | float | str) else _MASK
    if value == known or name in _PLAIN:
        return masked(value)
    return _address(value) if name in _URLS else _MASK


def _address(url: str) -> str:
    """Return scheme and host: the path of a URL may be a credential."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _MASK
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{_MASK}"
