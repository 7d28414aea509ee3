import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mcpward.config.load import load


@pytest.mark.timeout(150)  # pip and pytest, each in a new process
def test_a_new_project_is_right_and_passes_its_own_test(cli, folder):
    said = cli("init", "hello")
    assert (said.code, said.out) == (0, "")
    project = folder / "hello"
    assert sorted(path.name for path in project.iterdir()) == [
        ".gitignore",
        "README.md",
        "mcpward.toml",
        "test_tools.py",
        "tools.py",
    ]
    assert list(load(project / "mcpward.toml", {}).servers) == ["hello"]
    assert ".mcpward/" in (project / ".gitignore").read_text()
    first, second = re.findall(r"```bash\n(.*?)```", (project / "README.md").read_text(), re.DOTALL)[0].splitlines()
    assert (first, second) == ("python -m pip install mcpward pytest", "python -m pytest")
    folder_of_python = Path(sys.executable).parent  # both are installed there: nothing is fetched
    env = os.environ | {
        "PATH": f"{folder_of_python}:{os.environ['PATH']}", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTEST_ADDOPTS": "-q -p no:cacheprovider -p no:asyncio -p no:anyio",  # mcpward's own plug-in is enough
    }  # fmt: skip
    for command in (first, second):
        done = subprocess.run(
            ["bash", "-c", command], cwd=project, env=env, capture_output=True, text=True, timeout=140, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_an_existing_file_is_never_touched(cli, folder):
    (folder / "tools.py").write_text("mine")
    said = cli("init", ".")
    assert said.code == 2
    assert "the folder already has tools.py" in said.err
    assert [path.name for path in folder.iterdir()] == ["tools.py"]


def test_a_folder_whose_name_is_taken_gets_another_server_name(cli, folder):
    cli("init", "mcp")
    assert list(load(folder / "mcp" / "mcpward.toml", {}).servers) == ["mcp-server"]
    assert cli("init", "Any Näme!", "--json").json["server"] == "any-n-me"


def test_a_folder_that_cannot_be_made_is_unreachable(cli, folder):
    (folder / "file").write_text("")
    said = cli("init", "file/x")
    assert said.code == 3
