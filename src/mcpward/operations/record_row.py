"""A row of the record as text: its outcome, whether it is an act, and the row as a line."""

from mcpward.traffic.act import ACT
from mcpward.traffic.line import line
from mcpward.traffic.record import Result

__all__ = ["ACT", "OUTCOMES", "line"]

OUTCOMES = tuple(result.value for result in Result)
