"""A wrong value of an option is reported once, in our own words, and with the option's name."""

import pytest
import typer

from mcpward.cli.main import app
from support.wording import doubled, is_foreign


def numeric(group, path=()):
    """Every option of every command that takes a number, with words that make the rest of the command whole."""
    for name, command in getattr(group, "commands", {}).items():
        yield from numeric(command, (*path, name))
        needed = [
            word
            for param in command.params
            if param.required
            for word in ([param.opts[0], "x"] if param.opts[0].startswith("-") else ["x"])
        ]
        for param in command.params:
            if param.type_descriptor.annotation in {int, float}:
                yield (*path, name, *needed, param.opts[0])


OPTIONS = list(numeric(typer.main.get_command(app)))


def test_there_are_such_options():
    assert {"--port", "--workers", "--timeout"} <= {words[-1] for words in OPTIONS}


@pytest.mark.parametrize("words", OPTIONS, ids=" ".join)
@pytest.mark.parametrize("value", ["x", "-1", "999999999", "nan"])
def test_a_number_that_does_not_fit_is_told_in_our_words(cli, words, value):
    said = cli(*words, value)
    assert (said.code, said.out) == (2, "")
    error = said.err.splitlines()[0].removeprefix("error: ")
    assert not is_foreign(error)
    assert not doubled(error)
    assert error.startswith("--")
    assert ": must be " in error


@pytest.mark.parametrize(
    "words, told",
    [
        (("--mode", "open"), '--mode: must be "api-key", "oauth", "unlisted", "public"'),
        (("--access", "all"), "--access: must be read, write or destructive"),
        (("--port", "99999"), "--port: must be at most 65535"),
        (("--host", "a b"), "--host: not a host name or an IP address"),
        (("--metrics", "x"), "--metrics: write an address as host:port"),
        (("--public-url", "x"), "--public-url: write an absolute URL"),
        (("--trusted-proxy", "x"), "--trusted-proxy: write a network as"),
        (("--name", "A B"), "--name: a server's name is"),
        (("--host", "0.0.0.0"), "--host: credentials would be sent in clear"),
        (("--tls-cert", "cert.pem"), "site.tls_key is missing"),
    ],
)
def test_a_flag_is_named_as_it_was_typed(cli, folder, words, told):
    (folder / "tools.py").write_text("")
    said = cli("serve", "tools.py", *words)
    assert said.code == 2
    first, *rest = said.err.splitlines()
    assert first.startswith(f"error: {told}")
    assert rest[0].startswith("hint: ")
    for line in said.err.splitlines():
        text = line.partition(": ")[2]
        assert not doubled(text), text
        assert not is_foreign(text), text


def test_a_source_that_is_not_there_is_named_once(cli, folder):
    said = cli("serve", "nothing.py")
    assert said.code == 2
    assert said.err.startswith("error: the command line: there is no file ")
    assert "servers.nothing" not in said.err
