"""The port of the tools' sources: Python functions today (:class:`~mcpward.tools.registry.Registry`).

All code that decides about a call, lists or runs tools uses only this port. So a server written by others passes the
same controls. It also says how one item is run: ``Tool.run``, ``Resource.make``, ``Prompt.render`` and the values of a
``Completion``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from mcpward.core.change import Change, Topic
from mcpward.core.values import Call, Tool
from mcpward.tools.completion import Completion
from mcpward.tools.prompt import Prompt
from mcpward.tools.resource import Resource, ResourceTemplate


class Introduction(Struct, frozen=True, kw_only=True):
    """A server's description of itself, as its author wrote it: not yet fit to leave. ``icons`` are the protocol's."""

    name: str
    version: str = ""
    title: str = ""
    instructions: str = ""
    website_url: str = ""
    icons: tuple[Mapping[str, Any], ...] = ()
    extensions: Mapping[str, Mapping[str, Any]] = {}


class Published(Struct, frozen=True, kw_only=True):
    """All list entries of a server, on or off, as clients would see them."""

    tools: tuple[Mapping[str, Any], ...] = ()
    prompts: tuple[Mapping[str, Any], ...] = ()
    resources: tuple[Mapping[str, Any], ...] = ()
    templates: tuple[Mapping[str, Any], ...] = ()


class ToolSource(Protocol):
    """The offers of one server. ``server`` is the name under which the site serves it.

    ``declared`` and the ``has_…`` properties are a server's announcements, whether switched on or off. All else is on
    now: it may change between two requests, and each request asks anew. Every method may be called on the event loop
    and returns at once; slow work belongs to the run.
    """

    server: str

    @property
    def introduction(self) -> Introduction:
        """The server's description of itself."""
        ...

    @property
    def published(self) -> Published:
        """All list entries, on or off."""
        ...

    @property
    def has_tools(self) -> bool:
        """Whether tools are declared."""
        ...

    @property
    def has_resources(self) -> bool:
        """Whether resources or templates are declared."""
        ...

    @property
    def has_prompts(self) -> bool:
        """Whether prompts are declared."""
        ...

    @property
    def has_completions(self) -> bool:
        """Whether any argument completes."""
        ...

    @property
    def has_tasks(self) -> bool:
        """Whether a tool may run as a task."""
        ...

    @property
    def declared(self) -> Sequence[Tool]:
        """The tools, on or off, in the server's own order."""
        ...

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools, in the server's own order."""
        ...

    @property
    def prompts(self) -> Sequence[Prompt]:
        """The prompts, in the server's own order."""
        ...

    @property
    def resources(self) -> Sequence[Resource]:
        """The resources at fixed URIs, in the server's own order."""
        ...

    @property
    def templates(self) -> Sequence[ResourceTemplate]:
        """The resource templates, in the server's own order."""
        ...

    @property
    def pools(self) -> Mapping[str, int]:
        """The pools that the tools bring along, each with its size."""
        ...

    @property
    def unnamed_pools(self) -> frozenset[str]:
        """Those among :attr:`pools` that the site's other servers cannot mean."""
        ...

    def find(self, name: str) -> Tool | None:
        """Return the tool of that exact name, or None."""
        ...

    def is_held(self, name: str) -> bool:
        """Return whether a tool of that exact name is held back, because it is not approved."""
        ...

    def find_prompt(self, name: str) -> Prompt | None:
        """Return the prompt of that exact name, or None."""
        ...

    def find_resource(self, uri: str) -> Resource | None:
        """Return the resource at a URI, however that is spelled, or None."""
        ...

    def complete(self, call: Call) -> Completion | None:
        """Return the completion that a ``completion/complete`` asks for, or None."""
        ...

    def where(self, tool: str) -> str:
        """Return where a tool is written, for a message to the operator; empty if that is not known."""
        ...

    def watch(self, listener: Callable[[Change], None]) -> None:
        """Call ``listener`` for each change of a list or a resource, in the thread that makes it."""
        ...

    def watch_switches(self, turned: Callable[[Topic, str, bool], None]) -> None:
        """Call ``turned`` with the list, the name and the position of each switch, in the thread that makes it."""
        ...

    def adopt(self, topic: Topic, name: str, *, on: bool) -> None:
        """Switch what another worker has switched. Listeners are not called; an unknown name is left out."""
        ...
