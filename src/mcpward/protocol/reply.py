"""Outcomes and refusals of the JSON-RPC and tool channels as replies. Bodies are spliced, never encoded twice.

The wire columns of the table of reasons are read here (and in ``ingress/render.py`` for the HTTP channel). What is not
in the table, not in the public facts and not in an outcome has no road to the wire.
"""

import math
from typing import Any, Final

from msgspec.json import Encoder
from msgspec.structs import replace

from mcpward.core.errors import Refusal
from mcpward.core.reasons import WIRE, Channel, Reason
from mcpward.core.values import Call, Era, Kind, Outcome, Reply, Way
from mcpward.protocol.methods import READ
from mcpward.protocol.versions import SUBSCRIPTION_KEY

LIST_TTL_MS: Final = 60_000
"""How long a client may keep a list, in milliseconds. Access never rests on it."""

_encode = Encoder().encode
_CACHED: Final = {
    "server/discover": LIST_TTL_MS,
    "tools/list": LIST_TTL_MS,
    "prompts/list": LIST_TTL_MS,
    "resources/list": LIST_TTL_MS,
    "resources/templates/list": LIST_TTL_MS,
    "resources/read": 0,
}
#: Public facts and the names they have in ``error.data``. Whatever else a refusal carries stays in the house.
_DATA: Final = {
    "supported": "supported",
    "required_capabilities": "requiredCapabilities",
    "problems": "problems",
    "error_id": "errorId",
    "retry_after_s": "retryAfterSeconds",
    "policy": "policy",
}
#: What a refusal of the tool channel is where no tool was called (a resource or a prompt): status and code.
_NO_TOOL: Final = {
    Reason.ARGUMENTS_INVALID: (400, -32602),
    Reason.ARGUMENT_DANGEROUS: (400, -32602),
    Reason.REPEATED_CALL: (429, 42900),
}
_FAILED: Final = (500, -32603)
_MAX_ECHO: Final = 256
_OWN_META: Final = b'{"_meta":{'
_CONTENT: Final = b'{"content":'
_COMPLETE: Final = b'{"jsonrpc":"2.0","id":%d,"result":{"resultType":"complete","_meta":{%b},%b}'
_MODERN: Final = Era.MODERN


