"""A resource as mcpward knows it: its entry in a list, and how to read it at one URI. Templates give such resources.

A URI is looked at in its canonical spelling, so that all equivalent ones lead to the same resource. One that only reads
as something declared earlier (``%2F`` is no ``/``) matches nothing: otherwise a resource that requires a scope could be
read through a wider template.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from msgspec import Struct, structs

from mcpward.core.client_channel import ClientChannel
from mcpward.core.unicode import well_formed
from mcpward.core.uri import canonical
from mcpward.core.values import Call
from mcpward.sdk.definitions import ResourceDefinition
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.template import LONGEST_URI, Template, read_uri, spellings
from mcpward.tools.entry import entry_of
from mcpward.tools.result import encode
from mcpward.tools.run_context import RunContext, invoke

_NOTHING: Final[Mapping[str, Any]] = {}
Make = Callable[[Call, str, Mapping[str, Any], RunContext, ClientChannel], Awaitable[dict[str, Any]]]
"""Makes the result of ``resources/read`` for a URI and its accepted variables."""


class Resource(Struct, frozen=True, kw_only=True, eq=False):
    """The item at one URI. ``bind`` reads the URI's variables as their types, ``filled`` takes them in.

    ``bind`` raises what ``validation.accept_variables`` explains. ``ttl_ms`` is how long a client may keep it.
    ``schema`` is that of the variables. ``untrusted`` names the origin of its text if strangers write that.
    """

    server: str
    uri: str
    listing: Mapping[str, Any]
    bind: Callable[[], dict[str, Any]]
    make: Make
    scopes: frozenset[str] = frozenset()
    ttl_ms: int = 0
    deadline_s: float = 30.0
    untrusted: str | None = None
    arguments: Mapping[str, Any] = _NOTHING
    schema: Mapping[str, Any] = _NOTHING

    def filled(self, arguments: Mapping[str, Any]) -> "Resource":
        """Return this resource with the variables that ``bind`` gave."""
        return structs.replace(self, arguments=arguments)

    def read(self, call: Call, stage: RunContext, channel: ClientChannel) -> Awaitable[dict[str, Any]]:
        """Return the result of ``resources/read`` for a call that may read it."""
        return self.make(call, self.uri, self.arguments, stage, channel)


class ResourceTemplate(Struct, frozen=True, kw_only=True, eq=False):
    """All resources of one template. ``uri`` is the template itself, as clients see it."""

    server: str
    uri: str
    listing: Mapping[str, Any]
    template: Template
    at: Callable[[str, Mapping[str, str]], Resource]
    scopes: frozenset[str] = frozenset()


def bind_resource(server: str, definition: ResourceDefinition, deadline_s: float) -> Resource | ResourceTemplate:
    """Make a definition servable."""
    template = definition.template
    if template is None:
        return _resource(server, definition, deadline_s, definition.uri, _NOTHING)

    def at(uri: str, variables: Mapping[str, str]) -> Resource:
        return _resource(server, definition, deadline_s, uri, variables)

    listing = entry_of(
        definition,
        uriTemplate=definition.uri,
        mimeType=definition.mime_type,
        annotations=definition.annotations or None,
    )
    return ResourceTemplate(
        server=server, uri=definition.uri, listing=listing, template=template, at=at, scopes=definition.scopes
    )


def spelt(fixed: Iterable[str]) -> frozenset[str]:
    """Return what no other spelling of a URI may read as, for :func:`find_declared`."""
    return frozenset(spellings(uri)[0] for uri in fixed)


def published(uri: str) -> str:
    """Return the spelling in which a URI or template is declared, for one that a caller may have spelt otherwise."""
    try:
        return read_uri(uri)
    except AuthoringError:
        return uri


def find_declared(
    uri: str, fixed: Mapping[str, Resource], taken: AbstractSet[str], templates: Sequence[ResourceTemplate]
) -> tuple[str, Resource] | None:
    """Return the declared URI that stands for ``uri``, and the resource there: fixed ones first, then in order.

    ``taken`` is what :func:`spelt` gave for the fixed ones.
    """
    resource = fixed.get(uri)
    if resource is not None:
        return uri, resource
    plain = canonical(uri) if len(uri) <= LONGEST_URI else None
    if plain is None:
        return None
    resource = fixed.get(plain)
    if resource is not None:
        return plain, resource
    readings = spellings(plain)
    if not taken.isdisjoint(readings):
        return None
    for offer in templates:
        variables = offer.template.match(plain)
        if variables is not None:
            return offer.uri, offer.at(plain, variables)
        if any(map(offer.template.covers, readings)):
            return None
    return None


def _resource(
    server: str, definition: ResourceDefinition, deadline_s: float, uri: str, variables: Mapping[str, str]
) -> Resource:
    async def make(
        call: Call, uri: str, arguments: Mapping[str, Any], stage: RunContext, channel: ClientChannel
    ) -> dict[str, Any]:
        value = await invoke(definition.function, definition.signature, arguments, call, stage, channel)
        return {"contents": [{"uri": uri, **_content(value, definition.mime_type, definition.where)}]}

    def bind() -> dict[str, Any]:
        return definition.arguments.bind_strings(variables)

    return Resource(
        server=server,
        uri=uri,
        listing=entry_of(
            definition,
            uri=uri,
            mimeType=definition.mime_type,
            size=definition.size,
            annotations=definition.annotations or None,
        ),
        bind=bind,
        make=make,
        scopes=definition.scopes,
        ttl_ms=int(definition.ttl_s * 1000),
        deadline_s=deadline_s,
        untrusted=definition.untrusted,
        schema=definition.arguments.schema(),
    )


def _content(value: Any, mime_type: str | None, where: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"mimeType": mime_type or "text/plain", "text": well_formed(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"mimeType": mime_type or "application/octet-stream", "blob": b64encode(value).decode()}
    return {"mimeType": mime_type or "application/json", "text": encode(value, where).decode()}
