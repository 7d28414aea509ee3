"""The display data of a tool, resource or prompt besides its name: icons, annotations, its own ``_meta``. Checked and
copied.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from mcpward.core.spelling import nearest
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.icon import Icon
from mcpward.sdk.schema.temporal import date_time

_MOST_ICONS: Final = 16
_MOST_BYTES: Final = 16_384
_META_KEY: Final = re.compile(r"(?:[A-Za-z0-9.-]{1,128}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?", re.ASCII)
_EXTENSION: Final = re.compile(r"[A-Za-z][A-Za-z0-9.-]{0,127}/[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_RESERVED: Final = frozenset({"modelcontextprotocol", "mcp"})
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_ANNOTATIONS: Final = {
    "audience": 'write {"audience": ["user", "assistant"]}, or one of the two',
    "priority": 'write {"priority": 0.5}, of 0 to 1',
    "lastModified": 'write {"lastModified": "2026-01-31T12:00:00Z"}',
}
_ROLES: Final = ("user", "assistant")
_WEB: Final = re.compile(r"https?://[!-~]{1,2000}", re.ASCII)


def read_icons(icons: Any, what: str, where: str = "") -> tuple[Icon, ...]:
    """Return the icons, at most 16.

    Raises:
        AuthoringError: something else than icons.
    """
    if not isinstance(icons, Sequence) or not all(isinstance(icon, Icon) for icon in icons):
        raise AuthoringError(f"{what}: icons is a list of icons", where, 'write icons=[Icon("https://…")]')
    if len(icons) > _MOST_ICONS:
        raise AuthoringError(
            f"{what}: more than {_MOST_ICONS} icons", where, "clients show one: keep those of different sizes"
        )
    return tuple(icons)


def read_meta(meta: Any, what: str, where: str = "") -> Mapping[str, Any]:
    """Return ``_meta`` as it will be listed. Keys with a prefix of the specification are its own (basic, _meta).

    Raises:
        AuthoringError: a key that is reserved or none, or values that JSON does not have.
    """
    own = _copied(meta if meta is not None else {}, "meta", what, where)
    for key in own:
        prefix = key.rpartition("/")[0].split(".")
        if not _META_KEY.fullmatch(key) or (len(prefix) > 1 and prefix[1] in _RESERVED):
            hint = f'write {{"com.example/{_UNFIT.sub("-", key.rpartition("/")[2]).strip("-") or "key"}": …}}'
            raise AuthoringError(f"{what}: the meta key {key!r} is reserved or not a key", where, hint)
    return own


def read_annotations(annotations: Any, what: str, where: str = "") -> Mapping[str, Any]:
    """Return the annotations of a resource: ``audience``, ``priority`` (0 to 1), ``lastModified`` (ISO 8601).

    Raises:
        AuthoringError: another key, or a value that does not fit.
    """
    own = _copied(annotations if annotations is not None else {}, "annotations", what, where)
    checks = {"audience": _is_audience, "priority": _is_priority, "lastModified": _is_moment}
    for key, value in own.items():
        if key not in checks or not checks[key](value):
            problem = f"{what}: the annotation {key!r} is unknown, or its value is not valid"
            raise AuthoringError(problem, where, _ANNOTATIONS.get(key) or _annotation_hint(key))
    if "lastModified" in own:  # clients check it: a time of day and an offset, whatever the author left out
        own["lastModified"] = date_time(datetime.fromisoformat(own["lastModified"]))
    return own


def read_extensions(extensions: Any) -> Mapping[str, Any]:
    """Return the extensions that a server announces, each with its settings.

    Raises:
        AuthoringError: a name without a prefix, or settings that are no object.
    """
    own = _copied(extensions if extensions is not None else {}, "extensions", "server", "")
    for name, settings in own.items():
        if not _EXTENSION.fullmatch(name) or not isinstance(settings, dict):
            hint = 'write extensions={"com.example/name": {}}'
            raise AuthoringError(f"server: the extension {name!r} has no prefix, or no settings", hint=hint)
    return own


def read_website(url: Any) -> str:
    """Return a web address, or "" for none.

    Raises:
        AuthoringError: it is none.
    """
    if not isinstance(url, str) or (url and not _WEB.fullmatch(url)):
        hint = 'write website_url="https://shop.example"'
        raise AuthoringError("server: website_url is not an http(s) address", hint=hint)
    return url


def _annotation_hint(key: str) -> str:
    meant = nearest(key, _ANNOTATIONS)
    return f"did you mean {meant!r}?" if meant else f"known annotations: {', '.join(_ANNOTATIONS)}"


def _copied(value: Any, name: str, what: str, where: str) -> dict[str, Any]:
    """A private copy: the checked value is the one that is shown."""
    try:
        raw = msgspec.json.encode(value)
        own = msgspec.json.decode(raw, type=dict[str, Any])
    except (TypeError, ValueError, RecursionError):
        hint = "keep to texts, numbers, True, False, None, lists and dicts of them"
        raise AuthoringError(f"{what}: {name} is a mapping of texts to JSON values", where, hint) from None
    if len(raw) > _MOST_BYTES:
        problem = f"{what}: {name} is larger than {_MOST_BYTES // 1024} KiB"
        raise AuthoringError(problem, where, "put large data into a resource, and its URI here")
    return own


def _is_audience(value: Any) -> bool:
    return isinstance(value, list) and all(role in _ROLES for role in value)


def _is_priority(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value <= 1


def _is_moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value) is not None
    except ValueError:
        return False
