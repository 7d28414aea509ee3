from pathlib import Path

import pytest
import typer

from mcpward.cli.main import app
from mcpward.cli.pages import commands_page

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def every_command(command, path=("mcpward",)):
    for name, one in getattr(command, "commands", {}).items():
        if one.hidden:  # an earlier name, still understood
            continue
        if hasattr(one, "commands"):
            yield from every_command(one, (*path, name))
        else:
            yield " ".join((*path, name)), one


COMMANDS = dict(every_command(typer.main.get_command(app)))


def test_the_page_of_commands_is_current():
    assert PAGE.read_text(encoding="utf-8") == commands_page().rstrip("\n") + "\n", (
        "python -m mcpward.cli.pages > docs/commands.md"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_on_the_page(name):
    section = PAGE.read_text(encoding="utf-8").partition(f"## {name}\n")[2].partition("\n## ")[0]
    assert section
    for option in COMMANDS[name].params:
        for word in option.opts if option.param_type_name == "option" else [option.metavar.strip("[]")]:
            assert f"`{word}`" in section, word
        assert option.help in section
