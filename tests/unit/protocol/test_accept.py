"""Accept: 406 only for clients that can read neither answer; a stream only for those who name it."""

import pytest

from mcpward.protocol.accept import accepts_json, may_stream


@pytest.mark.parametrize(
    "accept, json, stream",
    [
        (b"", True, False),
        (b" ", True, False),
        (b"*/*", True, False),
        (b"application/json", True, False),
        (b"application/*", True, False),
        (b"application/json, text/event-stream", True, True),
        (b"Application/JSON;q=0.9 , TEXT/event-stream ; q=0.1", True, True),
        (b"text/event-stream", False, True),
        (b"text/event-stream;q=0, */*", True, False),
        (b"application/json;q=0, */*", False, False),
        (b"application/json;q=0.000", False, False),
        (b"*/*;q=0", False, False),
        (b"text/html", False, False),
        (b"text/html, */*;q=0.1", True, False),
        (b"text/event-streams", False, False),
        (b"application/jsonx", False, False),
        (b";;;,,,=q", False, False),
        (b"\xff\xfe", False, False),
    ],
)
def test_what_a_client_reads(accept, json, stream) -> None:
    assert accepts_json(accept) is json
    assert may_stream(accept) is stream
