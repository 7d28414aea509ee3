import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.cli.target import read_target
from mcpward.cli.timespan import parse_end, parse_span, parse_start
from mcpward.cli.ui import CommandEnded, aligned, confirmed, error_of, safe
from mcpward.core.errors import Finding
from mcpward.core.moment import moment_text


@given(st.text())
def test_what_is_safe_can_be_seen_and_stays_on_its_line(text):
    assert safe(text).isprintable()


def test_plain_text_stays_as_it_is():
    assert safe("Zoë → ok") == "Zoë → ok"
    assert safe("\x1b[31m") == "\\x1b[31m"
    assert safe("\U000e0041") == "\\U000e0041"


def test_columns_align_by_what_a_terminal_shows():
    assert aligned([("a", "x"), ("長い", "y")]) == ["a     x", "長い  y"]


def test_nobody_there_is_a_no(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert not confirmed("sure?")


@pytest.mark.parametrize(
    "text,seconds", [("30m", 1800), ("24h", 86400), ("90d", 7776000), ("2w", 1209600), ("0", 0), ("5s", 5)]
)
def test_a_span_is_read(text, seconds):
    assert parse_span(text, "--x") == seconds


@pytest.mark.parametrize("text", ["", "-1h", "1y", "1.5h", "h", "1h2m", "9999999d"])
def test_what_is_no_span_is_a_usage_error(text):
    with pytest.raises(CommandEnded, match="--x"):
        parse_span(text, "--x")


def test_a_moment_is_utc_unless_it_says_otherwise():
    assert parse_start("1970-01-02", 0, "--x") == 86400
    assert parse_start("1970-01-02T00:00:00+01:00", 0, "--x") == 82800
    assert parse_start("1h", 7200, "--x") == 3600
    assert parse_end("1h", 7200, "--x") == 10800
    assert moment_text(86400) == "1970-01-02T00:00:00Z"


@pytest.mark.parametrize("text", ["0", "0s", "1970-01-01", "999999w", "tomorrow"])
def test_an_end_lies_ahead(text):
    with pytest.raises(CommandEnded):
        parse_end(text, 1_000_000, "--x")


def test_a_target_is_called_as_its_server_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_tools.py").write_text('import mcpward\nserver: object = mcpward.Server("orders")\n')
    (tmp_path / "plain.py").write_text("x = (\n")
    (tmp_path / "mcp.py").write_text('s = Server(name="mcp")')
    assert read_target("my_tools.py", (), None).name == "orders"
    assert read_target("my_tools.py:server", (), None).name == "orders"
    assert read_target("my_tools.py", (), "mine").name == "mine"
    assert read_target("plain.py", (), None).name == "plain"
    assert read_target("mcp.py", (), None).name == "server"
    assert read_target("a.b_c:server", (), None).name == "b-c"
    assert read_target("orders", ("orders",), None).source is None
    assert read_target("my_tools.py", ("my_tools.py",), None).source == "my_tools.py"


def test_finding_the_name_runs_nothing(tmp_path):
    (tmp_path / "t.py").write_text("raise SystemExit\nserver = Server('a')\n")
    assert read_target(str(tmp_path / "t.py"), (), None).name == "a"


@pytest.mark.parametrize(
    "where, what, said",
    [
        ("limits.counters", "limits.counters: the variable X is not set", "error: limits.counters: the variable X"),
        ("tools.py:3", "tool 'a' draws on nothing", "error: tools.py:3: tool 'a'"),
        ("", "no file", "error: no file"),
    ],
)
def test_where_something_is_wrong_is_said_once(where, what, said, capsys):
    error_of(Finding(what, where))
    told = capsys.readouterr().err
    assert told.startswith(said)
    assert told.count("limits.counters") <= 1


def test_a_module_is_called_as_its_own_server_says_without_being_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "shop" / "tools"
    package.mkdir(parents=True)
    ran = "raise SystemExit('it was run')\n"
    (tmp_path / "shop" / "__init__.py").write_text(ran)
    (package / "__init__.py").write_text(f"from .main import orders as served\nfrom shop.stock import stock\n{ran}")
    (package / "main.py").write_text(f'NAME = "orders"\nother = Server("other")\norders = mcpward.Server(NAME)\n{ran}')
    (tmp_path / "shop" / "stock.py").write_text(f'stock: Server = Server(name="stock")\n{ran}')
    names = {
        "shop.tools.main:orders": "orders",
        "shop.tools.main:other": "other",
        "shop/tools/main.py:orders": "orders",
        "shop.tools.main": "other",
        "shop.tools:served": "orders",
        "shop.tools:stock": "stock",
        "shop.stock:nothing": "stock",
        "shop.gone:server": "gone",
        "json:server": "json",
    }
    assert {target: read_target(target, (), None).name for target in names} == names
    (tmp_path / "round.py").write_text("from round import server\n")
    assert read_target("round:server", (), None).name == "round"
