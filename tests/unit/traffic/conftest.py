from types import SimpleNamespace

import pytest

from mcpward.traffic.trail import Traffic
from mcpward.traffic.writer import Writer
from support.clock import ManualClock
from support.sink import SqliteSink

SECRET = b"hunter2-correct-horse"


def redact(text: bytes) -> bytes:
    return text.replace(SECRET, b"***")


@pytest.fixture
def house(tmp_path):
    """Builds the package on a real table: ``house(queue=…, keep_arguments=…)``."""

    def build(*, keep_arguments=True, **settings):
        clock, sink = ManualClock(), SqliteSink(tmp_path / "traffic.db")
        writer = Writer(sink, clock, **settings)
        traffic = Traffic(writer, clock, redact, keep_arguments)

        async def kept():
            """All rows, once everything that waits is written."""
            await writer.start()
            await writer.stop()
            return sink.rows()

        return SimpleNamespace(clock=clock, sink=sink, writer=writer, traffic=traffic, kept=kept)

    return build
