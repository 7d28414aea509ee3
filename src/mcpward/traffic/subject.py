"""The subject of a record: its caller and the called tool. The calls of one caller to one tool share the value, made
once.
"""

from typing import Any

from msgspec import Struct

from mcpward.core.values import Era, Kind, Principal

Series = tuple[str, str, str, str, str]
"""The labels of one histogram: server, method, tool, error type, protocol version; empty if it does not apply."""


class Subject(Struct, eq=False, gc=False):
    """Who, what and where. ``tool`` is what the caller named; ``is_listed`` says that there is such a tool.

    ``refused_key`` is the id of an API key that its holder showed and that opens nothing here: it lets no caller in.
    ``columns`` (its part of a row) and ``served`` (the series of its good calls) are filled in by the code that needs
    them: the values that they come from never change.
    """

    server: str
    principal: Principal | None = None
    kind: Kind | None = None
    method: str = ""
    tool: str = ""
    is_listed: bool = False
    era: Era | None = None
    version: str = ""
    refused_key: str | None = None
    columns: tuple[Any, ...] | None = None
    served: Series | None = None