def result(call: Call, outcome: Outcome, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
    """Give the answer of a tool call. ``outcome.body`` is one JSON object, compactly encoded."""
    body, number = outcome.body, call.id
    if call.era is _MODERN and type(number) is int and body.startswith(_CONTENT):  # as most do: no "_meta", not empty
        return Reply(200, headers, _COMPLETE % (number, call.introduction, body[1:]))
    return Reply(200, headers, _result(call, body))


def catalogue(
    call: Call, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = (), ttl_ms: int | None = None
) -> Reply:
    """Give the answer of any other request; ``body`` is its result, compact, without the modern extras.

    ``ttl_ms`` is how long the client may keep it, in milliseconds, where that is not what the method's results say.
    """
    if call.era is Era.MODERN and (usual_ms := _CACHED.get(call.method)) is not None:
        # Lists depend on the credential; a shared cache would show one caller's tools to another (trap T20).
        # What a resource's function gives may rest on who asks, so no two callers share it.
        is_shared = call.principal.way is Way.ANONYMOUS and call.method != READ
        scope = b"public" if is_shared else b"private"
        hints = b',"ttlMs":%d,"cacheScope":"%b"' % (usual_ms if ttl_ms is None else ttl_ms, scope)
        return Reply(status=200, headers=headers, body=_result(call, body, hints))
    return Reply(status=200, headers=headers, body=_result(call, body))


def input_required(call: Call, requests: bytes, state: str) -> Reply:
    """Give the answer of a modern call that needs answers first.

    ``requests`` is the encoded object of key to request, ``state`` what the client sends back with the answers.
    """
    asked = b'{"inputRequests":%b,"requestState":%b}' % (requests, _encode(state))
    return Reply(status=200, body=_result(call, asked, type_=b"input_required"))


def task(call: Call, body: bytes) -> Reply:
    """Give the answer of a tool call that goes on as a task (SEP-2663); ``body`` is the encoded task."""
    return Reply(status=200, body=_result(call, body, type_=b"task"))


def listened(call: Call) -> Reply:
    """Give the last message of a stream that ``subscriptions/listen`` opened."""
    tag = b',"%b":%b' % (SUBSCRIPTION_KEY.encode(), _identity(call))
    return Reply(status=200, body=_result(replace(call, introduction=call.introduction + tag), b"{}"))


def closed() -> Reply:
    """Give the end of a legacy stream: no last message."""
    return _CLOSED


def accepted() -> Reply:
    """Give the answer of a notification or of a response: 202, nothing more."""
    return _ACCEPTED


def ended() -> Reply:
    """Give the answer of a session's end: 200, nothing more."""
    return _ENDED


def refusal(no: Refusal, call: Call | None = None, rpc_id: int | str | None = None) -> Reply:
    """Give the answer of a refusal of the channels RPC and TOOL.

    The id is the call's, else ``rpc_id``, else what the refusal knows. A refusal of the tool channel is a result with
    ``isError`` where a tool was called, so that the model can mend its call; elsewhere it is an error.
    """
    row = WIRE[no.reason]
    if call is not None and call.kind is Kind.TOOL and (row.channel is Channel.TOOL or _is_told_to_model(no, call)):
        return _reply(no, 200, _result(call, _tool_body(no, row.sentence)))
    identity = call.id if call is not None else rpc_id if rpc_id is not None else no.facts.get("rpc_id")
    status, code = _status_and_code(no, call)
    error = {"code": code, "message": row.sentence + _when(no), "data": _data(no, call)}
    return _reply(no, status, _encode({"jsonrpc": "2.0", "id": identity, "error": error}))


def _is_told_to_model(no: Refusal, call: Call) -> bool:
    """Legacy clients know no error for a capability that they lack; their model may find another way."""
    return no.reason is Reason.CAPABILITY_MISSING and call.era is Era.LEGACY


def _result(call: Call, body: bytes, hints: bytes = b"", type_: bytes = b"complete") -> bytes:
    """Splice the encoded result into its envelope: what a tool gave is encoded once and never read again.

    A result's own ``_meta`` stands first in it, so that the modern era's joins it without a look at the rest.
    """
    if call.era is Era.LEGACY:
        return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (_identity(call), body)
    if body.startswith(_OWN_META):
        own = body[len(_OWN_META) :]
        return b'{"jsonrpc":"2.0","id":%b,"result":{"resultType":"%b"%b,"_meta":{%b%b%b}' % (
            _identity(call),
            type_,
            hints,
            call.introduction,
            b"" if own.startswith(b"}") else b",",
            own,
        )
    return b'{"jsonrpc":"2.0","id":%b,"result":{"resultType":"%b","_meta":{%b}%b%b%b}' % (
        _identity(call),
        type_,
        call.introduction,
        hints,
        b"," if len(body) > 2 else b"",
        body[1:],
    )


def _identity(call: Call) -> bytes:
    return b"%d" % call.id if type(call.id) is int else _encode(call.id)


def _tool_body(no: Refusal, sentence: str) -> bytes:
    text = sentence + _when(no)
    if (error_id := no.facts.get("error_id")) is not None:
        text += f" (error {error_id})"
    problems = no.facts.get("problems") or ()
    for problem in problems:
        text += f"\n{problem['path'] or 'arguments'}: {problem['rule']}"
    meta: dict[str, Any] = {"mcpward/reason": no.reason.value}
    if problems:
        meta["mcpward/problems"] = problems
    return _encode({"content": [{"type": "text", "text": text, "_meta": meta}], "isError": True})


#: What a model can do that repeats a call, by whether the calls before it had an answer; None where nobody knows.
_REPEATED: Final = {
    True: "You have its answer already: use it, call something else or with other arguments, or tell the person.",
    False: "It gave no answer: call something else or with other arguments, or tell the person what failed.",
    None: "Call something else or with other arguments, or tell the person.",
}


def _when(no: Refusal) -> str:
    """Say in words what the facts of a limit say: clients show a person the message, and a model reads no numbers."""
    policy, wait_s = no.facts.get("policy"), no.facts.get("retry_after_s")
    if policy is None or wait_s is None:
        return ""
    if no.reason is Reason.RATE_EXCEEDED:
        return f"; the limit {policy} lets the next one pass in {wait_s} s"
    if no.reason is Reason.BUSY:
        missing = f"there are no free {policy}" if policy.startswith("places ") else f"{policy} cannot be counted now"
        return f"; {missing}"
    if no.reason is Reason.REPEATED_CALL:
        return f". {_REPEATED[no.facts.get('answered')]} It is let through again in {wait_s} s"
    return ""


def _status_and_code(no: Refusal, call: Call | None) -> tuple[int, int]:
    row = WIRE[no.reason]
    is_legacy = no.facts.get("era") is Era.LEGACY or (call is not None and call.era is Era.LEGACY)
    if row.channel is not Channel.RPC:
        return _NO_TOOL.get(no.reason, _FAILED)
    if is_legacy and no.reason is Reason.METHOD_UNKNOWN:
        # In the legacy era a 404 says that the session is gone, and the client would start all over.
        return 400, row.code
    if is_legacy and no.reason is Reason.RESOURCE_UNKNOWN:
        return row.status, -32002
    if is_legacy and no.reason is Reason.CAPABILITY_MISSING:
        return row.status, -32602
    return row.status, row.code


def _data(no: Refusal, call: Call | None) -> dict[str, Any]:
    data: dict[str, Any] = {"reason": no.reason.value}
    for fact, name in _DATA.items():
        if fact in no.facts:
            data[name] = no.facts[fact]
    # The specification wants these two echoed. Nothing that could break a line or a terminal is.
    if no.reason is Reason.VERSION_UNSUPPORTED:
        data["requested"] = _echo(no.facts.get("requested"))
    elif no.reason is Reason.RESOURCE_UNKNOWN and call is not None:
        data["uri"] = _echo(call.target)
    return data


def _echo(said: object) -> str:
    return said if isinstance(said, str) and len(said) <= _MAX_ECHO and said.isascii() and said.isprintable() else ""


def _reply(no: Refusal, status: int, body: bytes) -> Reply:
    headers: tuple[tuple[bytes, bytes], ...] = tuple(no.facts.get("headers", ()))
    retry_after_s = no.facts.get("retry_after_s")
    if retry_after_s is not None and status != 200:
        headers = (*headers, (b"retry-after", b"%d" % max(1, math.ceil(retry_after_s))))
    return Reply(status=status, headers=headers, body=body, reason=no.reason.value, error_id=no.facts.get("error_id"))


_ACCEPTED: Final = Reply(status=202)
_ENDED: Final = Reply(status=200)
_CLOSED: Final = Reply(status=200)
