"""The pytest plug-in, in a pytest of its own: an author's project needs no other one for ``async def`` tests."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mcpward import Server

TOOLS = """
from mcpward import Server
server = Server("own")

@server.tool(read_only=True, budgets=["stripe"])
def pay() -> str:
    "Pay."
    return "paid"
"""
CONFIG = '[budgets.stripe]\nquota = "1/day"\n[servers.own]\nsource = "tools.py"\n'
TESTS = """
import sys
import pytest

async def test_paid_once(mcpward_client):
    async with mcpward_client() as own:
        assert (await own.call("pay")).value == "paid"
        assert (await own.call("pay")).reason == "rate-exceeded"

async def test_changed(mcpward_client, tmp_path):
    async with mcpward_client(settings={"budgets.stripe.quota": "2/day"}) as own:
        assert [(await own.call("pay")).reason for _ in range(2)] == [None, None]

async def test_that_fails(mcpward_client):
    async with mcpward_client() as own:
        await own.call("pay")
        assert (await own.call("pay")).value == "paid"
"""


def run(folder: Path, *words: str) -> str:
    """Return what pytest says in a folder, without the plug-ins of this test run."""
    env = os.environ | {"PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:anyio", *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=140, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path):
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "mcpward.toml").write_text(CONFIG)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_own.py").write_text(TESTS)
    options = '[tool.pytest.ini_options]\nmcpward_server = "tools.py"\nmcpward_config = "mcpward.toml"\n'
    (tmp_path / "pyproject.toml").write_text(options)
    return tmp_path


@pytest.mark.timeout(150)  # each imports all of mcpward in a new process
@pytest.mark.parametrize("others", [("-p", "no:asyncio"), ("-o", "asyncio_mode=strict")])
def test_async_tests_run_with_and_without_another_plug_in(project, others):
    said = run(project / "tests", *others)
    assert "2 passed" in said
    assert "1 failed" in said
    assert "Refused: call pay: rate-exceeded: too many calls: wait before the next one" in said


def test_a_project_that_names_no_server_is_told_what_to_write(project):
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    said = run(project, "-p", "no:asyncio")
    assert 'which server? write mcpward_server = "tools.py" below [tool.pytest.ini_options]' in said


def test_a_run_that_does_not_use_it_loads_nothing_of_the_house(project):
    (project / "tests" / "test_own.py").write_text(
        "import sys\ndef test_light():\n    assert not [m for m in sys.modules if m.startswith('mcpward.app')]\n"
    )
    assert "1 passed" in run(project, "-p", "no:asyncio")


async def test_the_fixture_opens_a_server_that_is_given(mcpward_client):
    server = Server("given")

    @server.tool(read_only=True)
    def look() -> str:
        """Look."""
        return "seen"

    async with mcpward_client(server) as given:
        assert (await given.call("look")).value == "seen"


def test_the_package_announces_the_plug_in(root):
    told = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert told == {"mcpward": "mcpward.testing.plugin"}
