"""What a row of the record says, for whoever shows rows: its outcomes, whether it is an act, and it as a line."""

from mcpward.traffic.act import ACT
from mcpward.traffic.line import line
from mcpward.traffic.record import Result

__all__ = ["ACT", "OUTCOMES", "line"]

OUTCOMES = tuple(result.value for result in Result)
