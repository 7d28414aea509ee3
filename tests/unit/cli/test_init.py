import os
import subprocess
import sys
from pathlib import Path

from mcpward.config.load import load

SOURCE = str(Path(__file__).parents[3] / "src")


def test_a_new_project_is_right_and_passes_its_own_test(cli, folder):
    said = cli("init", "hello")
    assert (said.code, said.out) == (0, "")
    project = folder / "hello"
    assert sorted(path.name for path in project.iterdir()) == [
        ".gitignore",
        "mcpward.toml",
        "test_tools.py",
        "tools.py",
    ]
    assert list(load(project / "mcpward.toml", {}).servers) == ["hello"]
    assert ".mcpward/" in (project / ".gitignore").read_text()
    env = os.environ | {"PYTHONPATH": SOURCE}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_an_existing_file_is_never_touched(cli, folder):
    (folder / "tools.py").write_text("mine")
    said = cli("init", ".")
    assert said.code == 2
    assert "there is already: tools.py" in said.err
    assert [path.name for path in folder.iterdir()] == ["tools.py"]


def test_a_folder_whose_name_is_taken_gets_another_server_name(cli, folder):
    cli("init", "mcp")
    assert list(load(folder / "mcp" / "mcpward.toml", {}).servers) == ["mcp-server"]
    assert cli("init", "Any Näme!", "--json").json["server"] == "any-n-me"


def test_a_folder_that_cannot_be_made_is_unreachable(cli, folder):
    (folder / "file").write_text("")
    said = cli("init", "file/x")
    assert said.code == 3
