"""The refusal of params that do not fit their method, by path and rule. Neither holds the caller's own values."""

from mcpward.core.errors import Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.reasons import Reason


def invalid(path: str, rule: str) -> Refusal:
    """Return the refusal (params-invalid) of the params at ``path``, which must be as ``rule`` says."""
    return Refusal(Reason.PARAMS_INVALID, f"{path}: {rule}", Problems((Problem(path, rule),)))
