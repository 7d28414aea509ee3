"""Attack 85: credentials that mcpward does not know leave a result only if its settings allow them."""

import base64
import json
import random
import re
import time

import msgspec
import pytest

from mcpward.core.errors import Refusal
from mcpward.core.values import RawResult
from mcpward.sanitize.clean import Sanitizer
from mcpward.sanitize.redact import MASK, Redactor
from mcpward.sanitize.screens import known_credentials
from mcpward.sanitize.screens.credential_shapes import SHAPES
from support.credentials import MAKERS, beside, credential, pem
from support.harmless import ROOT, harmless

KINDS = [shape.kind for shape in SHAPES]
SUMMED = ("github-token", "npm-token", "mcpward-key")
_redactor = Redactor([])
sanitizer = Sanitizer(lambda: _redactor, 4_000_000)


def cleaned(value):
    outcome = sanitizer.clean(None, RawResult([{"type": "text", "text": json.dumps(value)}], value, is_mirrored=True))
    return msgspec.json.decode(outcome.body)["structuredContent"], outcome


def masked(text: str) -> tuple[str, list[str]]:
    kinds: list[str] = []
    assert known_credentials.suspects(msgspec.json.encode(text))
    return known_credentials.masked(text, kinds), kinds


@pytest.mark.parametrize("shape", SHAPES, ids=KINDS)
def test_each_shape_has_the_page_that_describes_it(shape):
    assert re.fullmatch(r"https://\S+|docs/\S+", shape.source)
    assert all(len(anchor) >= 3 for anchor in shape.anchors)


