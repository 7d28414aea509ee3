"""``mcpward policy``: the rules of who may call what, and their answer to one call. Nothing is called."""

import asyncio
import json as jsonlib
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.meant import meant
from mcpward.cli.site import (
    CLOCK,
    ConfigOption,
    JsonOption,
    ServerOption,
    chosen_server,
    completed,
    in_site,
    no_site,
    settings_of,
)
from mcpward.cli.timespan import parse_moment
from mcpward.config.model import Settings
from mcpward.config.policy import PolicyRule
from mcpward.core.moment import moment_text
from mcpward.core.scope import Access
from mcpward.core.values import AuthMethod, Principal

if TYPE_CHECKING:
    from mcpward.identity.keys.records import KeyRecord
    from mcpward.operations.policy_rules import PolicyAnswer
    from mcpward.operations.site import Site

app = typer.Typer(help="Rules of who may call what: list, test.", no_args_is_help=True, rich_markup_mode=None)
_HEADER: Final = ("server", "rule", "do", "tools", "classes", "callers", "hours", "when", "reason")
_KEY_ID: Final = re.compile(r"[0-9A-Za-z]{12}", re.ASCII)
_WAYS: Final = {
    "public": AuthMethod.ANONYMOUS,
    "unlisted": AuthMethod.UNLISTED,
    "oauth": AuthMethod.OAUTH,
    "operator": AuthMethod.OPERATOR,
}


def caller_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the id of a live key."""

    def known(settings: Settings) -> list[str]:
        from mcpward.operations.keys import every_key

        keys = in_site(settings, every_key, must_exist=True)
        return [key.id for key in keys if key.is_live(CLOCK.now(), settings.keys.max_age)]

    return completed(ctx, incomplete, known)


@app.command("list")
@examples("mcpward policy list", "mcpward policy list --server orders --json")
def list_rules(server: ServerOption = None, config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the rules of the site's file, by server. Deny wins over confirm, and confirm over allow. Exit code 1 if
    there is none.
    """
    settings = settings_of(config)
    only = None if server is None else chosen_server(settings, server)
    found = [
        (name, rule_name, rule)
        for name, table in settings.servers.items()
        for rule_name, rule in table.rules.items()
        if only in {None, name}
    ]
    if json:
        ui.answer_json([_shape(*one) for one in found])
    elif found:
        ui.table(_HEADER, [_row(*one) for one in found])
    if not found:
        raise ui.CommandEnded(ui.Exit.NO, "there is no rule", 'write [servers.NAME.rules.RULE] with do = "deny"')


