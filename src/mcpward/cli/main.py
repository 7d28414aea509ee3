"""``mcpward``: the verbs, put together; and what becomes of their errors. Exit codes: 0 done, 1 the answer is no,
2 usage or configuration, 3 cannot reach what it needs.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, NoReturn

import typer

from mcpward import __version__
from mcpward.cli import (
    access,
    approve,
    call,
    config,
    connect,
    init,
    key,
    limits,
    log,
    policy,
    reload,
    secret,
    serve,
    server,
    site_copy,
    store,
    tools,
    ui,
    url,
)
from mcpward.cli.help import examples
from mcpward.cli.operator import note_command
from mcpward.core.errors import Misconfigured, Unreachable
from mcpward.core.model_words import model_words
from mcpward.operations.denied import Denied, Invalid

# typer carries its own copy of click: its public BadParameter leads to the family of usage errors.
_SAID_WRONG: Final[type[Exception]] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="mcpward",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # a pretty traceback shows the values of variables
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("serve")(serve.serve)
app.command("reload")(reload.reload)
app.add_typer(key.app, name="key")
app.add_typer(url.app, name="url")
app.add_typer(secret.app, name="secret")
app.command("access")(access.access)
app.add_typer(approve.app, name="approve")
app.add_typer(policy.app, name="policy")
app.add_typer(server.app, name="server")
app.add_typer(store.app, name="store")
app.command("backup")(site_copy.backup)
app.command("restore")(site_copy.restore)
app.add_typer(log.app, name="log")
app.add_typer(limits.app, name="limits")
app.command("tools")(tools.tools)
app.command("call")(call.call)
app.command("connect")(connect.connect)
app.add_typer(config.app, name="config")
app.command("init")(init.init)


def _version(asked: bool) -> None:
    if asked:
        ui.answer(f"mcpward {__version__}")
        raise typer.Exit


@app.callback()
@examples(
    "mcpward init hello && cd hello && mcpward serve",
    "mcpward serve tools.py --port 9000",
    "mcpward key create --name laptop --expires 90d",
    "mcpward connect claude-desktop --write",
)
def mcpward(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Serve MCP tools with keys, limits, validation, redaction and a record of every call."""


def run(arguments: Sequence[str] | None = None, tell: Callable[..., None] = ui.error) -> int:
    """Run one command and return its exit code; errors are printed on stderr, or passed to ``tell`` (what, hint)."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if not all(_is_text(word) for word in words):
        tell("an argument is not text in the terminal's encoding", "mcpward --help")
        return ui.Exit.USAGE
    command = typer.main.get_command(app)
    note_command(command, words)
    try:
        code = command.main(args=words, prog_name="mcpward", standalone_mode=False, obj=words)
    except ui.CommandEnded as ended:
        tell(ended.what, ended.hint)
        return ended.code
    except Denied as no:
        tell(no.what, no.hint)
        return ui.Exit.USAGE if isinstance(no, Invalid) else ui.Exit.NO
    except Misconfigured as wrong:
        for finding in wrong.findings:
            tell(*ui.words_of(finding))
        return ui.Exit.USAGE
    except Unreachable as missing:
        tell(missing.what, missing.hint)
        return ui.Exit.UNREACHABLE
    except typer.Abort:
        ui.remark("stopped: nothing was done")
        return ui.Exit.NO
    except BrokenPipeError:
        _close_quietly()
        return ui.Exit.DONE
    except _SAID_WRONG as said:
        return _usage(said)
    return code if isinstance(code, int) else ui.Exit.DONE


def _is_text(word: str) -> bool:
    """Bytes that are no text come as lone surrogates: no database and no file takes those."""
    return word.isascii() or not any("\ud800" <= char <= "\udfff" for char in word)


def _usage(said: Any) -> int:
    message = _message(said)
    if type(said).__name__ == "NoArgsIsHelpError":
        ui.remark(message)
        return ui.Exit.USAGE
    context = getattr(said, "ctx", None)
    where = context.command_path if context else "mcpward"
    ui.error(f"{message[:1].lower()}{message[1:]}".rstrip("."), f"{where} --help")
    return ui.Exit.USAGE


def _message(said: Any) -> str:
    """Return what is wrong with the words of the command; of a value in our own words, not in those of a library."""
    from pydantic import ValidationError

    param, cause = getattr(said, "param", None), said.__cause__
    if param is None or not isinstance(cause, ValidationError):
        return str(said.format_message())
    first = cause.errors(include_url=False, include_input=False)[0]
    words = model_words(first["type"], first.get("ctx", {})) or "the value is not valid"
    return f"{max(param.opts, key=len) if param.opts[0].startswith('-') else param.human_readable_name}: {words}"


def _close_quietly() -> None:
    """The reader has gone, as ``head`` does. Python would complain at exit unless stdout leads nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> NoReturn:
    """Run the command of this process and leave with its exit code."""
    sys.exit(run())
