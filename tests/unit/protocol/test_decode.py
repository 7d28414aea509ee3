"""Bodies into messages: attacks 54-58, and whatever hypothesis can think of."""

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcpward.core.errors import Refusal
from mcpward.core.jsonio import DEFAULT_BOUNDS, Bounds
from mcpward.core.reasons import Reason
from mcpward.protocol.decode import Message, arguments_of, message_of, parse
from support.cost import cost_of
from support.facts import facts_of


def decode(body: bytes, bounds: Bounds) -> Message:
    value, is_spelt = parse(body, bounds)
    return message_of(value, is_spelt=is_spelt)


def arguments(body: bytes) -> bytes:
    return arguments_of(decode(body, DEFAULT_BOUNDS), body)


def refused(body: bytes) -> Refusal:
    with pytest.raises(Refusal) as no:
        decode(body, DEFAULT_BOUNDS)
    return no.value


def test_a_request_is_read() -> None:
    message = decode(b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"cursor":"x"}}', DEFAULT_BOUNDS)
    assert (message.method, message.params, message.is_request, message.id) == ("tools/list", {"cursor": "x"}, True, 7)


def test_a_notification_is_no_request() -> None:
    message = decode(b'{"jsonrpc":"2.0","method":"notifications/initialized"}', DEFAULT_BOUNDS)
    assert not message.is_request
    assert message.id is None


def test_null_params_mean_none() -> None:
    assert decode(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":null}', DEFAULT_BOUNDS).params == {}


def test_54_every_text_that_must_be_refused_is_unparsable(corpora) -> None:
    cases = json.loads((corpora / "json_parsing.json").read_text())
    wrong = [
        name
        for name, text in cases.items()
        if name.startswith("n_") and refused(base64.b64decode(text)).reason is not Reason.MESSAGE_UNPARSABLE
    ]
    assert wrong == []


def test_54_every_text_that_must_be_accepted_is_json_but_no_message(corpora) -> None:
    cases = json.loads((corpora / "json_parsing.json").read_text())
    # Repeated names are well-formed JSON; here they are refused on purpose (attack 56).
    twins = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}
    wrong = [
        name
        for name, text in cases.items()
        if name.startswith("y_")
        and name not in twins
        and refused(base64.b64decode(text)).reason is not Reason.MESSAGE_MALFORMED
    ]
    assert wrong == []


def test_54_texts_of_free_choice_are_refused_without_breaking(corpora) -> None:
    cases = json.loads((corpora / "json_parsing.json").read_text())
    for name, text in cases.items():
        if name.startswith("i_"):
            assert refused(base64.b64decode(text)).reason in {Reason.MESSAGE_UNPARSABLE, Reason.MESSAGE_MALFORMED}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000, id="depth"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="depth-closed"),
        pytest.param(b"[" + b"1," * 1_000_000 + b"1]", id="array"),
        pytest.param(b"{" + b",".join(b'"%d":1' % n for n in range(350_000)) + b"}", id="members"),
    ],
)
def test_55_an_expensive_text_is_refused_cheaply(body: bytes) -> None:
    assert len(body) <= 4 * 1024 * 1024  # the edge lets nothing longer in
    assert refused(body).reason is Reason.MESSAGE_UNPARSABLE
    assert cost_of(lambda: refused(body)) < 2.5


def test_55_a_long_string_is_no_message() -> None:
    assert refused(b'"' + b"x" * 10_000_000 + b'"').reason is Reason.MESSAGE_MALFORMED


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","n\\u0061me":"b"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1,"x":2}}}',
    ],
)
def test_56_a_repeated_name_is_refused_at_every_depth(body: bytes) -> None:
    assert refused(body).reason is Reason.MESSAGE_UNPARSABLE


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","ID":2}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","param\xc5\xbf":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","ARGUMENTS":{}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_META":{}}}',
    ],
)
def test_56_a_name_in_another_case_is_refused(body: bytes) -> None:
    no = refused(body)
    assert no.reason is Reason.MESSAGE_MALFORMED
    assert facts_of(no)["rpc_id"] == 1


@pytest.mark.parametrize("count", [0, 1, 2, 10_000])
def test_57_a_batch_is_refused(count: int) -> None:
    one = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert refused(b"[" + b",".join([one] * count) + b"]").reason is Reason.MESSAGE_MALFORMED


