"""Bodies that two parsers read differently, or that cost more than they weigh.

Sources: nst/JSONTestSuite; CVE-2026-27896 (repeated names), CVE-2025-53365 and -53366 (crash on a malformed message),
JSON-RPC 2.0 §§4, 6; MCP 2025-06-18 (batches removed).
"""

import base64
import json
import time
from collections import Counter
from pathlib import Path

import pytest

from support.leak import leak_in
from support.raw import connect, parse, request
from support.stops import worker_of
from support.ward import ACCEPT, VERSION, Ward, modern_request

META = modern_request("tools/list")[0]["params"]["_meta"]


class Line:
    """One kept-alive connection with a key: many bodies in little time."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.wire = connect(ward.port)

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def post(self, body: bytes, method: str = "tools/call", name: str | None = "echo", version: str = VERSION):
        headers = [
            ("Content-Type", "application/json"),
            ("Accept", ACCEPT),
            ("MCP-Protocol-Version", version),
            ("Authorization", f"Bearer {self.ward.key}"),
            ("Mcp-Method", method),
        ]
        if name is not None:
            headers.append(("Mcp-Name", name))
        started = time.monotonic()
        self.wire.sendall(request(self.ward.port, "POST", "/mcp", headers, body))
        received = b""
        while not (found := parse(received)[0]):
            data = self.wire.recv(1 << 20)
            assert data, f"closed after {body[:80]!r}"
            received += data
        assert time.monotonic() - started < 1, body[:80]
        assert leak_in(received) is None, leak_in(received)
        return found[0]


def suite(corpora: Path) -> dict[str, bytes]:
    return {
        name: base64.b64decode(text) for name, text in json.loads((corpora / "json_parsing.json").read_text()).items()
    }


def around(text: bytes, place: str) -> bytes:
    """The text as the body itself, or where a well-formed message has a value."""
    meta = json.dumps(META).encode()
    head = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","_meta":' + meta
    if place == "arguments":
        return head + b',"arguments":' + text + b"}}"
    if place == "an argument":
        return head + b',"arguments":{"text":' + text + b"}}}"
    if place == "id":
        return head.replace(b'"id":7', b'"id":' + text) + b',"arguments":{"text":"x"}}}'
    if place == "meta":
        return head[:-1] + b',"x":' + text + b'},"arguments":{"text":"x"}}}'
    return text


@pytest.mark.parametrize("place", ["the body", "arguments", "an argument", "id", "meta"])
def test_attack_54_no_text_of_the_json_suite_is_read_in_two_ways(
    ward: Ward, corpora: Path, place: str, record_property
):
    """Every ``n_`` is 400 and -32700; ``y_`` is never (but for repeated names, attack 56); ``i_`` never breaks."""
    statuses: Counter[int] = Counter()
    texts = suite(corpora)
    assert len(texts) == 318
    with Line(ward) as line:
        for name, text in texts.items():
            answer = line.post(around(text, place))
            statuses[answer.status] += 1
            assert answer.status < 500, name
            refused = answer.status == 400 and answer.json()["error"]["code"] == -32700
            if name.startswith("n_"):
                assert refused, name
            elif name.startswith("y_"):
                assert refused is ("duplicated_key" in name), name
        assert line.post(around(b'"good"', "an argument")).status == 200
    record_property("statuses", str(statuses))


HEAVY = {
    "100,000 deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "100,000 deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "65 deep": b"[" * 65 + b"]" * 65,
    "100,000 opened": b"[" * 100_000,
    "a million elements": b"[" + b"1," * 1_000_000 + b"1]",
    "a million members": b"{" + b",".join(b'"%x":1' % at for at in range(300_000)) + b"}",
    "a million empty objects": b"[" + b"{}," * 1_000_000 + b"{}]",
    "a number of a million digits": b"1" * 1_000_000,
    "1e999999": b"1e999999",
    "-1e999999": b"-1e999999",
}


@pytest.mark.parametrize("place", ["the body", "arguments", "an argument", "meta"])
@pytest.mark.parametrize("heavy", HEAVY)
def test_attack_55_what_costs_more_than_it_weighs_is_refused_at_once(ward: Ward, heavy: str, place: str):
    """Source: CVE-2026-59951; Python's own int-parsing limit, CVE-2020-10735."""
    cpu = cpu_s(ward)
    with Line(ward) as line:
        answer = line.post(around(HEAVY[heavy], place))
    assert answer.status == 400
    assert answer.json()["error"]["code"] == -32700
    assert cpu_s(ward) - cpu < 0.35  # 100 ms, and what else the process did in that time on a busy machine


def test_attack_55_a_fraction_of_a_million_digits_is_refused_and_costs_nothing(ward: Ward):
    """A number has a bound as all else has (RFC 8259 §9); one of a thousand digits is taken."""
    cpu = cpu_s(ward)
    with Line(ward) as line:
        assert line.post(around(b"0." + b"1" * 1000, "an argument")).json()["result"]["isError"]
        assert line.post(around(b"0." + b"1" * 1_000_000, "an argument")).json()["error"]["code"] == -32700
    assert cpu_s(ward) - cpu < 0.35


