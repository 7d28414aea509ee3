import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mcpward.cli.main import app

ROOT = typer.main.get_command(app)
SOURCE = str(Path(__file__).parents[3] / "src")


def every_command(command, path=()):
    for name, one in sorted(getattr(command, "commands", {}).items()):
        if hasattr(one, "commands"):
            yield from every_command(one, (*path, name))
        else:
            yield (*path, name), one


COMMANDS = list(every_command(ROOT))


@pytest.mark.parametrize("path,command", COMMANDS, ids=lambda one: " ".join(one) if isinstance(one, tuple) else "")
def test_every_command_has_help_with_examples_and_every_option_a_meaning(cli, path, command):
    said = cli(*path, "--help")
    assert said.code == 0
    assert f"examples:\n    mcpward {path[0]}" in said.out or f"mcpward {' '.join(path)}" in said.out
    assert "\b" not in said.out
    assert all(getattr(option, "help", "x") for option in command.params)


@pytest.mark.parametrize("path,command", COMMANDS, ids=lambda one: " ".join(one) if isinstance(one, tuple) else "")
def test_json_is_taken_everywhere(path, command):
    assert "--json" in {name for option in command.params for name in option.opts}


@pytest.mark.parametrize(
    "arguments", [("kye",), ("serve", "--prot", "1"), ("key", "create"), ("log", "--lines", "no"), ("key", "show")]
)
def test_wrong_usage_is_told_in_the_voice(cli, arguments):
    said = cli(*arguments)
    assert (said.code, said.out) == (2, "")
    first, second = said.err.splitlines()
    assert first.startswith("error: ")
    assert second.startswith("hint: mcpward ")


def test_help_and_version(cli):
    assert cli("--help").code == 0
    assert cli("--version").out == "mcpward 0.1.0\n"
    assert cli().code == 2


def process(*arguments, cwd, **more):
    env = {"PYTHONPATH": SOURCE, "PATH": "/usr/bin:/bin", "HOME": str(cwd)}
    return subprocess.run(
        [sys.executable, "-m", "mcpward", *arguments], cwd=cwd, env=env, timeout=50, check=False, **more
    )


def test_the_process_leaves_with_the_code(tmp_path):
    done = process("config", "explain", "nothing", cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: there is no setting 'nothing'\nhint: ")


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    command = f"{sys.executable} -m mcpward config explain --markdown | head -n 1"
    env = {"PYTHONPATH": SOURCE, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "# Configuration\n"
    assert done.stderr == ""


def test_a_terminal_without_utf8_ends_nothing(tmp_path):
    env = {
        "PYTHONPATH": SOURCE,
        "PATH": "/usr/bin:/bin",
        "PYTHONIOENCODING": "ascii",
        "MCPWARD_SERVERS__A__SOURCE": "→.py",
    }
    done = subprocess.run(
        [sys.executable, "-m", "mcpward", "config", "show"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        timeout=50,
        check=True,
    )
    assert b"\\u2192.py" in done.stdout


def test_an_argument_that_is_no_text_is_told(cli, site):
    said = cli("key", "show", "\udcff")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: an argument is not text")
