"""No other user may read or change the stored data, whatever the umask, a backup or a copy left behind."""

import os
import stat
from pathlib import Path

import pytest

from mcpward.config.load import load
from mcpward.core.errors import Misconfigured
from mcpward.operations.site import open_site
from support.clock import ManualClock
from support.records import keep
from support.store import open_store

CLOCK = ManualClock()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def opened(path: Path) -> None:
    store = await open_store(f"sqlite:///{path}", CLOCK)
    await store.close()


async def test_a_database_that_others_may_read_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "mcpward.db"
    first = await open_store(f"sqlite:///{path}", CLOCK)
    await keep(first.traffic, {"id": "r", "at": 1.0, "phase": "done"})
    files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
    for file in files:
        file.chmod(0o664)
    second = await open_store(f"sqlite:///{path}", CLOCK)
    assert [mode(file) for file in files] == [0o600] * 3
    await second.close()
    await first.close()


async def test_a_link_to_a_database_that_others_may_read_is_refused(tmp_path: Path) -> None:
    await opened(tmp_path / "real.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    await opened(tmp_path / "link.db")
    (tmp_path / "real.db").chmod(0o644)
    with pytest.raises(Misconfigured) as refused:
        await opened(tmp_path / "link.db")
    (finding,) = refused.value.findings
    assert "chmod 600" in finding.hint
    assert mode(tmp_path / "real.db") == 0o644


async def test_a_database_of_another_program_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("precious" * 100)
    path.chmod(0o644)
    with pytest.raises(Misconfigured):
        await opened(path)
    assert mode(path) == 0o644


@pytest.mark.parametrize("open_to", [0o770, 0o702, 0o777, 0o1777])
async def test_a_data_folder_that_others_may_write_is_refused(tmp_path: Path, monkeypatch, open_to: int) -> None:
    monkeypatch.setenv("MCPWARD_MASTER_KEY", "A" * 43)
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(open_to)
    settings = load(None, {}, {"site.data": str(data)})
    with pytest.raises(Misconfigured) as refused:
        async with open_site(settings, CLOCK):
            pass
    assert [one.hint for one in refused.value.findings] == [f"chmod 700 {data}"]
    assert list(data.iterdir()) == []
    data.chmod(0o755)
    async with open_site(settings, CLOCK):
        pass


async def test_a_data_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4242)
    settings = load(None, {}, {"site.data": str(tmp_path)})
    if os.getuid() == 0:
        os.chown(tmp_path, 4243, -1)
    with pytest.raises(Misconfigured, match="the data folder belongs to another user"):
        async with open_site(settings, CLOCK):
            pass
