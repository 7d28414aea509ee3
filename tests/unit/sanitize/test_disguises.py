"""Attack 85: a secret is found in every disguise, what is harmless is not masked, and neither takes long."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from mcpward.core.secret import Secret
from mcpward.sanitize.redact import MASK, Redactor
from support.canaries import Canary, canaries
from support.cost import cost_of

SECRET = "sk-live-4eC39HqLyjWDarjtT1zdp7dc"
DISGUISES = dict(Canary("ONE", SECRET, (SECRET,)).disguises())
PLANTED = canaries(60)
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", DISGUISES)
def test_a_secret_is_masked_in_its_place_whatever_its_disguise(name):
    redactor = Redactor([Secret(SECRET, "NAME")])
    for document in ({"a": f"see {DISGUISES[name]} end"}, {DISGUISES[name]: 1}, [[DISGUISES[name]]]):
        shown = json.loads(redactor.json(json.dumps(document).encode()))
        assert MASK in json.dumps(shown)
        assert DISGUISES[name] not in json.dumps(shown, ensure_ascii=False)
    assert re.fullmatch(r"see .{0,60}\[redacted\].{0,60} end", redactor.text(f"see {DISGUISES[name]} end"), re.DOTALL)


@pytest.mark.parametrize("name", [name for name in DISGUISES if name.startswith(("xxd", "hexdump", "od"))])
def test_nothing_of_a_dump_that_holds_a_secret_is_left_beside_its_octets(name):
    shown = Redactor([Secret(SECRET, "NAME")]).text(f"before{DISGUISES[name]}after")
    assert (shown[:7], shown[-6:]) == ("before\n", "\nafter")
    assert not [at for at in range(len(SECRET) - 3) if SECRET[at : at + 4] in shown]
    assert not re.search(r"[0-9a-f]{2} ?[0-9a-f]{2} ?[0-9a-f]{2}", shown)


def test_a_dump_without_a_secret_and_a_list_of_addresses_stay():
    redactor = Redactor([Secret(SECRET, "NAME")])
    other = Canary("OTHER", "another-text-altogether-0815", ("another",))
    for text in (*dict(other.disguises()).values(), ", ".join(f"0x{number * 7919:040x}" for number in range(200))):
        assert redactor.text(text) is text


def test_no_disguise_of_any_canary_leaves_a_trace():
    redactor = Redactor(Secret(canary.value, canary.name) for canary in PLANTED)
    assert redactor.weak == ()
    for at, canary in enumerate(PLANTED):
        traces = list(canary.traces())
        for text in canary.few(at, 6):
            shown = json.loads(redactor.json(json.dumps([text]).encode()))[0]
            assert not [trace for trace in traces if trace in shown.encode()], (canary.name, text)


HARMLESS = [
    *(text for path in sorted(ROOT.glob("docs/*.md")) for text in path.read_text().split("\n\n")),
    *(text for path in sorted(ROOT.glob("src/mcpward/**/*.py"))[::9] for text in path.read_text().split("\n\n\n")),
    *(json.dumps({"id": n, "at": f"2026-11-{n % 28 + 1:02}T12:30:45Z", "key": f"{n * 7919:032x}"}) for n in range(999)),
]


def test_nothing_of_two_thousand_harmless_results_is_masked():
    redactor = Redactor(Secret(canary.value, canary.name) for canary in PLANTED)
    masked = [text for text in HARMLESS if redactor.count(msgspec.json.encode({"text": text}))]
    assert len(HARMLESS) > 2_000
    assert masked == []


HOSTILE = {
    "escapes": "\\u0041%41&#65;+",
    "base64 without an end": "QUJD",
    "base32 without an end": "MFRGGZDF",
    "hex without an end": "61:62:",
    "letters of a secret with blanks between": " ".join(SECRET[:-1]) + " ",
    "secrets but for a letter": SECRET[:-1],
    "full width": "\uff53\uff4b",
    "marks": "s\u0301",
    "backslashes": "\\",
    "percent signs": "%25",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_disguise_costs_grows_with_the_length_of_the_text_alone(name):
    redactor = Redactor([Secret(SECRET, "NAME")])

    def cost(size: int) -> float:
        body = msgspec.json.encode({"a": HOSTILE[name] * (size // len(HOSTILE[name]))})
        return cost_of(lambda: redactor.json(body))

    once, four_times = cost(30_000), cost(120_000)
    assert four_times < 12 * max(once, 0.05)
    assert four_times < 12