@app.command("test")
@examples(
    "mcpward policy test --server orders --as 4f9QkZp2LmXa --tool refund --arguments '{\"amount\": 250}'",
    "mcpward policy test -s orders --as alice@example.com --scope orders:read --tool get_order --at 2026-12-31T22:00Z",
)
def try_call(
    tool: Annotated[str, typer.Option("--tool", "-t", metavar="NAME", help="The tool to be called.")],
    caller: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="KEY|SUBJECT",
            help="The caller: the id of a key, or the subject of a token.",
            autocompletion=caller_words,
        ),
    ],
    server: ServerOption = None,
    arguments: Annotated[str, typer.Option(metavar="JSON", help="The arguments of the call, a JSON object.")] = "{}",
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="The time of the call: 2026-12-31T10:00Z. Default: now.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="A scope of the token; may be repeated.")
    ] = None,
    access: Annotated[
        str, typer.Option("--class", metavar="CLASS", help="The class of a caller without a key.")
    ] = "destructive",
    mode: Annotated[
        str, typer.Option(metavar="MODE", help="How a caller without a key comes: oauth, unlisted, public, operator.")
    ] = "oauth",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Report whether a caller may make a call, and by which rule. The command loads the sources like a start, validates
    the arguments and applies the rules that judge calls. Nothing is called. Exit code 1 for no.
    """
    from mcpward.operations.policy_rules import may_call
    from mcpward.operations.tool_sources import load_tool_sources

    settings = settings_of(config)
    if not settings.servers:
        raise no_site(config, server)
    chosen = chosen_server(settings, server)
    raw = _object(arguments)
    moment = CLOCK.now() if at is None else parse_moment(at, "--at")
    sources = asyncio.run(load_tool_sources(settings, CLOCK))
    names = [one.name for one in sources[chosen].declared]
    if tool not in names:
        raise ui.CommandEnded(ui.Exit.USAGE, f"server {chosen} has no tool {tool!r}", meant(tool, sorted(names)))
    principal = _principal(settings, chosen, caller, mode, tuple(scope or ()), _class(access))
    answer = may_call(settings, sources[chosen], principal, tool, raw, moment)
    _tell(answer, caller, f"{chosen}.{tool}", moment, as_json=json)


def _tell(answer: "PolicyAnswer", caller: str, what: str, at: float, *, as_json: bool) -> None:
    word = "no" if not answer.is_allowed else "confirm" if answer.needs_yes else "yes"
    if as_json:
        problems = [{"path": one.path, "rule": one.rule} for one in answer.problems]
        told = {"answer": word, "by": answer.by, "reason": answer.reason, "at": moment_text(at), "problems": problems}
        ui.answer_json(told)
    else:
        how = "may not call" if word == "no" else "may call"
        asked = " with a person's approval" if word == "confirm" else ""
        reason = f": {answer.reason}" if answer.reason else ""
        ui.answer(ui.safe(f"{word}: {caller} {how} {what}{asked} ({answer.by}{reason})"))
        for one in answer.problems:
            ui.answer(ui.safe(f"  {one.path or 'arguments'}: {one.rule}"))
    if not answer.is_allowed:
        raise typer.Exit(ui.Exit.NO)


def _principal(
    settings: Settings, server: str, caller: str, mode: str, scopes: tuple[str, ...], access: Access
) -> Principal:
    from mcpward.operations.policy_rules import key_caller, named_caller

    record = _key(settings, caller) if _KEY_ID.fullmatch(caller) else None
    if record is None:
        if mode not in _WAYS:
            raise ui.CommandEnded(ui.Exit.USAGE, f"--mode: {mode!r} is none", f"one of {', '.join(_WAYS)}")
        modes = settings.servers[server].modes
        if mode != "operator" and mode not in modes:
            has = ", ".join(sorted(modes))
            what = f"{caller!r} is no key's id, and server {server} is not in mode {mode} (but {has})"
            raise ui.CommandEnded(ui.Exit.USAGE, what, "mcpward key list prints the ids of keys")
        return named_caller(server, caller, _WAYS[mode], scopes, access)
    principal = key_caller(record, server)
    if principal is None:
        hint = f"it opens {', '.join(record.servers)}"
        raise ui.CommandEnded(ui.Exit.NO, f"key {record.id} does not open server {server}", hint)
    return principal


def _key(settings: Settings, key_id: str) -> "KeyRecord | None":
    from mcpward.operations.keys import every_key

    async def work(site: "Site") -> "KeyRecord | None":
        return next((key for key in await every_key(site) if key.id == key_id), None)

    try:
        return in_site(settings, work, must_exist=True)
    except ui.CommandEnded:
        return None


def _object(text: str) -> bytes:
    try:
        value = jsonlib.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ui.CommandEnded(
            ui.Exit.USAGE, "--arguments is not a JSON object", """write --arguments '{"amount": 5}'"""
        )
    return text.encode()


def _class(word: str) -> Access:
    try:
        return Access.parse(word)
    except ValueError:
        raise ui.CommandEnded(ui.Exit.USAGE, f"--class: {word!r} is none", "read, write or destructive") from None


def _row(server: str, name: str, rule: PolicyRule) -> tuple[object, ...]:
    shape = _shape(server, name, rule)
    callers = [*rule.callers, *(f"not {word}" for word in rule.not_callers)]
    hours = [f"{rule.hours.text}" if rule.hours else "", f"not {rule.not_hours.text}" if rule.not_hours else ""]
    when = [f"{path} {jsonlib.dumps(tests)}" for path, tests in shape["when"].items()]
    return (
        server,
        name,
        rule.do,
        ", ".join(rule.tools) or ("all others" if rule.is_last else "all"),
        ", ".join(rule.classes) or "all",
        ", ".join(callers) or "all",
        " ".join(filter(None, hours)) or "always",
        ", ".join(when) or "-",
        rule.reason or "-",
    )


def _shape(server: str, name: str, rule: PolicyRule) -> dict[str, Any]:
    return {"server": server, "name": name, **rule.model_dump(mode="json", exclude={"when"})} | {
        "when": {path: one.model_dump(mode="json", exclude_unset=True) for path, one in rule.when.items()}
    }
