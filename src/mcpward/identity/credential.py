"""The credential of a request: found in its headers, by one rule without a second reading (attack 32).

``Authorization: Bearer <token>`` (RFC 6750 §2.1) or ``X-API-Key: <token>``, one of them, once. Query strings and bodies
are never looked at (attack 29). A whole API key is known by its form. So one that was pasted without its scheme, with
the scheme twice, or in quotes is read as a key; it is verified like any other.
"""

import re
from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.secret import Secret
from mcpward.core.values import Arrival
from mcpward.identity.jwt.errors import TOO_LONG
from mcpward.identity.keys.api_key import PREFIX

LONGEST_KEY: Final = 512
"""Characters of a credential header if API keys are expected."""
AROUND_TOKEN: Final = 64
"""Characters that may stand around a token in its header: the scheme and blanks."""
# RFC 9110 §11.1: the scheme has no case. RFC 6750 §2.1, RFC 9110 §11.4: one or more spaces, then b64token.
_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)").fullmatch
_API_KEY: Final = re.compile(rb"([\x21-\x7e]+)").fullmatch
#: Other schemes that clients use (IANA's registry, and two of habit): all else in that place may be a credential.
_SCHEMES: Final = {
    name.lower(): name for name in ("Basic", "Digest", "DPoP", "GNAP", "HOBA", "Negotiate", "NTLM", "ApiKey", "Token")
}
#: A key as people paste it.
_PASTED: Final = re.compile(
    rb"""(?:[Bb][Ee][Aa][Rr][Ee][Rr][ ]+){0,2}(?P<quote>["']?)(?P<key>"""
    + PREFIX.encode()
    + rb"""[0-9A-Za-z]{12}_[0-9A-Za-z]{49})(?P=quote)"""
).fullmatch
_KEY_BEGINS: Final = re.compile(rb"""(?:[Bb][Ee][Aa][Rr][Ee][Rr] +){0,2}["']?""" + PREFIX.encode()).match


def plain(arrival: Arrival, longest: int = LONGEST_KEY) -> bytes | None:
    """Return ``Authorization`` as it came if it is unambiguous: the only credential, sent once, and not long.

    Other fields may have come twice, as a list that a client or a proxy spread over two lines does.
    """
    headers, repeated = arrival.headers, arrival.repeated
    value = headers.get(b"authorization")
    if value is None or b"x-api-key" in headers or len(value) > longest:
        return None
    return None if repeated and b"authorization" in repeated else value


def bearer(value: bytes) -> bytes | None:
    """Return the token of an ``Authorization`` field, by the rule of :func:`read`; None if it has not the form."""
    found = _BEARER(value)
    return None if found is None else found[1]


def read(arrival: Arrival, longest: int = LONGEST_KEY) -> Secret | None:
    """Return the one credential of the request, or None if there is none. ``longest`` counts the whole header.

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
    if (pasted := _PASTED(value)) is not None:
        return Secret(pasted["key"].decode("ascii"), "credential")
    if (found := match(value)) is not None:
        return Secret(found[1].decode("ascii"), "credential")
    raise Refusal(Reason.CREDENTIAL_INVALID, _malformed(value, is_authorization=other is None))


def _malformed(value: bytes, *, is_authorization: bool) -> str:
    """Return what is wrong with a credential header, for log and record. Its value may be a secret: none is quoted."""
    if not value.strip():
        return f"malformed: {'Authorization' if is_authorization else 'X-API-Key'} is empty"
    if not is_authorization:
        return "malformed: X-API-Key has characters that no key has"
    scheme, _, rest = value.partition(b" ")
    name = scheme.decode("ascii", "replace").lower()
    if name == "bearer":
        return f"malformed: {'what follows Bearer is no token' if rest.strip() else 'nothing follows Bearer'}"
    if name in _SCHEMES:
        return f"malformed: the scheme of Authorization is {_SCHEMES[name]}, not Bearer"
    return "malformed: Authorization has no scheme: Bearer stands before the key"


def is_key(arrival: Arrival) -> bool:
    """Return whether the credential of the request is to be judged as an API key, good or bad."""
    headers = arrival.headers
    return b"x-api-key" in headers or _KEY_BEGINS(headers.get(b"authorization", b"")) is not None
