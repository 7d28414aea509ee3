"""Attack 85: which texts of a secret count as the secret, and which values are no good secrets."""

import base64
import json
import os
import random
import secrets
import time

import pytest

from mcpward.core.secret import Secret
from mcpward.sanitize.parts import MOST, parts
from mcpward.sanitize.redact import MASK, Redactor
from mcpward.sanitize.weak import why_weak

LINES = [base64.b64encode(secrets.token_bytes(48)).decode() for _ in range(4)]
PEM = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(LINES) + "\n-----END PRIVATE KEY-----\n"
TOKEN = "GOCSPX-9fK2mQx7LrWvJy3cTq"
ACCOUNT = json.dumps({
    "type": "service_account", "project_id": "my-project-123456", "private_key": PEM, "client_secret": TOKEN,
    "client_email": "svc@example.com", "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    "nested": [{"deep": "Zx81-and-no-other-one"}],
})  # fmt: skip


def masked(secret: str, text: str) -> str:
    return Redactor([Secret(secret, "NAME")]).text(text)


@pytest.mark.parametrize(
    "written",
    [
        PEM,
        "".join(PEM.splitlines()),
        PEM.replace("\n", "\r\n"),
        "key: |\n" + "".join(f"    {line}\n" for line in PEM.splitlines()),
        json.dumps({"key": PEM.splitlines()}, indent=4),
        LINES[2],
        "\n".join("".join(LINES)[at : at + 76] for at in range(0, 256, 76)),
    ],
    ids=["whole", "joined", "CRLF", "YAML", "JSON", "one line", "other lines"],
)
def test_no_line_of_a_private_key_is_left(written):
    shown = masked(PEM, f"the key:\n{written}\nand more")
    assert not [line for line in LINES if line in shown]
    assert not [line for line in LINES if line[:40] in shown.replace("\n", "")]
    assert "and more" in shown


@pytest.mark.parametrize("member", ["private_key", "client_secret", "nested"])
def test_a_secret_document_is_masked_member_by_member(member):
    text = str(json.loads(ACCOUNT)[member])
    shown = masked(ACCOUNT, text)
    assert MASK in shown
    assert not [part for part in (*LINES, TOKEN, "Zx81-and-no-other-one") if part in shown]


