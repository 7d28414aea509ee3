"""A finding about a setting stands at the line, the variable or the flag that set it."""

import pytest

from mcpward.config.key_places import _SECTIONS, KeyPlaces, Origin
from mcpward.config.load import read
from mcpward.config.model import Settings
from mcpward.core.errors import Finding

FILE = """
[servers.shop]
source = "shop.tools"

[servers.shop.tools."a.b"]
rate = "60/minute"

[pools.gpu]
"""


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mcpward.toml").write_text(FILE)
    return read(tmp_path / "mcpward.toml", {"MCPWARD_LOG__LEVEL": "debug"}, {"site.listen": "127.0.0.1:9"}).settings


@pytest.mark.parametrize(
    "key,place",
    [
        ("servers.shop.tools.a.b", "mcpward.toml:5"),
        ("servers.shop.tools.a.b.rate", "mcpward.toml:6"),
        ("servers.shop.tools.other", "mcpward.toml:5"),
        ("servers.shop", "mcpward.toml:2"),
        ("pools.gpu", "mcpward.toml:8"),
        ("pools.gpu.concurrency", "mcpward.toml:8"),
        ("log.level", "MCPWARD_LOG__LEVEL"),
        ("site.listen", "--host and --port"),
    ],
)
def test_a_key_is_found_where_it_was_set(settings, tmp_path, key, place):
    assert settings.place(key).removeprefix(f"{tmp_path}/") == place


def test_what_stands_elsewhere_stays_there(settings):
    found = [Finding("x", where) for where in ("pools.py:3", "tools.py:7", "", "/etc/pools")]
    assert settings.placed(found) == found


def test_without_a_file_the_key_itself_is_told():
    assert Settings().place("pools.gpu") == "pools.gpu"


def test_every_table_of_the_file_is_known():
    assert frozenset(Settings.model_fields) == _SECTIONS
    assert KeyPlaces({("pools",): Origin("env", "X")}).of("pools.a") == "X"