def cpu_s(ward: Ward) -> float:
    assert ward.process is not None
    fields = Path(f"/proc/{worker_of(ward)}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("size, is_withheld", [(1_000_000, False), (1_100_000, True)])
def test_attack_55_a_long_string_is_an_argument_like_any_other(ward: Ward, size: int, is_withheld: bool):
    with Line(ward) as line:
        answer = line.post(around(b'"' + b"x" * size + b'"', "an argument"))
    assert answer.status == 200
    assert answer.json()["result"]["isError"] is is_withheld  # a result of more than 1 MiB may not leave


@pytest.mark.parametrize(
    "twin",
    [
        ('"method":"tools/call"', '"method":"tools/list","method":"tools/call"'),
        ('"method":"tools/call"', '"method":"tools/call","method":"tools/list"'),
        ('"method":"tools/call"', '"method":"tools/call","\\u006dethod":"tools/list"'),
        ('"method":"tools/call"', '"method":"tools/call","Method":"tools/list"'),
        ('"name":"echo"', '"name":"wipe","name":"echo"'),
        ('"name":"echo"', '"name":"echo","name":"wipe"'),
        ('"name":"echo"', '"name":"echo","n\\u0061me":"wipe"'),
        ('"name":"echo"', '"name":"echo","NAME":"wipe"'),
        ('"text":"x"', '"text":"y","text":"x"'),
        ('"text":"x"', '"text":"x","t\\u0065xt":"y"'),
        ('"arguments":{', '"arguments":{"text":"y"},"arguments":{'),
        ('"params":{', '"params":{},"params":{'),
        ('"params":{', '"Params":{},"params":{'),
        ('"id":1', '"id":2,"id":1'),
        ('"jsonrpc":"2.0"', '"jsonrpc":"2.0","jsonrpc":"1.0"'),
        ('"_meta":{', '"_meta":{},"_meta":{'),
    ],
    ids=lambda twin: twin[1],
)
def test_attack_56_a_name_that_comes_twice_is_refused_whichever_copy_is_harmless(ward: Ward, twin: tuple[str, str]):
    """Source: CVE-2026-27896."""
    body = json.dumps(
        modern_request("tools/call", {"name": "echo", "arguments": {"text": "x"}})[0], separators=(",", ":")
    )
    assert twin[0] in body
    with Line(ward) as line:
        assert line.post(body.encode()).status == 200
        answer = line.post(body.replace(twin[0], twin[1], 1).encode())
        assert answer.status == 400
        assert answer.json()["error"]["code"] in (-32700, -32600)


@pytest.mark.parametrize("count", [0, 1, 2, 10_000])
@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_attack_57_a_batch_is_refused_whole_in_every_revision(ward: Ward, count: int, era: str):
    """Source: MCP 2025-06-18 (batching removed); 2025-03-26 servers may refuse. Nothing in it runs."""
    one = modern_request("tools/call", {"name": "wipe", "arguments": {"what": "batch"}})[0]
    if era == "legacy":
        one = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": one["params"]}
    body = json.dumps([one] * count).encode()
    with Line(ward) as line:
        answer = line.post(body, version=VERSION if era == "modern" else "2025-06-18")
    said = answer.json()
    if era == "legacy" and 0 < count < 65:  # each under its own id; the session of a 2025-03-26 client lives on
        assert answer.status == 200
        assert [(error["id"], error["error"]["code"]) for error in said] == [(1, -32600)] * count
    else:
        assert answer.status == 400
        assert said["error"]["code"] in (-32600, -32700)
    assert not (ward.folder / "wiped.txt").exists()


GOOD_IDS = ["0", "-1", "9007199254740991", "-9007199254740991", '"a"', '""', '"1"', '"%s"' % ("x" * 256), '"\\u0000"']
BAD_IDS = [
    "null",
    "1.0",
    "1.5",
    "true",
    "false",
    "{}",
    "[]",
    "[1]",
    '{"a":1}',
    "1e400",
    "1e2",
    "9007199254740992",
    "-9007199254740992",
    "18446744073709551616",
    "1" * 400,
    '"%s"' % ("x" * 257),
    "-0.0",
    "1E0",
]


@pytest.mark.parametrize("id", [*GOOD_IDS, *BAD_IDS], ids=lambda text: text[:24])
def test_attack_58_an_id_is_a_string_or_an_integer_that_all_parsers_read_alike(ward: Ward, id: str):
    """Source: JSON-RPC 2.0 §4, MCP base protocol (never null), RFC 8259 §6."""
    with Line(ward) as line:
        answer = line.post(around(id.encode(), "id"))
    if id in GOOD_IDS:
        assert answer.status == 200
        assert json.dumps(answer.json()["id"]) == json.dumps(json.loads(id))
        assert type(answer.json()["id"]) is type(json.loads(id))
    else:
        assert answer.status == 400
        assert answer.json()["error"]["code"] in (-32600, -32700)
        assert answer.json().get("id") is None
