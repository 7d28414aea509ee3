"""``mcpward call``: one call of a tool, through every stage that a call over HTTP passes, as a caller that is named."""

import asyncio
import json as jsonlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mcpward.cli import person, ui
from mcpward.cli.help import examples
from mcpward.cli.operator import account
from mcpward.cli.progress_line import ProgressLine
from mcpward.cli.result_view import result_lines
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, in_site, opened_server, server_names
from mcpward.core.scope import Access

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from mcpward.config.model import Settings
    from mcpward.operations.operator_call import CallAnswer, MakesCalls, OperatorCall

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,127}", re.ASCII)
_KEY_ID: Final = re.compile(r"[0-9A-Za-z]{12}", re.ASCII)
_MOST_BYTES: Final = 4 * 1024**2
#: Refusals for something that is not available now; all others are final.
_UNREACHABLE: Final = frozenset({"busy", "identity-unavailable", "fault"})
_MOST_ROUNDS: Final = 20


@examples(
    'mcpward call orders search_products \'{"words": "chair"}\'',
    "mcpward call tools.py find_notes @arguments.json",
    "mcpward call orders query_orders - --as alice --scope orders:read < arguments.json",
    "mcpward call orders cancel_order '{\"order_id\": 7}' --class destructive",
    "mcpward call orders query_orders '{}' --key-id 4f9QkZp2LmXa --json | jq .structuredContent",
)
def call(
    server: Annotated[
        str,
        typer.Argument(
            metavar="SERVER",
            help="A server of the site's file, a Python file, or module:object.",
            autocompletion=server_names,
        ),
    ],
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name, as mcpward tools prints it.")],
    arguments: Annotated[
        str,
        typer.Argument(metavar="[ARGUMENTS]", help="A JSON object; - reads it from stdin, @FILE from a file."),
    ] = "{}",
    key_id: Annotated[
        str | None,
        typer.Option(
            "--key-id", metavar="ID", help="Call as the holder of this key, with its rights, limits and expiry."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Call as this subject. Default: your account on this machine."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="A scope that the caller holds; may be repeated; '*' is all."),
    ] = None,
    access: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="CLASS", help="The caller's class: read, write or destructive. Default: write."
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, max=3600, help="Seconds to wait for the running server.")
    ] = 120.0,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Call a tool and print its result. Policy, limits, consent and record apply as for a call over HTTP. If the site
    is being served, the running server makes the call, so it counts there; otherwise this process does. The record has
    the caller as operator:NAME or as the key, and operator:ACCOUNT in place of an address. A tool that needs human
    approval asks at this terminal, and is refused without one. Exit code 1 for a failed or refused call, 2 for a call
    that cannot be sent, 3 if no server can answer. A terminal shows the tool's progress, and Ctrl-C cancels the call.
    """
    from mcpward.operations.operator_call import NamedCaller, OperatorCall

    mine = _account()
    if key_id is not None and (name is not None or scope or access is not None):
        raise ui.CommandEnded(
            ui.Exit.USAGE, "a key brings its own name, scopes and class", "leave out --as, --scope, --class"
        )
    caller = NamedCaller(
        name=_checked_name(name or mine),
        key_id=None if key_id is None else _checked_key(key_id),
        scopes=tuple(scope or ()),
        access=_checked_class(access or "write"),
        operator=mine,
    )
    text = _object(_text(arguments))
    settings, chosen = opened_server(config, server)
    line = ProgressLine(is_shown=not json)
    asked = OperatorCall(
        server=chosen,
        tool=tool,
        arguments=text,
        caller=caller,
        can_ask=person.can_ask(),
        wants_progress=line.is_shown,
    )
    _note(settings, asked)
    try:
        answer = asyncio.run(_made(settings, asked, timeout, line))
    except KeyboardInterrupt:
        raise ui.CommandEnded(
            ui.Exit.NO, "the call is cancelled", "mcpward log shows whether the tool had already run"
        ) from None
    finally:
        line.clear()
    _show(answer, asked, as_json=json)


def _note(settings: "Settings", asked: "OperatorCall") -> None:
    """Record that this account calls as another caller; the result is in the record of the request."""
    from mcpward.operations.acts import note_call

    in_site(settings, lambda site: note_call(site, asked))


async def _made(settings: "Settings", asked: "OperatorCall", timeout_s: float, line: ProgressLine) -> "CallAnswer":
    from mcpward.operations.remote_call import open_calls

    def here() -> "AbstractAsyncContextManager[MakesCalls]":
        from mcpward.app.local_calls import open_local_calls  # a call of a running server does without a worker's parts

        return open_local_calls(settings)

    async with open_calls(settings, CLOCK, timeout_s, here) as calls:
        return await _answered(calls, asked, line)


async def _answered(calls: "MakesCalls", asked: "OperatorCall", line: ProgressLine) -> "CallAnswer":
    """Make the call, and make it again with a person's answers for as long as it asks."""
    from mcpward.operations.remote_call import again

    tell = line.show if line.is_shown else None
    answer = await calls.make(asked, tell)
    for _ in range(_MOST_ROUNDS):
        result = jsonlib.loads(answer.body or "{}").get("result", {})
        if result.get("resultType") != "input_required":
            break
        line.clear()
        answers = await asyncio.to_thread(person.ask_all, result["inputRequests"])
        answer = await calls.make(again(asked, answers, result["requestState"]), tell)
    return answer


