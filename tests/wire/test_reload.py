"""``serve --reload``: each save is served anew; a version that cannot be loaded takes nothing away."""

import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx2
import pytest

from mcpward.cli.main import run
from support.ports import free_port
from support.ward import environment, modern_request
from support.wire import until

TOOLS = '''
from mcpward import Server

server = Server("notes")


@server.tool(read_only=True)
def version() -> str:
    """Say which version this is."""
    return "{version}"
'''
WAIT_S = 150.0
PUBLIC = ("--public-url", "https://mcp.example", "--allow-unauthenticated")
PROXY = ("--behind-tls-proxy", "--trusted-proxy", "10.0.0.0/8", *PUBLIC)


class Developed:
    """A folder with ``tools.py`` that is served with ``--reload``."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.file = folder / "tools.py"

    def write(self, version):
        self.file.write_text(TOOLS.format(version=version))

    @contextmanager
    def served(self):
        words = ["serve", "tools.py", "--reload", "--mode", "public", "--metrics", "", "--port", str(self.port)]
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "mcpward", *words], cwd=self.folder, env=environment(), stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0

    def log(self):
        return (self.folder / "log").read_text()

    def post(self, **headers):
        body, own = modern_request("tools/call", {"name": "version", "arguments": {}}, name="version")
        media = {"accept": "application/json, text/event-stream"}
        url = f"http://127.0.0.1:{self.port}/mcp"
        return httpx2.post(url, json=body, headers=own | media | headers, timeout=20, verify=False)

    def says(self, text):
        try:
            return text in self.post().text
        except httpx2.HTTPError:  # nothing listens yet
            return False


@pytest.fixture
def developed(tmp_path):
    return Developed(tmp_path)


@pytest.mark.timeout(600)
def test_a_save_is_served_anew_and_a_mistake_leaves_the_last_good_version(developed):
    developed.write("one")
    with developed.served():
        until(lambda: developed.says('"one"'), WAIT_S, 0.3)
        developed.write("two")
        until(lambda: developed.says('"two"'), WAIT_S, 0.3)
        developed.file.write_text("x = (\n")
        until(lambda: "not reloaded" in developed.log(), WAIT_S, 0.3)
        assert "tools.py:1" in developed.log()
        assert developed.says('"two"')
    assert developed.log().count("mcpward 0.1.0") == 1  # announced once


@pytest.mark.timeout(600)
def test_where_no_version_can_be_loaded_the_error_is_the_answer_and_the_next_save_mends_it(developed):
    developed.file.write_text("from mcpward import Server, Nothing\n")
    with developed.served():
        until(lambda: "nothing is served" in developed.log(), WAIT_S, 0.3)
        answer = developed.post()
        assert answer.status_code == 503
        assert "the server cannot be loaded" in answer.json()["error"]["message"]
        assert "tools.py:1" in answer.json()["error"]["message"]
        assert "hint: " in developed.log()
        assert "list the names of" not in answer.text  # hints are only for the developer
        rebound = developed.post(host=f"evil.example:{developed.port}")
        assert (rebound.status_code, rebound.json()["error"]["message"]) == (503, "this is another host")
        developed.write("three")
        until(lambda: developed.says('"three"'), WAIT_S, 0.3)


@pytest.mark.parametrize(
    "words, said",
    [
        (("--host", "0.0.0.0", *PROXY), "--reload serves only on loopback"),
        (PROXY, "--reload serves only this machine, and no proxy"),
        (("--workers", "2"), "--reload serves with one worker"),
    ],
)
def test_it_is_for_this_machine_alone_and_for_one_worker(developed, monkeypatch, capsys, words, said):
    developed.write("one")
    monkeypatch.chdir(developed.folder)
    assert run(["serve", "tools.py", "--reload", "--mode", "public", "--metrics", "", *words]) == 2
    assert said in capsys.readouterr().err
