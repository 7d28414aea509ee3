"""The settings of approvals: calls that wait for a person's yes where their client cannot ask."""

from mcpward.config.fields import Count, Wait
from mcpward.config.section import Section, key


class ApprovalSettings(Section):
    """[approvals]: calls that wait for a person's yes where their client cannot ask."""

    lifetime: Wait = key(
        "15m", "time in which a call can be approved, and again in which the approved call can be made", '"1h"'
    )
    per_caller: Count = key(10, "calls of one caller that may wait at once; further ones are refused", "3")
    in_all: Count = key(1_000, "calls of the whole site that may wait at once", "200")
