"""A server gets another name while its site serves: who is let in before the restart, and after it."""

import pytest

from support.stops import worker_of
from support.wire import first_credentials, secret_in, site, until

pytestmark = pytest.mark.timeout(240)  # each starts several processes
SETTINGS = {"servers.hidden.mode": "unlisted"}


def opens(ward, path: str, key: str = "") -> bool:
    return ward.call("echo", {"text": "a"}, path=path, key=key).status_code == 200


def test_a_renamed_server_has_its_keys_urls_and_records(tmp_path):
    with site(tmp_path, SETTINGS, servers=("alpha", "hidden")) as ward:
        secret = secret_in(first_credentials(ward))
        assert opens(ward, "/alpha/mcp", ward.key)
        assert opens(ward, f"/hidden/mcp/{secret}")
        said = ward.cli("server", "rename", "alpha", "gamma").stderr
        assert f"process {worker_of(ward)} still serves it as alpha" in said
        until(lambda: not opens(ward, "/alpha/mcp", ward.key))
        ward.cli("server", "rename", "hidden", "veiled")
        until(lambda: not opens(ward, f"/hidden/mcp/{secret}"))
        assert ward.stop() == 0
        ward.start()
        assert opens(ward, "/gamma/mcp", ward.key)
        assert opens(ward, f"/veiled/mcp/{secret}")
        until(
            lambda: {row["server"] for row in ward.records("--server", "gamma", "--tool", "echo")} == {"alpha", "gamma"}
        )
        assert {row["server"] for row in ward.records("--server", "alpha", "--tool", "echo")} == {"alpha"}
        ward.cli("log", "verify")


def test_a_start_tells_what_is_for_a_server_that_is_not_there(tmp_path):
    with site(tmp_path, servers=("alpha",)) as ward:
        key_id = ward.key.removeprefix("sk-mcpward-")[:12]
        assert ward.stop() == 0
        file = ward.folder / "mcpward.toml"
        file.write_text(file.read_text().replace("servers.alpha.", "servers.omega."))
        ward.start()
        line = f"1 key ({key_id} (first key)) for alpha, and there is no such server: "
        assert f"{line}mcpward server rename alpha omega moves them" in ward.log()
        ward.cli("server", "rename", "alpha", "omega")
        until(lambda: opens(ward, "/omega/mcp", ward.key))
