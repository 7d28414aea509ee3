"""What ``--reload`` looks at: the files that a server is made of, and no folder of thousands of others."""

import os

from mcpward.app.watched_files import changed, roots_of, stamps_of
from mcpward.config.load import load


def site(folder, source):
    (folder / "mcpward.toml").write_text(f'[servers.a]\nsource = "{source}"\n')
    return load(folder / "mcpward.toml", {})


def test_a_file_that_is_written_made_or_removed_is_a_change(tmp_path):
    for name in ("tools.py", "gone.py", "notes.bin"):
        (tmp_path / name).write_text("1")
    before = stamps_of([tmp_path])
    (tmp_path / "tools.py").write_text("22")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "new.sql").write_text("SELECT 1")
    (tmp_path / "notes.bin").write_text("22")
    assert changed(before, stamps_of([tmp_path])) == [tmp_path / name for name in ("gone.py", "new.sql", "tools.py")]


def test_data_caches_and_environments_are_passed_over(tmp_path):
    for folder in (".mcpward", ".git", "__pycache__", "node_modules", "env", "part"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "some.py").write_text("1")
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert list(stamps_of([tmp_path])) == [tmp_path / "part" / "some.py"]


def test_a_large_tree_is_looked_at_from_its_top_and_not_to_its_end(tmp_path):
    deep = tmp_path
    for number in range(900):
        (tmp_path / f"d{number}").mkdir()
    (deep / "d0" / "deep").mkdir()
    (deep / "d0" / "deep" / "far.py").touch()
    (tmp_path / "tools.py").touch()
    assert list(stamps_of([tmp_path])) == [tmp_path / "tools.py"]


def test_the_roots_are_the_site_s_file_and_where_the_sources_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mcpward.toml").touch()
    (tmp_path / "here").mkdir()
    toml = tmp_path / "mcpward.toml"
    assert roots_of(site(tmp_path, "here/tools.py:server"), toml) == [tmp_path / "here", toml]
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    (tmp_path / "alone.py").touch()
    assert roots_of(site(tmp_path, "pkg.part:server"), toml) == [toml, tmp_path / "pkg"]
    assert roots_of(site(tmp_path, "alone"), toml) == [tmp_path / "alone.py", toml]
    assert roots_of(site(tmp_path, "nowhere.at.all"), toml) == [toml]
    assert os.listdir(tmp_path / "here") == []  # noqa: PTH208
