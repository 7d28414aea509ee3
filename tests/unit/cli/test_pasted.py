import pytest

from mcpward.cli import pasted
from mcpward.core.clock import SystemClock
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import issue
from mcpward.operations.denied import Invalid
from mcpward.operations.key_form import require_whole_key

KEY = issue(Pepper(b"p" * 32), SystemClock(), name="n", servers=["orders"])[0].reveal()
FORMS = [
    "{}",
    "Bearer {}",
    "bearer  {}",
    "Bearer{}",
    '"{}"',
    "'{}'",
    "`{}`",
    "\u201c{}\u201d",
    "<{}>",
    '"Bearer {}"',
    " {} ",
    "{}\r\n",
    "{}\n\n",
    "\t{}\t",
    "\ufeff{}",
    "{}\u200b",
    "\u200e{}\u200f",
    "\u2060{}\u00ad",
    "\u00a0{}\u00a0",
    "Authorization: Bearer {}",
    "authorization:bearer {}\r",
    'Authorization: "Bearer {}"',
    '"Authorization": "Bearer {}",',
    "X-API-Key: {}",
    "MCPWARD_KEY={}",
    "export MCPWARD_KEY_ORDERS='{}'",
    'set MCPWARD_KEY="{}"',
    '$env:MCPWARD_KEY = "{}"',
]


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_taken_as_people_paste_it(form):
    assert pasted.cleaned(form.format(KEY)).reveal() == KEY


@pytest.mark.parametrize("at", [5, 20, 40])
@pytest.mark.parametrize("between", ["\n", "\r\n  ", " ", "\u200b", "\x00"])
def test_a_key_that_was_broken_on_its_way_is_whole_again(at, between):
    assert pasted.cleaned(KEY[:at] + between + KEY[at:]).reveal() == KEY


def test_dashes_that_a_word_processor_made_are_hyphens():
    assert pasted.cleaned(KEY.replace("-", "\u2013")).reveal() == KEY


@pytest.mark.parametrize("form", ["{}", '"{}"\r\n', "<{}>", "\ufeff{}\u200b"])
def test_a_url_is_taken_as_people_paste_it(form):
    url = f"https://mcp.example.com/notes/mcp/{'a' * 48}"
    assert pasted.cleaned(form.format(url)).reveal() == url
    assert pasted.is_url(pasted.cleaned(form.format(url)))


@pytest.mark.parametrize(
    "text,why",
    [
        ("password", "not a key"),
        ("Bearer", "not a key"),
        (KEY[:-1], "not a whole key"),
        (KEY + "x", "not a whole key"),
        (KEY[:-1] + ("a" if KEY[-1] != "a" else "b"), "not a whole key"),
        (f"{KEY}\n{KEY}", "more than one"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.x", "not a key"),
    ],
    ids=["word", "scheme", "cut", "long", "checksum", "two", "token"],
)
def test_what_is_no_key_is_told_and_not_repeated(text, why):
    with pytest.raises(Invalid) as told:
        require_whole_key(pasted.cleaned(text))
    assert why in told.value.what
    assert told.value.hint
    assert text not in told.value.what + told.value.hint


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_key_file_is_read_as_editors_and_shells_write_it(cli, site, tmp_path, encoding):
    file = tmp_path / "key.txt"
    file.write_bytes(f"{KEY}\r\n".encode(encoding))
    said = cli("connect", "cursor", "-s", "orders", "--key-file", str(file))
    assert said.code == 0
    assert f"Bearer {KEY}" in said.out


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe\x00", b"\xc3(", b"x" * 70_000])
def test_a_key_file_without_a_key_is_told(cli, site, tmp_path, content):
    file = tmp_path / "key.txt"
    file.write_bytes(content)
    said = cli("connect", "cursor", "-s", "orders", "--key-file", str(file))
    assert (said.code, said.out) == (2, "")
    assert cli("connect", "cursor", "-s", "orders", "--key-file", str(tmp_path / "none")).code == 3


@pytest.mark.parametrize("form", FORMS)
def test_a_pasted_key_reaches_the_block_whole(cli, site, monkeypatch, form):
    if "\x00" not in form:
        monkeypatch.setenv("MCPWARD_KEY", form.format(KEY))
        assert f'"Bearer {KEY}"' in cli("connect", "cursor", "-s", "orders").out
    said = cli("connect", "zed", "-s", "orders", "--stdin", stdin=form.format(KEY))
    assert f'"Bearer {KEY}"' in said.out
