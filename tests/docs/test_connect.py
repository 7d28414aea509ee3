import re
from pathlib import Path

import pytest

from mcpward.cli.clients import CLIENTS, Place

PAGE = (Path(__file__).parents[2] / "docs" / "connect.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip().strip("`") for cell in line.strip("| ").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| `")
]


def test_every_client_and_scope_has_its_row_in_order():
    wanted = {(name, scope) for name, one in CLIENTS.items() for scope in one.files or ("-",)}
    assert {(name, scope) for name, scope, *_ in ROWS} == wanted
    firsts = {name: scope for name, scope, *_ in reversed(ROWS)}
    assert all((one.scope or "-") == firsts[name] for name, one in CLIENTS.items())


@pytest.mark.parametrize("row", [row for row in ROWS if CLIENTS[row[0]].files], ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_row_says_file_format_and_where_the_key_is(tmp_path, row):
    name, scope, file, kind, key = row
    client = CLIENTS[name]
    place = Place(platform="linux", home=tmp_path / "h", here=tmp_path / "p", env={})
    shown = file.split("`")[0].replace("~", str(tmp_path / "h"))
    assert str(client.file(place, scope)).endswith(shown)
    assert client.format.upper() == kind
    assert ("in the file" in key) is (scope == "user" and not client.asks and not client.is_toml)
    named = client.reference.replace("{}", "NAME")
    if named:
        assert named in key
    assert not re.search(r"\$|env", key.replace("`env` of mcp-remote", "")) or named or client.asks
