"""docs/install.md: its commands install this tree, as a release would be, and what they install works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.sources import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run: shows \"(.*?)\" -->\n```bash\n(.*?)```", PAGE, re.DOTALL)
BIN = str(Path(sys.executable).parent)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Both installers take this tree for mcpward, and the registry's packages for all else."""
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(words, check=True, timeout=120)
    (wheel,) = folder.glob("mcpward-*.whl")
    constraint = folder / "constraint.txt"
    constraint.write_text(f"mcpward @ {wheel.as_uri()}\n")
    alien = ("MCPWARD_", "PYTEST_", "VIRTUAL_ENV")
    own = {name: value for name, value in os.environ.items() if not name.startswith(alien)}
    return own | {
        "PIP_CONSTRAINT": str(constraint),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COMPILE": "1",
        "UV_CONSTRAINT": str(constraint),
        "UV_OVERRIDE": str(constraint),
        "UV_TOOL_DIR": str(folder / "tools"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "PATH": f"{folder / 'bin'}:{folder / 'path'}:{os.environ['PATH']}",
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
    }


@pytest.fixture(scope="module")
def path(environment):
    """uv and uvx, and nothing else of the tests' environment: what is on the path must have been installed."""
    folder = Path(environment["PATH"].split(":")[1])
    folder.mkdir()
    for name in ("uv", "uvx"):
        (folder / name).symlink_to(Path(BIN) / name)


@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.parametrize("shows,code", BLOCKS, ids=["pip", "uv tool", "uvx"])
def test_what_the_page_says_installs_it_and_makes_a_project(tmp_path, environment, path, shows, code):
    script = f"exec 2>&1\n{code}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=260, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert shows in done.stdout
    (project,) = [file.parent for file in tmp_path.glob("*/mcpward.toml")]
    assert {file.name for file in project.iterdir()} >= {"tools.py", "mcpward.toml", "test_tools.py"}