def test_there_is_an_example_of_each_shape_and_the_page_names_it():
    assert list(MAKERS) == KINDS
    assert set(KINDS) <= set(re.findall(r"`([a-z-]+)`", (ROOT / "docs" / "secrets.md").read_text()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_credential_is_masked_whole_and_its_kind_is_named(kind):
    for seed in range(20):
        value = credential(kind, seed)
        for text in (beside(kind, value), f"the key:\n{beside(kind, value)}\n.", f'x="{beside(kind, value)}",'):
            clean, kinds = masked(text)
            assert clean == text.replace(value, MASK), kind
            assert kinds == [kind]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_masked_in_values_and_names_and_text_that_is_json_alike(kind):
    value = credential(kind)
    text = beside(kind, value)
    given = {"a": [1, {"b": text}], text: "name", "c": f"line\n{text}\nline"}
    clean, outcome = cleaned(given)
    whole = outcome.body.decode()
    assert value not in whole
    assert json.dumps(value)[1:-1].replace("\\", "\\\\") not in whole
    assert json.loads(msgspec.json.decode(outcome.body)["content"][0]["text"]) == clean
    assert set(outcome.screened) == {kind}


@pytest.mark.parametrize("kind", SUMMED)
def test_a_wrong_checksum_is_no_credential(kind):
    value = credential(kind)
    wrong = value[:-1] + ("a" if value[-1] != "a" else "b")
    assert known_credentials.masked(wrong, []) == wrong


@pytest.mark.parametrize("header", ['{"typ":"JWT"}', '{"alg":5,"a":1}', '{"not json, "alg"'])
def test_what_only_looks_like_a_jwt_is_none(header):
    first = base64.urlsafe_b64encode(header.encode()).decode().rstrip("=")
    text = f"{first}.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2ln"
    assert text.startswith("eyJ")
    assert known_credentials.masked(text, []) == text


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "postgres://user:password@localhost/db",
        "postgres://${USER}:${PASSWORD}@db/x and mysql://root:<password>@db and redis://:***@db",
        "amqp://guest:guest@mq",
        f"postgres://app:{MASK}@db",
        "ghp_" + "x" * 36,
        "-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----",
        "https://example.com:8080/@user and http://[::1]:80/ and git@github.com:a/b.git",
        "connect(host=host, user=user, password=settings.password, port=5432)",
    ],
)
def test_examples_of_manuals_pass(text):
    assert known_credentials.masked(text, []) == text


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"])
@pytest.mark.parametrize("written", ["{}", "  {}", "as json: {}", "cut"])
def test_a_private_key_is_masked_however_it_is_laid_out(kind, written):
    key = pem(random.Random(kind), kind)
    if written == "  {}":
        text = "\n".join(f"    {line}" for line in key.split("\n"))
    elif written == "as json: {}":
        text = "log: " + json.dumps({"key": key}).replace("\n", "\\n")
    elif written == "cut":
        text = key[: len(key) // 2]
    else:
        text = key.replace("\n", "\r\n")
    clean, _ = masked(text)
    assert not any(line in clean for line in key.split("\n")[1:-2])


def test_a_private_key_as_a_list_of_its_lines_is_withheld():
    with pytest.raises(Refusal, match="across several members"):
        cleaned({"lines": pem(random.Random(1)).split("\n")})
    blocks = [{"type": "text", "text": line} for line in pem(random.Random(1)).split("\n")]
    with pytest.raises(Refusal, match="over several content blocks"):
        sanitizer.clean(None, RawResult(blocks))


def test_a_secret_key_of_aws_is_known_by_the_name_of_its_member():
    secret = credential("aws-secret-key")
    for name in ("SecretAccessKey", "aws_secret_access_key", "secretAccessKey", "AWS_SECRET_ACCESS_KEY"):
        clean, _ = cleaned({"Credentials": {name: secret, "other": secret[::-1]}})
        assert clean == {"Credentials": {name: MASK, "other": secret[::-1]}}


def test_a_token_with_invisible_characters_between_its_letters_is_masked():
    value = credential("github-token")
    clean, outcome = cleaned({"a": value[:9] + "\u200b" + value[9:]})
    assert (clean, outcome.screened) == ({"a": MASK}, ("github-token",) * 2)


def test_a_harmless_result_is_the_same_bytes():
    body = {"rows": ["https://example.com/a?b=c", "a@example.com", "eyJ", "hf_hub", "AKIA"] * 50}
    clean, outcome = cleaned(body)
    assert (clean, outcome.screened) == (body, ())


def test_at_most_one_in_ten_thousand_harmless_results_is_changed():
    count = alarms = 0
    for text in harmless(10_000):
        count += 1
        if known_credentials.suspects(msgspec.json.encode(text)):
            alarms += known_credentials.masked(text, []) != text
    assert count >= 10_000
    assert alarms * 10_000 <= count


HOSTILE = {
    "an anchor again and again": "AKIA",
    "no end of a JWT": "eyJ",
    "parts of a JWT": "eyJabcdefgh.",
    "begins of a key": "-----BEGIN PRIVATE KEY-----",
    "keys without an end": f"-----BEGIN PRIVATE KEY-----\n{'A' * 64}\n",
    "headers of a key": "-----BEGIN PRIVATE KEY-----\nAaaaa: b\n",
    "OpenAI in every word": "sk-T3BlbkFJ ",
    "no end of a user": "://a:",
    "keywords of a connection": "user=a password=b ",
    "digits and colons": "1234567890:AA",
    "secrets of Azure": "a8Q~",
    "blanks": " ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_time_grows_with_the_text_and_not_faster(name):
    def took(size: int) -> float:
        text = "-----BEGIN PRIVATE KEY----- eyJ @ :AA" + HOSTILE[name] * (size // len(HOSTILE[name]))
        began = time.process_time()
        known_credentials.masked(text, [])
        return time.process_time() - began

    small = min(took(100_000) for _ in range(3))
    assert took(800_000) < 8 * 4 * max(small, 0.005)


def test_a_small_harmless_result_is_searched_in_microseconds():
    rows = [{"id": n, "name": f"Customer {n}", "at": "2026-01-01T00:00:00Z", "total": n / 7} for n in range(140)]
    body = msgspec.json.encode(rows)[:10_240]
    assert len(body) > 10_000
    best = float("inf")
    for _ in range(200):
        began = time.perf_counter()
        known_credentials.suspects(body)
        best = min(best, time.perf_counter() - began)
    assert best < 50e-6  # 4 to 6 µs where it was measured; a machine of tests may be slow
