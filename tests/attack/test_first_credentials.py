"""The first key and the secret URL reach a person, and no log (attack 135).

Sources: CWE-532 (secrets in log files), CWE-59 (a link in the place of a file); OWASP Logging Cheat Sheet.
"""

import os
import pty
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.ports import free_port
from support.ward import Ward, environment
from support.wire import KEY, SECRET_URL, first_credentials, site, write_site

BOTH = {"servers.hidden.mode": "unlisted"}


def files(ward: Ward) -> list[str]:
    return sorted(file.name for file in (ward.folder / ".mcpward").glob("first-*"))


def restarted(ward: Ward, servers: tuple[str, ...], settings: Mapping[str, object] | None = None) -> str:
    """Start again with other servers; returns what this start said."""
    ward.stop()
    write_site(ward, settings or {}, servers)
    seen = len(ward.log())
    ward.start()
    return ward.log()[seen:]


def test_attack_135_neither_stands_in_what_a_service_s_log_keeps(tmp_path: Path):
    with site(tmp_path, BOTH, servers=("bench", "hidden")) as ward:
        assert files(ward) == ["first-key-bench", "first-url-hidden"]
        key, url = first_credentials(ward).split()
        assert ward.call("echo", {"text": "a"}, path="/bench/mcp", key=key).status_code == 200
        assert ward.call("echo", {"text": "a"}, path=url.removeprefix(ward.base), key="").status_code == 200
        for secret in (key, url.rpartition("/")[2]):
            assert secret[-40:] not in ward.log()
        assert not KEY.search(ward.log())
        assert not SECRET_URL.search(ward.log())
        for name in files(ward):
            assert f".mcpward/{name}\n" in ward.log()
            assert stat.S_IMODE((tmp_path / ".mcpward" / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", ["api-key", "unlisted"])
def test_a_terminal_is_shown_it_and_no_file_is_made(tmp_path: Path, mode: str):
    ward = Ward(tmp_path, free_port(), free_port())
    write_site(ward, {"servers.bench.mode": mode})
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mcpward", "serve"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=theirs, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        try:
            os.close(theirs)
            shown = os.read(ours, 4096).decode().strip()
        finally:
            process.terminate()
            process.wait(40)
            os.close(ours)
    assert re.fullmatch((KEY if mode == "api-key" else SECRET_URL).pattern, shown)
    assert files(ward) == []


def test_attack_135_a_link_in_its_place_leads_nowhere(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    (tmp_path / "site" / ".mcpward").mkdir(mode=0o700, parents=True)
    (tmp_path / "site" / ".mcpward" / "first-key-bench").symlink_to(elsewhere)
    with site(tmp_path / "site") as ward:
        file = ward.folder / ".mcpward" / "first-key-bench"
        assert elsewhere.read_text() == "untouched"
        assert not file.is_symlink()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert ward.key == file.read_text().strip()


def test_attack_135_a_site_that_has_keys_makes_no_other_for_a_new_or_a_renamed_server(tmp_path: Path):
    with site(tmp_path) as ward:
        first = ward.key
        (tmp_path / ".mcpward" / "first-key-bench").unlink()
        said = restarted(ward, ("bench", "other"))
        assert "other has no key: create one with mcpward key create --server other --name NAME" in said
        said = restarted(ward, ("renamed",))
        assert "renamed has no key: create one with mcpward key create --server renamed --name NAME" in said
        ward.cli("key", "revoke", first.removeprefix("sk-mcpward-")[:12])
        said = restarted(ward, ("bench",))  # no key is left that lives
        assert "bench has no key" in said
        assert files(ward) == []
        assert ward.call("echo", {"text": "a"}, key=first).status_code == 401
        made = ward.create_key("bench")
        assert ward.call("echo", {"text": "a"}, key=made).status_code == 200


def test_attack_135_a_site_that_has_a_secret_url_makes_no_other_by_itself(tmp_path: Path):
    with site(tmp_path, BOTH, servers=("hidden",)) as ward:
        said = restarted(ward, ("renamed",), {"servers.renamed.mode": "unlisted"})
        assert "renamed has no secret URL: create one with mcpward url rotate --server renamed" in said
        assert files(ward) == ["first-url-hidden"]


def test_a_file_that_was_left_is_told_of_and_goes_when_its_credential_has_ended(tmp_path: Path):
    with site(tmp_path, BOTH, servers=("bench", "hidden")) as ward:
        said = restarted(ward, ("bench", "hidden"), BOTH)
        assert re.search(r"first key of bench is still in \S*/first-key-bench: delete the file", said)
        assert re.search(r"first secret URL of hidden is still in \S*/first-url-hidden: delete the file", said)
        ward.cli("key", "rotate", ward.key.removeprefix("sk-mcpward-")[:12], "--grace", "0")
        ward.cli("url", "rotate", "--server", "hidden", "--grace", "0")
        said = restarted(ward, ("bench", "hidden"), BOTH)
        assert re.search(r"first key of bench has ended: \S*/first-key-bench is deleted", said)
        assert re.search(r"first secret URL of hidden has ended: \S*/first-url-hidden is deleted", said)
        assert files(ward) == []
