"""The refusal of params that do not fit their method, told by path and rule. Neither holds what the caller sent."""

from mcpward.core.errors import Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.reasons import Reason


def invalid(path: str, rule: str) -> Refusal:
    """Return the refusal (params-invalid) of the params at ``path``, which are to be what ``rule`` says."""
    return Refusal(Reason.PARAMS_INVALID, f"{path}: {rule}", Problems((Problem(path, rule),)))