@pytest.mark.parametrize(
    "number",
    [
        b"null",
        b"1.0",
        b"1.5",
        b"true",
        b"{}",
        b"[]",
        b"9007199254740992",
        b"-9007199254740992",
        b"1e3",
        b'"' + b"x" * 257 + b'"',
    ],
)
def test_58_an_id_that_parsers_read_differently_is_refused(number: bytes) -> None:
    no = refused(b'{"jsonrpc":"2.0","id":%b,"method":"ping"}' % number)
    assert no.reason is Reason.MESSAGE_MALFORMED
    assert "rpc_id" not in facts_of(no)


def test_58_an_id_beyond_a_double_is_refused() -> None:
    assert refused(b'{"jsonrpc":"2.0","id":1e400,"method":"ping"}').reason is Reason.MESSAGE_UNPARSABLE


@pytest.mark.parametrize("number", [0, -1, 9007199254740991, -9007199254740991, "", "1", "ü", "x" * 256])
def test_58_an_id_that_all_read_alike_is_taken_as_it_is(number) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "ping"}).encode()
    message = decode(body, DEFAULT_BOUNDS)
    assert message.id == number
    assert type(message.id) is type(number)


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","error":null}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"method":""}',
        b'{"jsonrpc":"2.0","id":1,"method":7}',
        b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
        b'{"jsonrpc":2.0,"id":1,"method":"ping"}',
        b'{"id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}',
        b'"ping"',
        b"null",
        b"{}",
    ],
)
def test_json_that_is_no_request_or_notification_is_malformed(body: bytes) -> None:
    assert refused(body).reason is Reason.MESSAGE_MALFORMED


@pytest.mark.parametrize(
    "body", [b"", b" ", b"\xef\xbb\xbf{}", b"\xff", b"{", b"{}{}", b'{"a":NaN}', "{}".encode("utf-16")]
)
def test_what_is_not_one_json_text_is_unparsable(body: bytes) -> None:
    assert refused(body).reason is Reason.MESSAGE_UNPARSABLE


def test_arguments_are_kept_byte_for_byte() -> None:
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{ "x" : 1.0,"y":"\\u00e9" }}}'
    )
    assert arguments(body) == b'{ "x" : 1.0,"y":"\\u00e9" }'


@pytest.mark.parametrize(
    "raw",
    [
        "{}",
        '{"x":1.0,"y":"\u00e9"}',
        '{"x":1e2}',
        '{"a":"\\/"}',
        '{"a":-0}',
        '{"a" :1}',
        '{"a":"\\u0001"}',
    ],
)
@pytest.mark.parametrize("rest", ["", " "])
def test_arguments_are_kept_byte_for_byte_however_they_are_spelt(raw: str, rest: str) -> None:
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a","arguments":{raw}}}}}{rest}'.encode()
    assert arguments(body) == raw.encode()


def test_an_escaped_name_is_the_same_name_for_both_decoders() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","p\\u0061rams":{"name":"a","argum\\u0065nts":{"x":1}}}'
    assert decode(body, DEFAULT_BOUNDS).params["arguments"] == {"x": 1}
    assert arguments(body) == b'{"x":1}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | JSON,
        "id": st.integers() | st.text(max_size=300) | JSON,
        "method": st.sampled_from(["ping", "tools/call", "initialize"]) | JSON,
        "params": st.fixed_dictionaries({}, optional={"name": JSON, "arguments": JSON, "_meta": JSON, "Name": JSON})
        | JSON,
        "Method": JSON,
        "result": JSON,
    },
)


def judged(body: bytes) -> None:
    """Only two things may happen: a message, or a refusal."""
    try:
        message: Message | Refusal = decode(body, DEFAULT_BOUNDS)
    except Refusal as no:
        message = no
    if isinstance(message, Refusal):
        assert message.reason in {Reason.MESSAGE_UNPARSABLE, Reason.MESSAGE_MALFORMED}
    elif "arguments" in message.params:
        assert json.loads(arguments(body)) == json.loads(body)["params"]["arguments"]


@given(MESSAGE)
@example({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a", "arguments": None}})
def test_any_object_is_read_or_refused(message) -> None:
    judged(json.dumps(message).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    judged(body)


@given(st.data())
def test_any_damage_to_a_good_message_is_read_or_refused(data) -> None:
    good = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[1,{"y":"z"}]}}}'
    at = data.draw(st.integers(0, len(good) - 1))
    cut = data.draw(st.integers(0, 3))
    judged(good[:at] + data.draw(st.binary(max_size=3)) + good[at + cut :])
