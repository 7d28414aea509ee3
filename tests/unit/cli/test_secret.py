import io

import pytest

from mcpward.cli.secret_input import read_secret

VALUE = "canary-5f1c-postgres://u:p@h/d"


def test_a_secret_comes_from_stdin_and_is_kept_sealed(cli, site):
    said = cli("secret", "set", "DATABASE_URL", "--server", "orders", stdin=VALUE + "\n")
    assert (said.code, said.out) == (0, "")
    assert VALUE not in said.err
    kept = b"".join(path.read_bytes() for path in (site / ".mcpward").iterdir())
    assert VALUE.encode() not in kept
    assert cli("secret", "list", "--server", "orders").out.splitlines()[1].split()[:2] == ["DATABASE_URL", "1"]
    (told,) = cli("secret", "list", "--server", "orders", "--json").json
    assert (told["server"], told["name"], told["version"], told["hosts"]) == ("orders", "DATABASE_URL", 1, [])


def test_a_secret_is_never_taken_from_the_command_line(cli, site):
    said = cli("secret", "set", "DATABASE_URL", VALUE, "--server", "orders")
    assert said.code == 2
    assert not (site / ".mcpward").exists()


@pytest.mark.parametrize("value", ["", "\n", "x" * 65537])
def test_an_empty_or_huge_secret_is_refused(cli, site, value):
    assert cli("secret", "set", "A", "--server", "orders", stdin=value).code == 2


@pytest.mark.parametrize("name", ["lower", "A-B", "", "A=" + VALUE, "1A"])
def test_a_name_that_env_cannot_say_is_refused(cli, site, name):
    said = cli("secret", "set", name, "--server", "orders", stdin="x")
    assert said.code == 2
    assert VALUE not in said.err


def test_a_removed_secret_is_gone(cli, site):
    cli("secret", "set", "A", "--server", "orders", stdin="x")
    assert cli("secret", "remove", "A", "--server", "orders").code == 0
    assert cli("secret", "remove", "A", "--server", "orders").code == 1
    assert cli("secret", "list", "--server", "orders").code == 1


def test_bytes_that_are_no_text_are_refused_and_not_quoted(cli, site, monkeypatch):
    said = cli("secret", "set", "A", "--server", "orders", stdin="canary\udcff")
    assert said.code == 2
    assert "canary" not in said.err


@pytest.mark.parametrize("given", [VALUE, VALUE + "\n", VALUE + "\r\n", "\ufeff" + VALUE + "\r\n"])
def test_a_file_of_windows_gives_the_same_secret(monkeypatch, given):
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert read_secret("").reveal() == VALUE


@pytest.mark.parametrize(
    "words,found",
    [
        ("mcpward secret rollback ", {"DATABASE_URL", "STRIPE_KEY", "STRIPE_HOOK"}),
        ("mcpward secret remove STRIPE", {"STRIPE_KEY", "STRIPE_HOOK"}),
        ("mcpward secret set --server orders STRIPE", {"STRIPE_KEY"}),
        ("mcpward secret set --server nobody ", set()),
    ],
)
def test_names_of_secrets_are_completed_and_no_value_is(cli, site, monkeypatch, capsys, words, found):
    from mcpward.cli.main import app

    with (site / "mcpward.toml").open("a") as file:
        file.write('[servers.shop]\nsource = "tools.py"\n')
    for server, name in (("orders", "DATABASE_URL"), ("orders", "STRIPE_KEY"), ("shop", "STRIPE_HOOK")):
        assert cli("secret", "set", name, "--server", server, stdin=VALUE).code == 0
    monkeypatch.setenv("_MCPWARD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    with pytest.raises(SystemExit):
        app(prog_name="mcpward")
    said = capsys.readouterr()
    assert (set(said.out.split()), said.err) == (found, "")


def test_a_site_without_data_completes_no_secret_and_makes_none(cli, site, monkeypatch, capsys):
    from mcpward.cli.main import app

    monkeypatch.setenv("_MCPWARD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "mcpward secret remove ")
    monkeypatch.setenv("COMP_CWORD", "3")
    with pytest.raises(SystemExit):
        app(prog_name="mcpward")
    said = capsys.readouterr()
    assert (said.out.strip(), said.err) == ("", "")
    assert not (site / ".mcpward").exists()
