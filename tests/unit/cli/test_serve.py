import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from mcpward.identity.keys.api_key import parse

SOURCE = str(Path(__file__).parents[3] / "src")
TOOLS = """
from mcpward import Server

server = Server("notes")


@server.tool(read_only=True)
def ping() -> str:
    "Pong."
    return "pong"
"""


class Served:
    """``mcpward serve`` in a process of its own, with all that it said until it was ready and after."""

    def __init__(self, folder, *arguments, **env):
        command = [sys.executable, "-m", "mcpward", "serve", *arguments]
        # Nothing of the caller's environment but what Python needs.
        given = {"PYTHONPATH": SOURCE, "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUNBUFFERED": "1"}
        given |= {"MCPWARD_SITE__SHUTDOWN_DELAY_S": "0"} | env
        self.process = subprocess.Popen(
            command, cwd=folder, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ended(self):
        with self.process:
            out, err = self.process.communicate(timeout=40)
        return self.process.returncode, out, err

    def stopped_when_ready(self, stream="stderr"):
        """Wait until it answers, then stop it as a service manager would."""
        with self.process:
            said: list[Any] = []
            while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", "".join(said))):
                said.append(getattr(self.process, stream).readline())
                assert said[-1], "".join(said)
            with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/healthz", timeout=30) as answer:
                status = answer.status
            self.process.send_signal(signal.SIGTERM)
            # Not communicate(): it would miss what readline has taken from the pipe already. Both texts are short.
            assert self.process.stdout is not None
            assert self.process.stderr is not None
            out, err = self.process.stdout.read(), self.process.stderr.read()
            self.process.wait(timeout=40)
        first = "".join(said)
        return (
            self.process.returncode,
            out if stream == "stderr" else first + out,
            first * (stream == "stderr") + err,
            status,
        )


@pytest.fixture
def project(tmp_path):
    (tmp_path / "tools.py").write_text(TOOLS)
    return tmp_path


def keys_of(folder):
    command = [sys.executable, "-m", "mcpward", "key", "list", "--json"]
    env = {"PYTHONPATH": SOURCE, "PATH": os.environ["PATH"], "HOME": str(folder)}
    return json.loads(subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True).stdout)


def test_the_first_start_hands_over_a_key_once(project):
    code, out, err, status = Served(project, "tools.py", "--port", "0", "--metrics", "").stopped_when_ready()
    assert (code, status) == (0, 200)
    assert out.endswith(".mcpward/first-key-notes\n")
    key = (project / out.strip()).read_text().strip()
    assert parse(key)
    assert key not in err
    assert re.search(r"^ +notes +http://127\.0\.0\.1:\d+/notes/mcp +api-key$", err, re.MULTILINE)
    assert re.search(r"^ +http://127\.0\.0\.1:\d+/mcp +the same server$", err, re.MULTILINE)
    assert "read it, then delete it" in err
    assert [(key["class"], key["scopes"]) for key in keys_of(project)] == [("write", ["*"])]
    code, out, err, status = Served(project, "tools.py", "--port", "0", "--metrics", "").stopped_when_ready()
    assert (code, out, status) == (0, "", 200)
    assert re.search(r"the first key of notes is still in \S*\.mcpward/first-key-notes: delete the file", err)


def test_the_first_start_hands_over_a_secret_url_once(project):
    arguments = ("tools.py", "--mode", "unlisted", "--port", "0", "--metrics", "", "--name", "mine")
    code, out, err, _ = Served(project, *arguments).stopped_when_ready()
    assert code == 0
    assert out.endswith(".mcpward/first-url-mine\n")
    url = (project / out.strip()).read_text()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/mine/mcp/[0-9A-Za-z]{48}\n", url)
    assert url.strip().rpartition("/")[2] not in err
    assert re.findall(r"\d(/\S+/\*\*\*)", err) == ["/mine/mcp/***", "/mcp/***"]
    _, out, err, _ = Served(project, *arguments).stopped_when_ready()
    assert out == ""
    assert re.search(r"the first secret URL of mine is still in \S*\.mcpward/first-url-mine: delete", err)


def test_several_workers_tell_that_each_counts_by_itself(project):
    arguments = ("tools.py", "--port", "0", "--metrics", "")
    _, _, err, _ = Served(project, *arguments, "--workers", "2").stopped_when_ready()
    assert "each of the 2 workers counts limits separately" in err
    _, _, err, _ = Served(project, *arguments).stopped_when_ready()
    assert "counts limits" not in err


def test_a_public_server_hands_over_nothing(project):
    code, out, _, status = Served(
        project, "tools.py", "--mode", "public", "--port", "0", "--metrics", ""
    ).stopped_when_ready()
    assert (code, out, status) == (0, "", 200)