def test_what_is_public_in_a_secret_document_is_not_masked():
    said = "service_account my-project-123456 svc@example.com https://accounts.google.com/o/oauth2/auth PRIVATE KEY"
    assert masked(ACCOUNT, said) == said
    assert masked(ACCOUNT, "-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


@pytest.mark.parametrize(
    "url, left",
    [
        ("postgresql://orders:pa%2Fss%20w0rd@db:5432/orders", ["pa%2Fss%20w0rd", "pa/ss w0rd"]),
        ("postgresql://orders:hunter22-x@db:5432/orders", ["orders:hunter22-x@db:5432/orders"]),
        ("https://hooks.slack.com/services/T000/B000/Zx81qq", ["hooks.slack.com/services/T000/B000/Zx81qq"]),
        ("mysql://root:a/b#c9d8e7@h/x", ["a/b#c9d8e7"]),
    ],
)
def test_of_a_url_the_password_and_what_follows_the_scheme_are_secrets(url, left):
    for text in left:
        assert masked(url, f"it is {text}, yes") == f"it is {MASK}, yes"


@pytest.mark.parametrize(
    "text",
    [
        f"# a comment\nexport TOKEN='{TOKEN}'\nLEVEL=debug\n",
        f'[api]\nurl = "https://api.example.com"\ntoken = "{TOKEN}"\n',
        f"Server=db.example.com;User=me;Password={TOKEN}",
    ],
    ids=["env", "toml", "connection string"],
)
def test_the_strings_of_a_configuration_are_secrets(text):
    assert masked(text, f"got {TOKEN}") == f"got {MASK}"
    assert masked(text, "debug at https://api.example.com") == "debug at https://api.example.com"


def test_a_value_is_found_trimmed_and_in_basic_credentials():
    assert TOKEN not in masked(f"\ufeff {TOKEN}\r\n", f"is {TOKEN}")
    basic = base64.b64encode(f"me:{TOKEN}".encode()).decode()
    assert basic not in masked(f"https://me:{TOKEN}@example.com/", f"Authorization: Basic {basic}")


@pytest.mark.parametrize("value", ["localhost", "postgresql", "service_account", "changeme", "production"])
def test_a_word_that_people_use_is_weak_and_not_masked(value):
    assert "too common" in (why_weak(value) or "")
    assert Redactor([Secret(value, "NAME")]).weak == ("NAME",)
    assert masked(value, f"it is {value} here") == f"it is {value} here"


@pytest.mark.parametrize("password", ["orders", "shop", "postgres"])
def test_a_short_word_as_the_password_of_a_url_is_weak_and_not_masked(password):
    url = f"postgresql://orders_app:{password}@db:5432/x9"
    said = f"3 {password} in the table"
    assert masked(url, said) == said
    assert masked(url, f"at {url}") == f"at {MASK}"
    assert "has a password that is too common" in (why_weak(url) or "")
    assert why_weak(url.replace(f":{password}@", f":{TOKEN}@")) is None


def test_a_value_that_is_too_short_is_weak_and_a_good_one_is_not():
    assert "too short" in (why_weak("x7f") or "")
    assert "guessed" in (why_weak("hunter2") or "")
    assert "protocol" in (why_weak('"type":"text"') or "")
    assert why_weak(TOKEN) is None


UNSEEN = ["\u200b", "\u0301", "\ufe0f", "\u2066", "\u3164", "\U000e0041", "\udc80", "\ud800", "\u00b4", "\t", "\x01"]


@pytest.mark.parametrize("char", UNSEEN, ids=ascii)
@pytest.mark.parametrize("rest", ["", "ab"])
def test_a_value_of_which_nothing_is_seen_is_weak_and_does_not_stop_the_start(char, rest):
    value = char * 12 + rest
    assert "too short" in (why_weak(value) or "")
    assert Redactor([Secret(value, "NAME")]).weak == ("NAME",)
    assert masked(value, "about a cab") == "about a cab"


@pytest.mark.parametrize(
    "value", ["\u200b" * 80 + TOKEN, "e" + "\u0301" * 80 + TOKEN, "\udcff" * 80 + "é!ñ-ü&ß"], ids=ascii
)
def test_of_a_value_with_many_unseen_characters_what_is_seen_is_masked(value):
    seen = value.strip("\u200b\udcff")
    assert seen not in masked(value, f"it is {seen} here")


def test_octets_that_are_no_text_are_taken_as_a_value():
    octets = random.Random(7)
    for size in [6, 8, 12, 16, 32] * 20:
        value = os.fsdecode(octets.randbytes(size).replace(b"\0", b""))
        weak = Redactor([Secret(value, "NAME")]).weak
        assert bool(weak) == ("redacted" in (why_weak(value) or ""))


LARGE = {
    "lines": "\n".join(f"x{number:05}qwzyv" for number in range(5_000)),
    "dotted keys": "a." * 32_000 + "a=1",
    "many dotted keys": "\n".join("a." * 40 + f"b{number}=1" for number in range(700)),
    "beginnings of keys": "-----BEGIN X-----\n" * 3_600,
    "assignment": "a=x" + " " * 65_000 + "y",
    "members": json.dumps([f"member-{number}-of-many" for number in range(2_700)]),
}


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE)
def test_a_large_value_is_made_ready_and_found_in_little_time(value):
    began = time.process_time()
    redactor = Redactor([Secret(value, "NAME")])
    assert MASK in redactor.text(f"it is {value[:4_000]} and {value}")
    assert time.process_time() - began < 2


def test_of_a_document_with_thousands_of_members_the_longest_count():
    value = json.dumps([*(f"member-{number}-of-many" for number in range(4_000)), "the-longest-" + TOKEN])
    found = parts(value)
    assert len(found) == MOST
    assert found[:2] == [value, "the-longest-" + TOKEN]
