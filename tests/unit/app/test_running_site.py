"""The files by which a running site is found, in a folder that others may have prepared."""

import stat
from pathlib import Path

import pytest

from mcpward.app.metric_snapshots import clear
from mcpward.app.running_site import ReloadReport, SiteFiles, held
from mcpward.core.errors import Misconfigured


def test_nothing_is_opened_in_a_folder_that_others_may_change(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    data = tmp_path / "data"
    data.mkdir()
    (data / ".reload.json.new").symlink_to(precious)
    data.chmod(0o777)
    with pytest.raises(Misconfigured, match="other users may change"), held(data):
        pass
    assert precious.read_text() == "precious"
    assert sorted(path.name for path in data.iterdir()) == [".reload.json.new"]


def test_a_report_is_not_written_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / ".reload.json.new").symlink_to(precious)
    SiteFiles(tmp_path, 1).write_report(ReloadReport(number=1))
    assert precious.read_text() == "precious"


def test_only_snapshots_are_forgotten_and_none_behind_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.json").write_text("precious")
    folder = tmp_path / "metrics"
    folder.symlink_to(elsewhere)
    clear(folder)
    assert (elsewhere / "a.json").read_text() == "precious"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "1-abc.json").write_text("{}")
    (folder / "notes.txt").write_text("precious")
    clear(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
