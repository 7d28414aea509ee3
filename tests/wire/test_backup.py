"""A backup of a site that serves, and the same site on another machine."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.stops import worker_of
from support.ward import text_of
from support.wire import site, until

pytestmark = pytest.mark.timeout(240)  # each starts several processes


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with site(tmp_path_factory.mktemp("here")) as ward:
        yield ward


@pytest.fixture(scope="module")
def made(here):
    """A backup that was made while callers came."""
    is_over = False

    def load() -> int:
        done = 0
        while not is_over:
            done += here.call("echo", {"text": "a"}).status_code == 200
        return done

    with ThreadPoolExecutor(2) as crowd:
        callers = [crowd.submit(load) for _ in range(2)]
        try:
            until(lambda: here.records("--tool", "echo"), 60.0)
            said = here.cli("backup", "live.backup", "--json")
        finally:
            is_over = True
        assert all(caller.result() for caller in callers)
    assert here.key not in said.stdout + said.stderr
    return json.loads(said.stdout)


def test_a_backup_of_a_site_under_load_serves_elsewhere_once_it_is_accepted(here, made, tmp_path):
    assert made["rows"]["records"] > 0
    with site(tmp_path, start=False) as there:
        (there.folder / ".mcpward").mkdir(mode=0o700)
        shutil.copy2(here.folder / ".mcpward" / "master.key", there.folder / ".mcpward")
        there.cli("restore", str(here.folder / "live.backup"))
        assert there.launch().wait(60) == 2
        there.process = None
        assert "the store was restored from a backup" in there.log()
        there.cli("store", "accept-older", "--yes")
        there.key = here.key
        there.start()
        assert text_of(there.call("echo", {"text": "c"})) == "c"
        there.cli("log", "verify")


def test_nothing_is_restored_under_a_site_that_serves(here, made):
    refused = here.cli("restore", "live.backup", "--replace", check=False)
    assert refused.returncode == 1
    assert f"process {worker_of(here)} has the database" in refused.stderr
    assert text_of(here.call("echo", {"text": "b"})) == "b"
