"""Authors who write ``from __future__ import annotations`` get the same schema."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel

from mcpward import Caller, Limit, Server


class Order(BaseModel):
    id: int


def test_string_annotations_are_resolved_with_their_metadata():
    server = Server("shop")

    @server.tool
    async def orders(caller: Caller, limit: Annotated[int, Limit(max=5)] = 2) -> list[Order]: ...

    tool = server.tools[0]
    assert tool.signature.caller == "caller"
    assert tool.arguments.schema()["properties"]["limit"]["maximum"] == 5
    assert tool.returns.schema is not None
    assert tool.returns.schema["properties"]["result"]["type"] == "array"
