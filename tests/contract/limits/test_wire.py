"""One connection: a write for all commands of a turn, answers in order, and no wrong answer is believed."""

import asyncio
import time

import pytest
import uvloop

from mcpward.limits.rates.shared_port import StoreDown
from mcpward.limits.redis.resp import RespConnection, SentCommand
from mcpward.limits.redis.script import Command, Script, bulk
from support.drains import draw, passing, rate

PING = Command.of("PING")


class Peer:
    """A server that says what a test wants, to whatever it is sent."""

    def __init__(self, *says: bytes) -> None:
        self.says = list(says)
        self.heard: list[bytes] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    async def _answer(self, reader, writer):
        self._writers.append(writer)
        while heard := await reader.read(1_000_000):
            self.heard.append(heard)
            if self.says:
                writer.write(self.says.pop(0))


class Line:
    """A connection to a peer, and its answers."""

    def __init__(self, timeout_s=0.2):
        self.errors: list[str] = []
        self.lost: list[str] = []
        self.wire = RespConnection(timeout_s, self._error, self._gone)

    async def connect(self, port):
        await asyncio.get_running_loop().create_connection(lambda: self.wire, "127.0.0.1", port)
        return self

    def ask(self, command=PING):
        answer = asyncio.get_running_loop().create_future()
        self.wire.send(SentCommand(command, answer))
        return answer

    def _error(self, wire, asked, text):
        self.errors.append(text)
        asked.fail(StoreDown(text))

    def _gone(self, wire, unanswered, why):
        self.lost.append(why)
        for asked in unanswered:
            asked.fail(StoreDown(why))


async def test_all_commands_of_a_turn_leave_in_one_write_and_answers_come_in_order():
    async with Peer(b"".join(b":%d\r\n" % n for n in range(100))) as peer:
        line = await Line().connect(peer.port)
        assert await asyncio.gather(*(line.ask() for _ in range(100))) == list(range(100))
        assert len(peer.heard) == 1
        line.wire.close()


async def test_a_hundred_takes_of_a_turn_reach_redis_in_a_read_or_two(redis_server, join):
    counters = await join(redis_server.url)

    def reads():
        return redis_server.run("INFO", "stats")["total_reads_processed"]

    await passing(counters, 1, draw(rate(50)))
    before = reads()
    between = reads() - before
    before = reads()
    assert await passing(counters, 100, draw(rate(50))) == 49
    assert reads() - before - between <= 3


async def test_an_answer_in_pieces_is_one_answer():
    async with Peer(b"$5\r\nhe") as peer:
        line = await Line().connect(peer.port)
        answer = line.ask()
        await asyncio.sleep(0.02)
        assert not answer.done()
        peer._writers[0].write(b"llo\r\n")
        assert await answer == b"hello"
        line.wire.close()


@pytest.mark.parametrize("says", [b"+OK\r\n+more\r\n", b"hello\r\n", b"\x16\x03\x01", b"*-7\r\n", b"$99999999999\r\n"])
async def test_who_does_not_speak_the_protocol_is_left(says):
    async with Peer(says, b"", b"") as peer:
        line = await Line().connect(peer.port)
        await asyncio.gather(line.ask(), return_exceptions=True)
        with pytest.raises(StoreDown):
            await line.ask()
        assert line.lost


async def test_an_answer_that_is_late_ends_the_connection_and_everything_on_it():
    async with Peer(b"+OK\r\n") as peer:
        line = await Line(timeout_s=0.1).connect(peer.port)
        assert await line.ask() == b"OK"
        began = asyncio.get_running_loop().time()
        told = await asyncio.gather(*(line.ask() for _ in range(5)), return_exceptions=True)
        assert [str(each) for each in told] == ["no answer in 0.1 s"] * 5
        assert 0.09 <= asyncio.get_running_loop().time() - began < 0.3


async def test_a_command_after_the_end_fails():
    async with Peer() as peer:
        line = await Line().connect(peer.port)
        line.wire.close("over")
        with pytest.raises(StoreDown):
            await line.ask()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_loop_that_stood_still_takes_the_answer_that_lies_ready(redis_server, run):
    """The server answered in time; it was this process that did not look."""

    async def stand_still():
        line = await Line(timeout_s=0.1).connect(redis_server.port)
        answer = line.ask()
        await asyncio.sleep(0)  # sent
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            pass
        assert await answer == b"PONG"
        line.wire.close()

    run(stand_still())


def test_words_are_written_as_they_are():
    assert bulk("a", 7, b"\r\n", "ü") == b"$1\r\na\r\n$1\r\n7\r\n$2\r\n\r\n\r\n$2\r\n\xc3\xbc\r\n"
    assert Command.of("GET", "x").packed() == b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n"


def test_a_script_is_asked_for_by_digest_and_sent_whole_when_it_is_not_known():
    script = Script("take.lua")
    command = Command.running(script, ["k"], ["a"])
    assert command.packed().startswith(b"*5\r\n$7\r\nEVALSHA\r\n$40\r\n")
    assert script.text.encode() in command.packed(with_text=True)
    assert command.packed().endswith(b"$1\r\n1\r\n$1\r\nk\r\n$1\r\na\r\n")
