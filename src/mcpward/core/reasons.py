"""The closed list of reasons for which the house says no, and what each one looks like on the wire.

Every refusal has one name from this list; the name travels to the response, the log, the metric and the
traffic record alike. Only ``ingress/render.py`` and ``protocol/reply.py`` read the wire columns of the table.
"""

from enum import Enum
from typing import Final

from msgspec import Struct


class Channel(Enum):
    """Where a refusal is spoken: as a bare HTTP answer, as a JSON-RPC error, or as a tool result with ``isError``."""

    HTTP = "http"
    RPC = "rpc"
    TOOL = "tool"


class Reason(Enum):
    """Why a request was refused. The value is the public name."""

    HOST_REFUSED = "host-refused"
    ORIGIN_REFUSED = "origin-refused"
    REQUEST_MALFORMED = "request-malformed"
    ROUTE_UNKNOWN = "route-unknown"
    VERB_REFUSED = "verb-refused"
    MEDIA_REFUSED = "media-refused"
    ACCEPT_REFUSED = "accept-refused"
    BODY_TOO_LARGE = "body-too-large"
    BODY_TOO_SLOW = "body-too-slow"
    HEADER_TOO_LARGE = "header-too-large"
    ADDRESS_RATE_EXCEEDED = "address-rate-exceeded"
    CREDENTIAL_MISSING = "credential-missing"
    CREDENTIAL_INVALID = "credential-invalid"
    CREDENTIAL_AMBIGUOUS = "credential-ambiguous"
    SCOPE_MISSING = "scope-missing"
    IDENTITY_UNAVAILABLE = "identity-unavailable"
    SESSION_MISSING = "session-missing"
    SESSION_UNKNOWN = "session-unknown"
    MESSAGE_UNPARSABLE = "message-unparsable"
    MESSAGE_MALFORMED = "message-malformed"
    VERSION_UNSUPPORTED = "version-unsupported"
    HEADER_MISMATCH = "header-mismatch"
    CAPABILITY_MISSING = "capability-missing"
    METHOD_UNKNOWN = "method-unknown"
    PARAMS_INVALID = "params-invalid"
    TOOL_UNKNOWN = "tool-unknown"
    RESOURCE_UNKNOWN = "resource-unknown"
    PROMPT_UNKNOWN = "prompt-unknown"
    EVENT_UNKNOWN = "event-unknown"
    STATE_REFUSED = "state-refused"
    TASK_UNKNOWN = "task-unknown"
    RATE_EXCEEDED = "rate-exceeded"
    BUSY = "busy"
    ARGUMENTS_INVALID = "arguments-invalid"
    ARGUMENT_DANGEROUS = "argument-dangerous"
    REPEATED_CALL = "repeated-call"
    CONSENT_MISSING = "consent-missing"
    TOOL_FAILED = "tool-failed"
    TOOL_TIMEOUT = "tool-timeout"
    OUTPUT_REFUSED = "output-refused"
    FAULT = "fault"


class Wire(Struct, frozen=True):
    """One row of the table: channel, HTTP status, JSON-RPC code (0 where there is none) and the public sentence."""

    channel: Channel
    status: int
    code: int
    sentence: str


_HTTP, _RPC, _TOOL = Channel.HTTP, Channel.RPC, Channel.TOOL

