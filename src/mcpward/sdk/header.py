"""Arguments that a client repeats in a header, ``x-mcp-header`` (2026-07-28, transports, "Custom Headers").

A proxy may judge by the header while mcpward acts on the body, so the two must agree. Clients drop a tool whose schema
says this ambiguously. Such a schema is refused here.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from mcpward.sdk.errors import AuthoringError

KEYWORD: Final = "x-mcp-header"
PREFIX: Final = "mcp-param-"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", re.ASCII)
_NO_TOKEN: Final = re.compile(r"[^0-9A-Za-z-]+", re.ASCII)
_TYPES: Final = ("string", "integer", "boolean")
_Path = tuple[str, ...]


class Header(Struct, frozen=True):
    """``Annotated[str, Header("Region")]``: the client sends this argument as ``Mcp-Param-Region`` too.

    Never for secrets: every proxy between client and server reads headers.
    """

    name: str

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler(core_schema)
        return {**schema, KEYWORD: self.name}


def mirrored(schema: Mapping[str, Any], what: str, where: str) -> dict[bytes, _Path]:
    """Return each header (lower-case, as bytes) and the path of the argument that it repeats.

    Raises:
        AuthoringError: a name that is no token or stands twice; or an argument that is neither string, integer nor
            boolean, or is not reached through ``properties``.
    """
    headers: dict[bytes, _Path] = {}
    plain = dict(_plain(schema, ()))
    declared = sum(1 for _ in _everywhere(schema))
    for path, property_ in plain.items():
        name = property_[KEYWORD]
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            meant = _NO_TOKEN.sub("-", str(name)).strip("-") or "Region"
            problem = f"{what}: {KEYWORD} at {_dotted(path)} is not a header name"
            raise AuthoringError(problem, where, f'write Header("{meant}")')
        if property_.get("type") not in _TYPES:
            problem = f"{what}: {KEYWORD} at {_dotted(path)} needs a plain string, integer or boolean"
            raise AuthoringError(problem, where, "annotate str, int or bool, with a default instead of None")
        header = (PREFIX + name.lower()).encode("ascii")
        if header in headers:
            hint = "names of headers are the same in any case: rename one"
            raise AuthoringError(f"{what}: two arguments have the header {name!r}", where, hint)
        headers[header] = path
    if declared != len(plain):
        hint = "only parameters can have it, and objects written in input_schema"
        raise AuthoringError(f"{what}: {KEYWORD} is at a place that clients ignore", where, hint)
    return headers


def has_header(schema: Any) -> bool:
    """Return whether an argument is to come in a header as well."""
    return any(True for _ in _everywhere(schema))


def _plain(schema: Mapping[str, Any], path: _Path) -> Iterator[tuple[_Path, Mapping[str, Any]]]:
    """Walk only through ``properties``: there every client finds the same."""
    properties = schema.get("properties")
    for name, property_ in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(property_, Mapping):
            if KEYWORD in property_:
                yield (*path, name), property_
            if "$ref" not in property_:
                yield from _plain(property_, (*path, name))


def _everywhere(schema: Any) -> Iterator[None]:
    if isinstance(schema, Mapping):
        if KEYWORD in schema:
            yield None
        for part in schema.values():
            yield from _everywhere(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _everywhere(part)


def _dotted(path: _Path) -> str:
    return repr(".".join(path))
