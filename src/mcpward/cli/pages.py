"""The page ``docs/commands.md``, made of the commands: ``python -m mcpward.cli.pages > docs/commands.md``."""

from collections.abc import Iterator
from typing import Any, Final

import typer

from mcpward.cli import ui
from mcpward.cli.main import app

_HEAD: Final = """# Commands

<!-- made by `python -m mcpward.cli.pages`; a test compares it with the code -->

Every command finds `mcpward.toml` in the current folder, or takes `--config FILE` (`MCPWARD_CONFIG`), and works on that
site's data; without a file it works on `.mcpward/`. Results go to stdout, remarks to stderr; for a created key, stdout
has only the key. `--json` prints JSON. Errors are `error: what` then `hint: what to do`.

| exit code | means |
|---|---|
| 0 | done |
| 1 | nothing found, nothing to do, or refused |
| 2 | usage or configuration |
| 3 | a service or file that the command needs is unavailable |

`mcpward --install-completion` installs completion for your shell.
"""


def commands_page() -> str:
    """Write the page of all commands and their options."""
    return "\n".join([_HEAD, *_of(typer.main.get_command(app), ("mcpward",))])


def _of(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    for name, one in getattr(command, "commands", {}).items():
        if one.hidden:
            continue
        if hasattr(one, "commands"):
            if one.invoke_without_command:  # a verb of its own as well
                yield from _command(one, (*path, name))
            yield from _of(one, (*path, name))
        else:
            yield from _command(one, (*path, name))


def _command(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    what, _, examples = (command.help or "").partition("\b\nexamples:\n")
    options = [option for option in command.params if option.param_type_name == "option"]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join([*path, *(one.metavar for one in arguments), "[options]"])
    yield f"## {' '.join(path)}\n\n{' '.join(what.split())}\n\n```\n{usage}\n```\n\n| option | meaning |\n|---|---|"
    for one in arguments:
        yield f"| `{one.metavar.strip('[]')}` | {one.help} |"
    for one in options:
        default = (
            f" Default: `{one.default}`." if isinstance(one.default, str | int) and one.default is not False else ""
        )
        required = " Required." if one.required else ""
        yield f"| {', '.join(f'`{name}`' for name in one.opts)} | {one.help}{required}{default} |"
    lines = "\n".join(line.strip() for line in examples.rstrip().splitlines())
    yield f"\n```\n{lines}\n```\n"


if __name__ == "__main__":
    ui.answer(commands_page().rstrip("\n"))
