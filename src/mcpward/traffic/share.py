"""The fill level of the queue up to which a record still gets in.

Refusals of strangers must not blind the record for the others: one address that asks for 100,000 unknown routes would
displace the wrong credentials of the next one. So the cheaper a refusal is to provoke, the less space it gets.
"""

from typing import Final

from mcpward.core.reasons import Reason
from mcpward.core.values import AuthMethod
from mcpward.traffic.record import Record

#: Refusals about a credential, or the lack of one: operators read a record to find who tries keys.
CREDENTIAL: Final = frozenset(
    reason.value
    for reason in (
        Reason.CREDENTIAL_MISSING,
        Reason.CREDENTIAL_INVALID,
        Reason.CREDENTIAL_AMBIGUOUS,
        Reason.IDENTITY_UNAVAILABLE,
    )
)


def share(record: Record, capacity: int) -> int:
    """Return the number of waiting records at which the record of a refusal no longer fits."""
    principal = record.subject.principal
    if principal is not None and principal.way is not AuthMethod.ANONYMOUS:
        return capacity
    return capacity // 2 if record.reason in CREDENTIAL else capacity // 4
