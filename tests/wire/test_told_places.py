"""An error between the site's file and the tools names the line of the file, like every other error of it."""

import re
import subprocess
import sys

import pytest

from support.ward import environment, run

TOOLS = '''
from mcpward import Database, Server

server = Server("shop")


@server.tool(pools=["gpu"])
def find(word: str) -> str:
    """Find."""
    return word
'''
FILE = """[servers.shop]
source = "tools.py"

"""


@pytest.mark.parametrize(
    "table,line,said",
    [
        ('[pools.gpu]\nconcurrency = 2\n[servers.shop.tools.fnid]\nrate = "60/minute"\n', 6, "servers.shop.tools.fnid"),
        ("[pools.gpu]\nqueue_timeout_s = 1\n", 4, "which has no size"),
        ("[pools.gpu]\nconcurrency = 2\n[pools.cpu]\nconcurrency = 2\n", 6, "pools.cpu: no tool needs a slot in it"),
        ('[pools.gpu]\nconcurrency = 2\n[budgets.api]\nrate = "60/minute"\n', 6, "budgets.api: no tool draws on it"),
        ('[pools.gpu]\nconcurrency = 2\n[limits]\ncounters = "env:NOT_SET_X"\n', 7, "limits.counters: the variable"),
    ],
)
def test_a_table_that_fits_no_tool_is_told_with_its_line_by_the_check_and_by_the_start(tmp_path, table, line, said):
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "mcpward.toml").write_text(FILE + table)
    commands = [["serve", "--port", "0", "--metrics", ""], ["serve", "--port", "0", "--metrics", "", "--workers", "2"]]
    if "counters" not in table:  # a variable of the process that serves, and not of the one that checks
        commands.append(["config", "check", "--load"])
    for words in commands:
        ended = run(words, tmp_path, environment())
        assert ended.returncode == 2, ended.stderr
        assert re.search(rf"mcpward\.toml:{line}\b.*{re.escape(said)}", ended.stderr), ended.stderr


VERSIONED = {
    "__version__": ("shop.tools:server", {"shop/__init__.py": '__version__ = "3.1"\n'}, "3.1"),
    "installed": (
        "shop.tools:server",
        {"shop/__init__.py": "", "shop-2.4.dist-info/METADATA": "Metadata-Version: 2.1\nName: shop\nVersion: 2.4\n"},
        "2.4",
    ),
    "file": ("shop/tools.py", {}, ""),
}


@pytest.mark.parametrize("kind", VERSIONED)
def test_a_server_without_a_version_has_that_of_its_package(tmp_path, kind):
    source, files, version = VERSIONED[kind]
    for name, text in {"shop/tools.py": TOOLS.replace('pools=["gpu"]', ""), **files}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    script = f"from mcpward.tools.local import load_server\nprint(repr(load_server({source!r}).version))\n"
    (tmp_path / "show.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "show.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == repr(version)
