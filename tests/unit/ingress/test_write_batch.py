"""Answers of one turn of the loop leave together, and none of them is lost or overtaken."""

import asyncio

import pytest

from mcpward.ingress.write_batch import WriteBatch
from support.one import Bytes, House, request


async def answered(house: House) -> None:
    """One request, up to the moment at which its answer waits for the end of the turn."""
    house.connection.data_received(request())
    await asyncio.sleep(0)
    assert house.arrivals
    assert not house.transport.written


async def test_an_answer_leaves_with_the_turn():
    house = House()

    await answered(house)
    await asyncio.sleep(0)

    assert house.transport.written.endswith(b'{"got":{"n":1}}')


@pytest.mark.parametrize("how", ["its peer says no more", "the server stops", "the house closes it"])
async def test_who_is_answered_gets_the_answer_whoever_ends_the_connection(how):
    house = House()
    await answered(house)

    match how:
        case "its peer says no more":
            house.connection.eof_received()
            house.transport.close()  # as the loop does then
        case "the server stops":
            house.connection.shutdown()
        case _:
            house.connection.data_received(b"no HTTP at all\r\n\r\n")

    assert b'{"got":{"n":1}}' in house.transport.written


async def test_answers_leave_in_the_order_of_their_requests():
    house = House()

    await house.take([request(b"1") + request(b"2") + request(b"3")])

    assert [part[:1] for part in house.transport.written.split(b'{"got":')[1:]] == [b"1", b"2", b"3"]


async def test_a_call_that_keeps_the_loop_busy_holds_up_sixteen_answers_and_no_more():
    box, transport = WriteBatch(), Bytes()

    for _ in range(15):
        box.put(transport, b".")
    assert transport.written == b""
    box.put(transport, b".")

    assert transport.written == b"." * 16


async def test_what_is_long_does_not_wait():
    box, transport = WriteBatch(), Bytes()

    box.put(transport, b"first")
    box.put(transport, b"x" * 17_000)

    assert transport.written == b"first" + b"x" * 17_000


async def test_what_was_closed_meanwhile_is_not_written_to_and_the_others_are():
    box, gone, here = WriteBatch(), Bytes(), Bytes()

    box.put(gone, b"for nobody")
    box.put(here, b"for somebody")
    gone.abort()
    await asyncio.sleep(0)

    assert (gone.written, here.written) == (b"", b"for somebody")


async def test_a_transport_that_fails_takes_no_other_answer_with_it_and_the_log_is_told(caplog):
    box, before, broken, behind = WriteBatch(), Bytes(), Bytes(), Bytes()

    def fail(_: bytes) -> None:
        raise RuntimeError("Cannot call write() after write_eof()")

    broken.write = fail  # type: ignore[method-assign,assignment]  # it fails
    for transport in (before, broken, behind):
        box.put(transport, b"answer")
    await asyncio.sleep(0)

    assert (before.written, behind.written) == (b"answer", b"answer")
    assert broken.closed
    assert [record.getMessage() for record in caplog.records] == [
        "an answer could not be written: its connection ends (RuntimeError)"
    ]