def test_a_program_gets_all_of_it_as_one_line_of_json(project):
    (project / "mcpward.toml").write_text(
        '[site]\nlisten = "127.0.0.1:0"\nmetrics_listen = "127.0.0.1:0"\n[servers.a]\nsource = "tools.py"\n'
        '[servers.b]\nsource = "tools.py"\nmode = "unlisted"\n'
    )
    code, out, err, _ = Served(project, "--json").stopped_when_ready("stdout")
    assert (code, err) == (0, "")
    told = json.loads(out)
    a, b = told["servers"]
    assert "key" not in a
    assert a["key_file"].endswith(".mcpward/first-key-a")
    assert parse((project / a["key_file"]).read_text().strip())
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/a/mcp", a["url"])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/b/mcp/\*\*\*", b["url"])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/b/mcp/[0-9A-Za-z]{48}\n", (project / b["url_file"]).read_text())
    assert told["metrics"].endswith("/metrics")


@pytest.mark.parametrize(
    "arguments,told",
    [
        (("tools.py", "--host", "0.0.0.0", "--public-url", "https://x.example"), "behind_tls_proxy = true"),
        (
            ("tools.py", "--host", "0.0.0.0", "--public-url", "https://x.example", "--mode", "public"),
            "allow_unauthenticated = true",
        ),
        (("tools.py", "--behind-tls-proxy"), "trusted_proxies"),
        (("tools.py", "--behind-tls-proxy", "--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "x"), "10.0.0.0/8 or"),
        (("tools.py", "--metrics", "0.0.0.0:0"), "allow_open_metrics = true"),
        (("tools.py", "--mode", "oauth"), "needs exactly one of metadata and issuers"),
        (("tools.py", "--tls-cert", "no.pem"), "tls_key is missing"),
        (("nothing.py",), "nothing.py"),
        ((), "there is nothing to serve"),
        (("--mode", "public"), "--mode needs a single server"),
        (("tools.py", "--name", "Not A Name"), "a server's name"),
    ],
)
def test_what_must_not_start_does_not(project, arguments, told):
    code, out, err = Served(project, *arguments).ended()
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err
    assert not (project / ".mcpward").exists()


def test_a_taken_address_is_unreachable_and_spends_no_key(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, out, err = Served(project, "tools.py", "--port", port, "--metrics", "").ended()
    assert (code, out) == (3, "")
    assert "cannot be bound" in err
    assert not (project / ".mcpward").exists()


def test_a_target_is_served_alone_with_what_the_file_says_of_it(project):
    (project / "mcpward.toml").write_text(
        '[site]\nlisten = "127.0.0.1:0"\nmetrics_listen = ""\n[servers.notes]\nsource = "tools.py"\nmode = "public"\n'
        '[servers.other]\nsource = "missing.py"\n'
    )
    code, out, err, _ = Served(project, "notes").stopped_when_ready()
    assert (code, out) == (0, "")
    assert "/notes/mcp  public" in err  # where connect and url rotate say that it is
    assert "other" not in err


def written(project, *servers, site=""):
    tables = "".join(f'[servers.{name}]\nsource = "tools.py"\nmode = "public"\n' for name in servers)
    text = f'[site]\nlisten = "127.0.0.1:0"\nmetrics_listen = ""\n{site}{tables}'
    (project / "mcpward.toml").write_text(text)


def known_to_clients(project, *arguments):
    """Start once and return what the start says of clients of the one before."""
    code, _, err, _ = Served(project, *arguments).stopped_when_ready()
    assert code == 0
    return [re.sub(r":\d+/", ":PORT/", line) for line in err.splitlines() if "clients of the last start" in line]


def test_a_start_that_takes_a_url_away_says_so_once_with_the_line_that_keeps_it(project):
    written(project, "notes")
    assert known_to_clients(project) == []
    assert known_to_clients(project) == []
    written(project, "notes", "orders")
    (line,) = known_to_clients(project)
    assert line == (
        "clients of the last start find server notes at http://127.0.0.1:PORT/mcp, which is nobody's now: "
        'to keep it, write [site] default_server = "notes"'
    )
    assert known_to_clients(project) == []
    written(project, "notes", "orders", site='default_server = "notes"\n')
    assert known_to_clients(project) == []
    written(project, "notes", "orders", site='default_server = "orders"\n')
    (line,) = known_to_clients(project)
    assert "which is server orders now" in line
    assert line.endswith('default_server = "notes"')
    written(project, "notes", site='default_server = "notes"\n')
    (line,) = known_to_clients(project)
    assert "server orders, and there is no such server now" in line


def test_a_server_that_is_served_alone_takes_nothing_from_the_others(project):
    written(project, "notes", "orders")
    assert known_to_clients(project) == []
    assert known_to_clients(project, "notes") == []
    assert known_to_clients(project) == []
    written(project, "notes")
    known_to_clients(project)
    written(project, "notes", "orders")
    (line,) = known_to_clients(project, "notes")
    assert line.endswith('write [site] default_server = "notes"')
