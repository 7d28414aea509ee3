"""The permitted cost of checking a tool's arguments, and how much of it is done (attack 121).

Measured on a small machine: pydantic takes a microsecond for a visit, and four if it leaves an error; jsonschema-rs
takes thirty nanoseconds. The event loop stands still for less than 10 ms.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import MsgspecError

from mcpward.core.effort import Effort
from mcpward.core.jsonio import decode_known
from mcpward.sdk.schema import model_nodes, schema_nodes
from mcpward.sdk.schema.paced import paced
from mcpward.sdk.schema.schema_bounds import Document
from mcpward.sdk.schema.visits import Node, Visits

Bind = Callable[[bytes], dict[str, Any]]

_MODEL_FEW: Final = 2_000
#: 100,000 parts, as many as a body may have, with a schema or two for each, and then some.
_MODEL_MOST: Final = 500_000
_WRITTEN_FEW: Final = 100_000
#: Nothing interrupts jsonschema-rs.
_WRITTEN_MOST: Final = 250_000
#: No value has more parts than half of its bytes.
_BYTES_PER_PART: Final = 2


def of_model(schema: Mapping[str, Any], finish: Callable[[Any], dict[str, Any]]) -> Effort:
    """Return what the model of a core schema costs. ``finish`` makes arguments of the model."""
    made: list[Callable[..., Any]] = []

    def bind(raw: bytes) -> dict[str, Any]:
        if not made:  # most tools are never sent anything large
            made.append(paced(schema))
        return finish(made[0](raw, strict=True, extra="forbid"))

    return _effort(model_nodes.nodes_of(schema), _MODEL_FEW, _MODEL_MOST, bind)


def of_written(document: Document, bind: Bind) -> Effort:
    """Return what a hand-written schema costs."""
    return _effort(schema_nodes.nodes_of(document), _WRITTEN_FEW, _WRITTEN_MOST, bind)


def _effort(root: Node, few: int, most: int, bind: Bind) -> Effort:
    visits = Visits(root)
    per_part = visits.per_part(few)
    light = _BYTES_PER_PART * few // per_part if per_part else 0

    def count(raw: bytes, most: int) -> int:
        try:
            value = decode_known(raw)
        except (MsgspecError, RecursionError, ValueError) as error:
            raise ValueError("no JSON") from error
        return visits.count(value, most)

    return Effort(light=light, per_part=per_part, few=few, most=most, count=count, bind=bind)
