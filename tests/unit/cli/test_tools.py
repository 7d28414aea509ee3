"""``mcpward tools``: what a start would serve, by class, scope, limit and guard."""

TOOLS = '''
from datetime import date
from mcpward import DateRange, Server

server = Server("orders")


@server.tool(read_only=True, scopes=["orders:read"], rate="60/minute", guards=[DateRange("start", "end", max_days=9)])
def find(start: date, end: date) -> str:
    """Find orders."""
    return "found"


@server.tool(destructive=True, confirm=True)
def cancel(order: int) -> str:
    """Cancel one."""
    return "cancelled"
'''
GUARDED = '''
from typing import Annotated
from mcpward import Argv, Length, Limit, ParameterGuard, SafeFile, SafePath, Server

server = Server("notes")


class Even(ParameterGuard):
    def check(self, value):
        return None if value % 2 == 0 else "an even number"


@server.tool(read_only=True)
def find(
    path: Annotated[SafeFile, SafePath("notes")],
    words: Annotated[list[Annotated[str, Argv()]], Length(max=3)],
    number: Annotated[int, Even()],
    size: Annotated[int, Limit(max=9)],
) -> str:
    """Find notes."""
    return "found"
'''
SITE = """
[servers.orders]
source = "tools.py"
[servers.orders.limits]
destructive = "3/hour"
[servers.orders.tools.cancel]
concurrency = 2
"""


def test_the_list_has_what_author_and_operator_say(folder, cli):
    (folder / "tools.py").write_text(TOOLS)
    (folder / "mcpward.toml").write_text(SITE)
    said = cli("tools")
    assert said.code == 0
    assert said.out.startswith("tool ")
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in said.out.splitlines()[1:]}
    assert rows == {
        "find": "read orders:read 60/minute DateRange -",
        "cancel": "destructive - 3/hour - asks a person, 2 at once, 1 without a bound",
    }
    assert not (folder / ".mcpward").exists()  # looking makes no data


def test_json_has_all_of_it_and_the_schemas_where_they_are_asked_for(folder, cli):
    (folder / "tools.py").write_text(TOOLS)
    find, cancel = cli("tools", "tools.py", "--json").json
    assert find["guards"] == ["DateRange(start='start', end='end', max_days=9)"]
    assert find["annotations"]["readOnlyHint"] is True
    assert find["where"].endswith("tools.py:8")
    assert (cancel["server"], cancel["confirm"], cancel["class_rate"]) == ("orders", True, "6/minute")
    assert "input_schema" not in find
    (one,) = cli("tools", "tools.py", "--tool", "find", "--json").json
    assert one["input_schema"]["required"] == ["start", "end"]
    people = cli("tools", "tools.py", "--schema")
    assert people.out.count("input schema:") == 2


def test_what_is_not_there_is_told_with_the_nearest_name(folder, cli):
    (folder / "tools.py").write_text(TOOLS)
    said = cli("tools", "tools.py", "--tool", "fined")
    assert (said.code, said.out) == (1, "")
    assert "hint: did you mean find?" in said.err
    said = cli("tools", "order")
    assert said.code == 2
    assert "there is no server 'order' here" in said.err
    said = cli("tools", "nothing.py")
    assert (said.code, "there is no file" in said.err) == (2, True)
    (folder / "broken.py").write_text("x = (\n")
    said = cli("tools", "broken.py")
    assert (said.code, "broken.py:1" in said.err) == (2, True)


def test_the_list_has_the_guards_of_values_that_no_schema_shows_whole(folder, cli):
    (folder / "notes").mkdir()
    (folder / "tools.py").write_text(GUARDED)
    said = cli("tools", "tools.py")
    row = said.out.splitlines()[1]
    assert "path: SafePath, words: Argv, number: Even  " in row
    assert "size" not in row  # the schema has all of it: maximum
    (tool,) = cli("tools", "tools.py", "--json").json
    assert tool["guards"][1].startswith("words: Argv(")
