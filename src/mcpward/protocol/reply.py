"""Outcomes and refusals of the JSON-RPC and tool channels as replies. Bodies are spliced, never encoded twice.

The wire columns of the table of reasons are read here (and in ``ingress/render.py`` for the HTTP channel). A response
carries only what the table, a refusal's facts or an outcome holds.

In the revisions with sessions, a refused request is answered with status 200 and its JSON-RPC error: their clients
take an error status for a broken connection and end the session.
"""

import math
from typing import Any, Final

from msgspec.json import Encoder
from msgspec.structs import replace

from mcpward.core.errors import Refusal
from mcpward.core.facts import (
    ErrorId,
    Fact,
    Lacking,
    MissingScope,
    Problem,
    Problems,
    Remedy,
    RetryAfter,
    Unread,
    Versions,
)
from mcpward.core.reasons import WIRE, Channel, Reason
from mcpward.core.values import AuthMethod, Call, Era, Kind, Outcome, Reply
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
_READ: Final = Unread()
_ONE_WAY: Final = frozenset({Kind.NOTIFICATION, Kind.ANSWER})
_MAX_ECHO: Final = 256
_OWN_META: Final = b'{"_meta":{'
_CONTENT: Final = b'{"content":'
_COMPLETE: Final = b'{"jsonrpc":"2.0","id":%d,"result":{"resultType":"complete","_meta":{%b},%b}'
_MODERN: Final = Era.MODERN