WIRE: Final[dict[Reason, Wire]] = {
    Reason.HOST_REFUSED: Wire(_HTTP, 421, 0, "this server does not answer for that host"),
    Reason.ORIGIN_REFUSED: Wire(_HTTP, 403, 0, "requests from that origin are not accepted"),
    Reason.REQUEST_MALFORMED: Wire(_HTTP, 400, 0, "the request is not well-formed HTTP"),
    Reason.ROUTE_UNKNOWN: Wire(_HTTP, 404, 0, "not found"),
    Reason.VERB_REFUSED: Wire(_HTTP, 405, 0, "that method is not allowed here"),
    Reason.MEDIA_REFUSED: Wire(_HTTP, 415, 0, "the body must be application/json in UTF-8, without content coding"),
    Reason.ACCEPT_REFUSED: Wire(_HTTP, 406, 0, "the client must accept application/json and text/event-stream"),
    Reason.BODY_TOO_LARGE: Wire(_HTTP, 413, 0, "the body is too large"),
    Reason.BODY_TOO_SLOW: Wire(_HTTP, 408, 0, "the request took too long to arrive"),
    Reason.HEADER_TOO_LARGE: Wire(_HTTP, 431, 0, "the request has too many or too long header fields"),
    Reason.ADDRESS_RATE_EXCEEDED: Wire(_HTTP, 429, 0, "too many requests or failed credentials from this address"),
    Reason.CREDENTIAL_MISSING: Wire(_HTTP, 401, 0, "a credential is required"),
    Reason.CREDENTIAL_INVALID: Wire(_HTTP, 401, 0, "the credential is not valid here"),
    Reason.CREDENTIAL_AMBIGUOUS: Wire(_HTTP, 400, 0, "send exactly one credential"),
    Reason.SCOPE_MISSING: Wire(_HTTP, 403, 0, "the credential lacks a scope that this operation needs"),
    Reason.IDENTITY_UNAVAILABLE: Wire(_HTTP, 503, 0, "credentials cannot be checked at the moment"),
    Reason.SESSION_MISSING: Wire(_RPC, 400, -32600, "this request needs a session: initialize first"),
    Reason.SESSION_UNKNOWN: Wire(_RPC, 404, -32600, "the session is not known: initialize again"),
    Reason.MESSAGE_UNPARSABLE: Wire(_RPC, 400, -32700, "the body is not valid JSON within the limits"),
    Reason.MESSAGE_MALFORMED: Wire(_RPC, 400, -32600, "the body is not one JSON-RPC request or notification"),
    Reason.VERSION_UNSUPPORTED: Wire(_RPC, 400, -32022, "the protocol version is not supported"),
    Reason.HEADER_MISMATCH: Wire(_RPC, 400, -32020, "the headers and the body disagree"),
    Reason.CAPABILITY_MISSING: Wire(_RPC, 400, -32021, "the client lacks a capability that this operation needs"),
    Reason.METHOD_UNKNOWN: Wire(_RPC, 404, -32601, "the method is not known here"),
    Reason.PARAMS_INVALID: Wire(_RPC, 400, -32602, "the params are not valid for this method"),
    Reason.TOOL_UNKNOWN: Wire(_RPC, 400, -32602, "the tool is not known here"),
    Reason.RESOURCE_UNKNOWN: Wire(_RPC, 400, -32602, "the resource is not known here"),
    Reason.PROMPT_UNKNOWN: Wire(_RPC, 400, -32602, "the prompt is not known here"),
    Reason.EVENT_UNKNOWN: Wire(_RPC, 400, -32602, "there is nothing to resume from that event"),
    Reason.STATE_REFUSED: Wire(_RPC, 400, -32602, "the request state is not valid for this request"),
    Reason.TASK_UNKNOWN: Wire(_RPC, 400, -32602, "the task is not known here"),
    Reason.RATE_EXCEEDED: Wire(_RPC, 429, 42900, "too many calls: wait before the next one"),
    Reason.BUSY: Wire(_RPC, 503, 50300, "the server is busy: try again later"),
    Reason.ARGUMENTS_INVALID: Wire(_TOOL, 200, 0, "the arguments are not valid"),
    Reason.ARGUMENT_DANGEROUS: Wire(_TOOL, 200, 0, "an argument was refused"),
    Reason.REPEATED_CALL: Wire(_TOOL, 200, 0, "the same calls were made again and again: change them or stop"),
    Reason.CONSENT_MISSING: Wire(_TOOL, 200, 0, "the tool needs a person's yes"),
    Reason.TOOL_FAILED: Wire(_TOOL, 200, 0, "the tool failed"),
    Reason.TOOL_TIMEOUT: Wire(_TOOL, 200, 0, "the tool took too long"),
    Reason.OUTPUT_REFUSED: Wire(_TOOL, 200, 0, "the tool's answer was withheld"),
    Reason.FAULT: Wire(_RPC, 500, -32603, "internal error"),
}
