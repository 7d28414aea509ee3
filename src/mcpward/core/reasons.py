"""The closed list of reasons for a refusal, and the form of each one on the wire.

Every refusal has one name from this list; the name travels to the response, the log, the metric and the traffic record
alike. ``ingress/render.py`` and ``protocol/reply.py`` write it to the wire, by the columns of the table.
"""

from enum import Enum
from typing import Final

from msgspec import Struct


class Channel(Enum):
    """The form of a refusal: an HTTP status, a JSON-RPC error, or a tool result with ``isError``."""

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


class ErrorMapping(Struct, frozen=True):
    """One row of the table: channel, HTTP status, JSON-RPC code and the public sentence.

    A row of the channel TOOL is a result with status 200 if a tool was called; ``status`` and ``code`` are those of the
    error that it is elsewhere. In the revisions with sessions, a request that was read and has an id gets
    ``session_status``, ``session_code`` and ``session_channel``: their clients take an error status for a broken
    connection. Codes of mcpward's own begin with the HTTP status, outside of what JSON-RPC and MCP reserve (-32768 to
    -32000).
    """

    channel: Channel
    status: int
    code: int
    sentence: str
    session_status: int
    session_code: int
    session_channel: Channel


def _http(status: int, code: int, sentence: str) -> ErrorMapping:
    return ErrorMapping(Channel.HTTP, status, code, sentence, status, code, Channel.HTTP)


def _rpc(
    status: int,
    code: int,
    sentence: str,
    *,
    session_status: int = 200,
    session_code: int | None = None,
    session_channel: Channel = Channel.RPC,
) -> ErrorMapping:
    session_code = code if session_code is None else session_code
    return ErrorMapping(Channel.RPC, status, code, sentence, session_status, session_code, session_channel)


def _tool(status: int, code: int, sentence: str) -> ErrorMapping:
    return ErrorMapping(Channel.TOOL, status, code, sentence, 200, code, Channel.TOOL)


WIRE: Final[dict[Reason, ErrorMapping]] = {
    Reason.HOST_REFUSED: _http(421, 42100, "this server does not serve that host"),
    Reason.ORIGIN_REFUSED: _http(403, 40300, "requests from that origin are not accepted"),
    Reason.REQUEST_MALFORMED: _http(400, 40000, "the request is not well-formed HTTP"),
    Reason.ROUTE_UNKNOWN: _http(404, 40400, "not found"),
    Reason.VERB_REFUSED: _http(405, 40500, "that method is not allowed here"),
    Reason.MEDIA_REFUSED: _http(415, 41500, "the body must be application/json in UTF-8, without content coding"),
    Reason.ACCEPT_REFUSED: _http(406, 40600, "the client must accept application/json and text/event-stream"),
    Reason.BODY_TOO_LARGE: _http(413, 41300, "the body is too large"),
    Reason.BODY_TOO_SLOW: _http(408, 40800, "the request took too long to arrive"),
    Reason.HEADER_TOO_LARGE: _http(431, 43100, "the request has too many or too long header fields"),
    Reason.ADDRESS_RATE_EXCEEDED: _http(429, 42901, "too many requests or failed credentials from this address"),
    Reason.CREDENTIAL_MISSING: _http(401, 40100, "a credential is required"),
    Reason.CREDENTIAL_INVALID: _http(401, 40101, "the credential is not valid here"),
    Reason.CREDENTIAL_AMBIGUOUS: _http(400, 40001, "send exactly one credential"),
    Reason.SCOPE_MISSING: _http(403, 40301, "the credential lacks a scope that this operation needs"),
    Reason.IDENTITY_UNAVAILABLE: _http(503, 50301, "credentials cannot be checked at the moment"),
    Reason.SESSION_MISSING: _rpc(400, -32600, "this request needs a session: initialize first", session_status=400),
    Reason.SESSION_UNKNOWN: _rpc(404, -32600, "the session is not known: initialize again", session_status=404),
    Reason.MESSAGE_UNPARSABLE: _rpc(400, -32700, "the body is not valid JSON within the limits", session_status=400),
    Reason.MESSAGE_MALFORMED: _rpc(400, -32600, "the body is not one JSON-RPC request or notification"),
    Reason.VERSION_UNSUPPORTED: _rpc(400, -32022, "the protocol version is not supported", session_status=400),
    Reason.HEADER_MISMATCH: _rpc(400, -32020, "the headers and the body disagree", session_status=400),
    Reason.CAPABILITY_MISSING: _rpc(
        400,
        -32021,
        "the client lacks a capability that this operation needs",
        session_code=-32602,
        # Clients of sessions know no such error; their model may find another way.
        session_channel=Channel.TOOL,
    ),
    Reason.METHOD_UNKNOWN: _rpc(404, -32601, "the method is not known here"),
    Reason.PARAMS_INVALID: _rpc(400, -32602, "the params are not valid for this method"),
    Reason.TOOL_UNKNOWN: _rpc(400, -32602, "the tool is not known here"),
    Reason.RESOURCE_UNKNOWN: _rpc(400, -32602, "the resource is not known here", session_code=-32002),
    Reason.PROMPT_UNKNOWN: _rpc(400, -32602, "the prompt is not known here"),
    Reason.EVENT_UNKNOWN: _rpc(400, -32602, "there is nothing to resume from that event"),
    Reason.STATE_REFUSED: _rpc(400, -32602, "the request state is not valid for this request"),
    Reason.TASK_UNKNOWN: _rpc(400, -32602, "the task is not known here"),
    Reason.RATE_EXCEEDED: _rpc(429, 42900, "too many calls: wait before the next one"),
    Reason.BUSY: _rpc(503, 50300, "the server is busy: try again later"),
    Reason.ARGUMENTS_INVALID: _tool(400, -32602, "the arguments are not valid"),
    Reason.ARGUMENT_DANGEROUS: _tool(400, -32602, "an argument was refused"),
    Reason.REPEATED_CALL: _tool(429, 42900, "the same calls were repeated too often: change them or stop"),
    Reason.CONSENT_MISSING: _tool(500, -32603, "the tool needs a person's approval"),
    Reason.TOOL_FAILED: _tool(500, -32603, "the tool failed"),
    Reason.TOOL_TIMEOUT: _tool(500, -32603, "the tool took too long"),
    Reason.OUTPUT_REFUSED: _tool(500, -32603, "the tool's answer was withheld"),
    Reason.FAULT: _rpc(500, -32603, "internal error"),
}