def result(call: Call, outcome: Outcome, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
    """Return the answer of a tool call. ``outcome.body`` is one JSON object, compactly encoded."""
    body, number = outcome.body, call.id
    if call.era is _MODERN and type(number) is int and body.startswith(_CONTENT):  # as most do: no "_meta", not empty
        return Reply(200, headers, _COMPLETE % (number, call.introduction, body[1:]))
    return Reply(200, headers, _result(call, body))


def catalogue(
    call: Call, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = (), ttl_ms: int | None = None
) -> Reply:
    """Return the answer of any other request; ``body`` is its result, compact, without the modern extras.

    ``ttl_ms`` is how long the client may keep it, in milliseconds, if that is not what the method's results say.
    """
    if call.era is Era.MODERN and (usual_ms := _CACHED.get(call.method)) is not None:
        # Lists depend on the credential; a shared cache would show one caller's tools to another. A resource's contents
        # may depend on the caller, so no two callers share them.
        is_shared = call.principal.way is AuthMethod.ANONYMOUS and call.method != READ
        scope = b"public" if is_shared else b"private"
        hints = b',"ttlMs":%d,"cacheScope":"%b"' % (usual_ms if ttl_ms is None else ttl_ms, scope)
        return Reply(status=200, headers=headers, body=_result(call, body, hints))
    return Reply(status=200, headers=headers, body=_result(call, body))


def input_required(call: Call, requests: bytes, state: str) -> Reply:
    """Return the answer of a modern call that needs answers first.

    ``requests`` is the encoded object of key to request, ``state`` what the client sends back with the answers.
    """
    asked = b'{"inputRequests":%b,"requestState":%b}' % (requests, _encode(state))
    return Reply(status=200, body=_result(call, asked, type_=b"input_required"))


def task(call: Call, body: bytes) -> Reply:
    """Return the answer of a tool call that goes on as a task (SEP-2663); ``body`` is the encoded task."""
    return Reply(status=200, body=_result(call, body, type_=b"task"))


def listened(call: Call) -> Reply:
    """Return the last message of a stream that ``subscriptions/listen`` opened."""
    tag = b',"%b":%b' % (SUBSCRIPTION_KEY.encode(), _identity(call))
    return Reply(status=200, body=_result(replace(call, introduction=call.introduction + tag), b"{}"))


def closed() -> Reply:
    """Return the end of a legacy stream: no last message."""
    return _CLOSED


def accepted() -> Reply:
    """Return the answer of a notification or of a response: 202, nothing more."""
    return _ACCEPTED


def ended() -> Reply:
    """Return the answer of a session's end: 200, nothing more."""
    return _ENDED


def refusal(no: Refusal, call: Call | None = None, rpc_id: int | str | None = None) -> Reply:
    """Return the answer of a refusal of the channels RPC and TOOL.

    The id is the call's, else ``rpc_id``, else what the refusal knows. A refusal of the tool channel is a result with
    ``isError`` if a tool was called, so that the model can mend its call; elsewhere it is an error.

    A message of a session that has no answer (a notification, a response) and is refused for what it asks is dropped
    with 202: official clients end the session over any other status. The refusal is on record all the same.
    """
    row, unread = WIRE[no.reason], no.find(Unread) or _READ
    is_session = unread.is_session if call is None else call.era is Era.LEGACY
    channel = row.session_channel if is_session else row.channel
    if call is not None and call.kind is Kind.TOOL and channel is Channel.TOOL:
        return _reply(no, 200, _result(call, _tool_body(no, row.sentence)))
    code = row.session_code if is_session else row.code
    if is_session and row.session_status == 200:
        if call.kind in _ONE_WAY if call is not None else unread.is_one_way:
            return _with_wait(no, _reply(no, 202, b""))
        if unread.ids:
            errors = [error_body(no, code, identity) for identity in unread.ids]
            return _with_wait(no, _reply(no, 200, b"[%b]" % b",".join(errors)))
    identity = call.id if call is not None else rpc_id if rpc_id is not None else unread.id
    # A GET or DELETE has no id; it is about the connection, and so is its status.
    status = row.session_status if is_session and identity is not None else row.status
    return _with_wait(no, _reply(no, status, error_body(no, code, identity, call)))


def error_body(no: Refusal, code: int, identity: int | str | None = None, call: Call | None = None) -> bytes:
    """Return a refusal as an encoded JSON-RPC error: the public sentence, and its name and public facts as data."""
    told = "; ".join(f"{problem.path or 'params'}: {problem.rule}" for problem in _problems(no))
    message = WIRE[no.reason].sentence + _when(no) + (f": {told}" if told else "")
    error = {"code": code, "message": message, "data": _data(no, call)}
    return _encode({"jsonrpc": "2.0", "id": identity, "error": error})


def as_streamed(reply: Reply) -> Reply:
    """Return the last message of a stream whose head was sent before: its status was 200, and that is on record."""
    return reply if reply.status == 200 else replace(reply, status=200)


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
    if (known := no.find(ErrorId)) is not None:
        text += f" (error {known.error_id})"
    problems = _problems(no)
    for problem in problems:
        text += f"\n{problem.path or 'arguments'}: {problem.rule}"
    meta: dict[str, Any] = {"mcpward/reason": no.reason.value}
    if problems:
        meta["mcpward/problems"] = problems
    return _encode({"content": [{"type": "text", "text": text, "_meta": meta}], "isError": True})


def _problems(no: Refusal) -> tuple[Problem, ...]:
    found = no.find(Problems)
    return () if found is None else found.problems


#: A model's options to repeat a call, by whether the calls before it had an answer; None if that is not known.
_REPEATED: Final = {
    True: "You already have its answer: use it, make a different call, or tell the person.",
    False: "It had no answer: make a different call, or tell the person what failed.",
    None: "Make a different call, or tell the person.",
}


def _when(no: Refusal) -> str:
    """Return the facts in words: clients show people the message, and models do not read the numbers."""
    if (told := no.find(Remedy)) is not None:
        return f": {told.advice}"
    if (missing := no.find(MissingScope)) is not None and missing.scope:
        return f": {missing.scope}"
    retry = no.find(RetryAfter)
    if retry is None or retry.policy is None:
        return ""
    policy, wait_s = retry.policy, retry.seconds
    if no.reason is Reason.RATE_EXCEEDED:
        return f"; the limit {policy} allows the next one in {wait_s} s"
    if no.reason is Reason.BUSY:
        return f"; there are no free {policy}" if policy.startswith("slots ") else f"; {policy} cannot be counted now"
    if no.reason is Reason.REPEATED_CALL:
        return f". {_REPEATED[retry.answered]} The call is allowed again in {wait_s} s"
    return ""


def _data(no: Refusal, call: Call | None) -> dict[str, Any]:
    data: dict[str, Any] = {"reason": no.reason.value}
    for fact in no.facts:
        data |= _named(fact)
    if no.reason is Reason.RESOURCE_UNKNOWN and call is not None:
        data["uri"] = _echo(call.target)
    return data


def _named(fact: Fact) -> dict[str, Any]:
    """Return a fact as members of ``error.data``. Facts that are not named here stay in mcpward."""
    match fact:
        case RetryAfter(seconds=seconds, policy=None):
            return {"retryAfterSeconds": seconds}
        case RetryAfter(seconds=seconds, policy=policy):
            return {"retryAfterSeconds": seconds, "policy": policy}
        case Problems(problems=problems):
            return {"problems": problems}
        case ErrorId(error_id=error_id):
            return {"errorId": error_id}
        case Lacking(required_capabilities=capabilities):
            return {"requiredCapabilities": capabilities}
        case Versions(supported=supported, requested=requested):
            return {"supported": supported, "requested": _echo(requested)}
        case MissingScope(scope=scope):
            return {"scope": scope}
        case _:
            return {}


def _echo(said: object) -> str:
    """The specification wants some things echoed. Nothing that could break a line or a terminal is."""
    return said if isinstance(said, str) and len(said) <= _MAX_ECHO and said.isascii() and said.isprintable() else ""


def _reply(no: Refusal, status: int, body: bytes) -> Reply:
    retry, known = no.find(RetryAfter), no.find(ErrorId)
    return Reply(
        status=status,
        headers=() if retry is None else retry.headers,
        body=body,
        reason=no.reason.value,
        error_id=None if known is None else known.error_id,
    )


def _with_wait(no: Refusal, reply: Reply) -> Reply:
    """Add ``Retry-After`` if the refusal knows it, whatever the status is."""
    retry = no.find(RetryAfter)
    if retry is None:
        return reply
    return replace(reply, headers=(*reply.headers, (b"retry-after", b"%d" % max(1, math.ceil(retry.seconds)))))


_ACCEPTED: Final = Reply(status=202)
_ENDED: Final = Reply(status=200)
_CLOSED: Final = Reply(status=200)
