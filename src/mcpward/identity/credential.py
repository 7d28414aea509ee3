"""The credential of a request: found in its headers, by one rule without a second reading (attack 32).

``Authorization: Bearer <token>`` (RFC 6750 §2.1) or ``X-API-Key: <token>``, one of them, once. Query strings and
bodies are never looked at (attack 29).
"""

import re
from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.secret import Secret
from mcpward.core.values import Arrival
from mcpward.identity.token_refused import TOO_LONG

LONGEST_KEY: Final = 512
"""Characters of a credential header where API keys are expected."""
AROUND_TOKEN: Final = 64
"""Characters that may stand around a token in its header: the scheme and blanks."""
# RFC 9110 §11.1: the scheme has no case. RFC 6750 §2.1: one space, then b64token.
_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9\-._~+/]+=*)").fullmatch
_API_KEY: Final = re.compile(rb"([\x21-\x7e]+)").fullmatch


def plain(arrival: Arrival, longest: int = LONGEST_KEY) -> bytes | None:
    """Give ``Authorization`` as it came where nothing about it is in doubt: it is alone, came once, and is not long."""
    headers = arrival.headers
    value = headers.get(b"authorization")
    return None if value is None or arrival.repeated or b"x-api-key" in headers or len(value) > longest else value


def read(arrival: Arrival, longest: int = LONGEST_KEY) -> Secret | None:
    """Give the one credential of the request, or None where there is none. ``longest`` counts the whole header.

    Raises :class:`Refusal`: credential-ambiguous for two, credential-invalid for one that has not the form (an empty
    one too: a header that is there is never "no credential").
    """
    headers = arrival.headers
    value, match = headers.get(b"authorization"), _BEARER
    other = headers.get(b"x-api-key")
    if other is not None:
        if value is not None:
            raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, "both authorization and x-api-key")
        value, match = other, _API_KEY
    if value is None:
        return None
    if arrival.repeated and not arrival.repeated.isdisjoint((b"authorization", b"x-api-key")):
        raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, "a repeated credential header")
    if len(value) > longest:
        raise Refusal(Reason.CREDENTIAL_INVALID, TOO_LONG)
    found = match(value)
    if found is None:
        raise Refusal(Reason.CREDENTIAL_INVALID, "the credential has not the form of one")
    return Secret(found[1].decode("ascii"), "credential")
