"""docs/audit.md answers an auditor's questions: its commands run, in their order, on a site that was used."""

import io
import json
import os
import re
import subprocess

import pytest

from mcpward.cli.main import run
from support.sources import ROOT
from support.ward import Ward
from support.wire import acts, rows, site, until

PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
BLOCK = re.compile(r'<!-- run: shows "([^"]+)" -->\n```bash\n(.*?)\n```', re.DOTALL)
TOOLS = '''
from mcpward import Server
server = Server("orders")

@server.tool(read_only=True)
def find_order(order_id: int) -> str:
    """Find an order."""
    return "paid"

@server.tool(destructive=True)
def cancel_order(order_id: int) -> str:
    """Cancel an order."""
    return "cancelled"
'''
SETTINGS = {"servers.orders.mode": "api-key", "servers.notes.mode": "public"}


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """A site after a day: a key made, used, changed and revoked, another one never used, and a setting changed."""
    folder = tmp_path_factory.mktemp("audit")
    with site(folder, SETTINGS, servers=("orders", "notes"), start=False) as ward:
        (folder / "bench.py").write_text(TOOLS)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            for name in [name for name in os.environ if name.startswith("MCPWARD_")]:
                patch.delenv(name)
            keys = [say("key", "create", "--server", "orders", "--name", name, *more).strip() for name, *more in MADE]
            reader, writer, _ = (key[11:23] for key in keys)
            say("key", "set", writer, "--may-confirm")
            ward.start()
            use(ward, keys[1])
            say("key", "revoke", writer)
            until(lambda: ward.call("find_order", {"order_id": 1}, key=keys[1], path="/orders/mcp").status_code == 401)
            until(lambda: rows(ward, "reason = 'credential-invalid'"))
            ward.stop()
            start_with_another_limit(ward)
            yield ward, {"READER": reader, "WRITER": writer}


MADE = (
    ("reader", "--class", "read"),
    ("cleaner", "--class", "destructive", "--expires", "90d"),
    ("keeper", "--class", "destructive", "--expires", "30d"),
)


def use(ward: Ward, key: str) -> None:
    until(lambda: ward.call("cancel_order", {"order_id": 1}, key=key, path="/orders/mcp").status_code == 200)
    until(lambda: rows(ward, "tool = 'cancel_order' AND phase = 'done'"))


def start_with_another_limit(ward: Ward) -> None:
    file = ward.folder / "mcpward.toml"
    file.write_text(file.read_text().replace('orders.limits.read = "100000/minute"', 'orders.limits.read = "7/minute"'))
    with (ward.folder / "bench.py").open("a") as tools:
        tools.write("\n# another version\n")
    ward.start()
    ward.stop()


def test_a_start_is_on_record_with_what_differs_from_the_one_before(used):
    ward, _ = used
    first, second = acts(ward, "serve")
    assert first["detail"].endswith("the first on record")
    limit = "servers.orders.limits.read: 100000/minute → 7/minute"
    edited = "; the tools of orders were edited; the tools of notes were edited"
    assert second["detail"].endswith(f"{limit}{edited}")
    told = json.loads(second["arguments"])
    assert told["before"]["changed"] == {"servers.orders.limits.read": ["100000/minute", "7/minute"]}
    assert told["after"]["digest"] != told["before"]["digest"]
    assert told["after"]["settings"]["servers.orders.limits.read"] == "7/minute"
    assert second["principal"] == first["principal"]
    assert second["way"] == "operator"


def say(*words: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        code = run(words)
    assert code == 0, f"mcpward {' '.join(words)} gave {code}: {err.getvalue()}"
    return out.getvalue()


def shown(block: str, given: dict[str, str]) -> str:
    """Run one line: its first command here, what comes after it in a shell."""
    head = re.match(r"[^|&>]*", block)
    assert head is not None
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {head[0]}"], env=os.environ | given, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert words[0] == "mcpward"
    out, rest = say(*words[1:]), block[head.end() :].strip()
    if not rest:
        return out
    shell = f"cat {rest}" if rest.startswith(("|", ">")) else f"true {rest}"
    return subprocess.run(["sh", "-ec", shell], input=out, capture_output=True, text=True, check=True).stdout


def test_every_command_of_the_page_runs_and_shows_what_the_page_says(used):
    _, given = used
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) == PAGE.count("```bash") > 10
    for expected, block in blocks:
        assert expected in re.sub(r"  +", "  ", shown(block, given)), block