def _show(answer: "CallAnswer", asked: "OperatorCall", *, as_json: bool) -> None:
    message = jsonlib.loads(answer.body or "{}")
    result, wrong = message.get("result"), message.get("error")
    if as_json:
        ui.answer_json(result if wrong is None else {"error": wrong})
    if wrong is not None:
        code = ui.Exit.UNREACHABLE if answer.reason in _UNREACHABLE else ui.Exit.NO
        raise ui.CommandEnded(code, f"{answer.reason}: {wrong.get('message', '')}", _hint(answer, asked))
    lines = result_lines(result)
    if result.get("isError"):
        _say_no(lines, answer, asked)
        raise typer.Exit(ui.Exit.NO)
    if not as_json:
        for line in lines:
            ui.answer(line)


def _say_no(lines: list[str], answer: "CallAnswer", asked: "OperatorCall") -> None:
    """Print what a model would read of a failed call: the first line is the error, the others are one mistake each."""
    first, *others = lines or ["the tool reported an error"]
    ui.error(first)
    for line in others:
        ui.remark(f"  {line}")
    if hint := _hint(answer, asked):
        ui.remark(f"hint: {hint}")


def _hint(answer: "CallAnswer", asked: "OperatorCall") -> str:
    if answer.hint:
        return answer.hint
    key_id = asked.caller.key_id
    match answer.reason:
        case "arguments-invalid" | "argument-dangerous":
            return f"mcpward tools {asked.server} --tool {asked.tool} shows its schema and guards"
        case "scope-missing":
            return f"mcpward tools {asked.server} shows its scopes; grant one with --scope SCOPE"
        case "consent-missing":
            return "a person must approve the call: run it at a terminal, with the arguments as a word or from @FILE"
        case "rate-exceeded" | "repeated-call":
            return f"mcpward limits --caller {key_id or 'operator:' + asked.caller.name} shows the current use"
        case "credential-invalid":
            return f"mcpward key show {key_id} shows its state, servers and networks"
        case "tool-failed" | "fault" | "output-refused":
            return "the log (this terminal, or the server's) has more under that id; so has mcpward log --error-id ID"
    return ""


def _text(arguments: str) -> str:
    """Return what was typed, or what the file or stdin has."""
    try:
        if arguments == "-":
            raw = sys.stdin.buffer.read(_MOST_BYTES + 1)
        elif arguments.startswith("@"):
            with Path(arguments[1:]).open("rb") as file:
                raw = file.read(_MOST_BYTES + 1)
        else:
            return arguments
    except OSError as error:
        raise ui.CommandEnded(ui.Exit.USAGE, f"{arguments[1:]}: {error.strerror or 'cannot be read'}") from None
    if len(raw) > _MOST_BYTES:
        raise ui.CommandEnded(ui.Exit.USAGE, "the arguments are longer than 4 MiB")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ui.CommandEnded(ui.Exit.USAGE, "the arguments are not UTF-8") from None


def _object(text: str) -> str:
    """Return the text if it is a JSON object. The server judges its content."""
    hint = "write a JSON object in quotes, such as '{\"a\": 1}'; - reads stdin, @FILE a file"
    try:
        value = jsonlib.loads(text)
    except RecursionError:
        raise ui.CommandEnded(ui.Exit.USAGE, "the arguments are nested too deep", hint) from None
    except ValueError as error:
        place = f" at line {error.lineno}, column {error.colno}" if isinstance(error, jsonlib.JSONDecodeError) else ""
        what = error.msg if isinstance(error, jsonlib.JSONDecodeError) else "a number that is not finite"
        raise ui.CommandEnded(ui.Exit.USAGE, f"the arguments are not JSON: {what.lower()}{place}", hint) from None
    if not isinstance(value, dict):
        raise ui.CommandEnded(ui.Exit.USAGE, "the arguments are JSON, but not an object", hint)
    return text


def _account() -> str:
    """Return the account as a caller's name; an account whose name is none of these is called by its number."""
    said = account()
    return said if _NAME.fullmatch(said) else f"uid-{os.geteuid()}"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ui.CommandEnded(ui.Exit.USAGE, "--as: a name is 1 to 128 of A-Z a-z 0-9 @ . _ + -")
    return name


def _checked_key(key_id: str) -> str:
    if key_id.startswith("sk-mcpward-"):
        what = "that is a key, not a key id; it is now in your shell history"
        raise ui.CommandEnded(
            ui.Exit.USAGE, what, "rotate it (mcpward key rotate ID), and name the id: mcpward key list"
        )
    if not _KEY_ID.fullmatch(key_id):
        raise ui.CommandEnded(ui.Exit.USAGE, "a key's id is 12 letters and digits", "mcpward key list prints them")
    return key_id


def _checked_class(word: str) -> str:
    try:
        return Access.parse(word).label
    except ValueError as wrong:
        raise ui.CommandEnded(ui.Exit.USAGE, f"--class: {wrong}") from None
