"""A server's own start and end: once for each worker, around all of its calls; one that fails serves nothing."""

import json
import os
import signal
import threading

import httpx2
import pytest

from support.stops import children
from support.ward import SERVER, Ward, serving, text_of
from support.wire import notes, until

TOOLS = '''
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mcpward import Context, Server, env


def note(text):
    with open("notes.txt", "a") as file:
        file.write(f"{os.getpid()} {text}\\n")


@dataclass
class Shop:
    name: str
    is_open: bool = True


@asynccontextmanager
async def lifespan() -> AsyncIterator[Shop]:
    note("enter")
    shop = Shop("corner shop")
    try:
        yield shop
    finally:
        shop.is_open = False
        note("leave")


server = Server("demo", lifespan=lifespan)


@server.on_start
async def warm(shop: Shop) -> None:
    note(f"start {shop.name}")


@server.on_start
def warm_more() -> None:
    note("start more")


@server.on_stop
def count(shop: Shop) -> None:
    note(f"stop {shop.is_open}")


@server.on_stop
def broken() -> None:
    note("stop broken")
    raise RuntimeError("the cache has gone")


@server.tool(read_only=True)
async def wait(seconds: float, shop: Shop) -> str:
    """Wait in the shop."""
    note("began")
    await asyncio.sleep(seconds)
    note(f"ended {shop.is_open}")
    return shop.name


@server.tool(read_only=True)
def look(shop: Shop, context: Context) -> str:
    """Look into the shop, from a thread."""
    return f"{shop.name} {os.getpid()}"


@server.resource("demo://{part}")
def part(part: str, shop: Shop) -> str:
    """A part of the shop."""
    return f"{part} of {shop.name}"


@server.prompt()
async def greet(name: str, shop: Shop) -> str:
    """Greet somebody."""
    return f"Welcome {name} to the {shop.name}"


@server.completion(prompt="greet", argument="name")
async def names(value: str, shop: Shop) -> list[str]:
    """Who may come."""
    return [f"{value} of {shop.name}"]
'''


def written(folder, source: str = TOOLS, toml: str = "", **options):
    """Return a site with these tools, not started."""
    site = serving(folder, toml, start=False, **options)
    ward = site.__enter__()
    (folder / "tools.py").write_text(source)
    return site, ward


@pytest.fixture
def site(tmp_path):
    opened, ward = written(tmp_path)
    yield ward
    opened.__exit__(None, None, None)


def two_workers(ward: Ward) -> None:
    """Let it be served by two processes."""
    file = ward.folder / "mcpward.toml"
    file.write_text(file.read_text().replace("[site]\n", "[site]\nworkers = 2\n", 1))


def words(ward: Ward) -> list[str]:
    """The notes, without the processes."""
    return [line.split(" ", 1)[1] for line in notes(ward)]


def test_a_lifespan_is_entered_before_the_first_call_and_left_after_the_last_one(site):
    site.start()
    answer: list[httpx2.Response] = []
    thread = threading.Thread(target=lambda: answer.append(site.call("wait", {"seconds": 0.4})))
    thread.start()
    until(lambda: "began" in words(site))
    assert site.stop() == 0
    thread.join(20)
    assert text_of(answer[0]) == "corner shop"
    assert words(site) == [
        "enter", "start corner shop", "start more", "began", "ended True", "stop broken", "stop True", "leave",
    ]  # fmt: skip
    assert "RuntimeError: the cache has gone" in site.log()
    assert "tools.py:" in site.log()


def test_tools_resources_prompts_and_completions_get_what_it_yields(site):
    site.start()
    assert text_of(site.call("look")).startswith("corner shop ")
    listed = site.modern("tools/list").json()["result"]["tools"]
    assert listed[1]["inputSchema"].get("properties", {}) == {}
    refused = text_of(site.call("look", {"shop": {"name": "mine"}}))
    assert "shop" in refused
    read = site.modern("resources/read", {"uri": "demo://door"}, name="demo://door").json()
    assert read["result"]["contents"][0]["text"] == "door of corner shop"
    got = site.modern("prompts/get", {"name": "greet", "arguments": {"name": "Ann"}}, name="greet").json()
    assert got["result"]["messages"][0]["content"]["text"] == "Welcome Ann to the corner shop"
    reference = {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "name", "value": "An"}}
    completed = site.modern("completion/complete", reference).json()
    assert completed["result"]["completion"]["values"] == ["An of corner shop"]


def test_each_worker_starts_and_stops_once(tmp_path):
    opened, ward = written(tmp_path, servers=SERVER)
    two_workers(ward)
    try:
        ward.start()
        until(lambda: words(ward).count("start more") == 2, 30)
        assert ward.stop() == 0
        assert words(ward).count("enter") == 2
        assert words(ward).count("leave") == 2
        assert len({line.split(" ", 1)[0] for line in notes(ward)}) == 2
    finally:
        opened.__exit__(None, None, None)


FAILING = """import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from mcpward import Server, env


def connect():
    {line}


class Client:
    pass


@asynccontextmanager
async def lifespan() -> AsyncIterator[Client]:
    connect()
    yield Client()


server = Server("demo", lifespan=lifespan)


@server.tool(read_only=True)
def look(client: Client) -> str:
    '''Look.'''
    return "seen"
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_that_fails_is_named_with_the_authors_line_and_nothing_is_served(tmp_path, workers):
    url, pin = "postgresql://ann:a/b@{env.DB_PASSWORD.reveal()}@db/", "{os.environ['DB_PIN']}"
    line = f'raise OSError(f"no way to {url} with {pin}")'
    env = {"DB_PASSWORD": "hunter2hunter2", "DB_PIN": "hunter2pin"}
    opened, ward = written(tmp_path, FAILING.replace("{line}", line), servers=SERVER, env=env)
    try:
        if workers > 1:
            two_workers(ward)
        assert ward.launch().wait(50) == 2
        ward.process = None
        log = ward.log()
        assert log.count("error: ") == 1
        said = "the lifespan of server 'demo' failed: OSError: no way to postgresql://[redacted]@db/ with [redacted]"
        assert f"error: tools.py:8: {said}" in log
        assert "hunter2" not in log
        assert "Traceback" not in log
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{ward.base}/healthz", timeout=2)
    finally:
        opened.__exit__(None, None, None)


def test_a_worker_that_takes_the_place_of_another_and_does_not_start_says_why_and_the_others_serve(tmp_path):
    line = 'if os.path.exists("break"): raise OSError("no way")'
    opened, ward = written(tmp_path, FAILING.replace("{line}", line), servers=SERVER)
    try:
        two_workers(ward)
        ward.start()
        (tmp_path / "break").touch()
        os.kill(max(children(ward.running.pid)), signal.SIGKILL)  # the first one tried the source
        until(lambda: "a worker cannot start" in ward.log(), 20)
        assert ward.running.poll() is None
        told = next(json.loads(line) for line in ward.log().splitlines() if "a worker cannot start" in line)
        assert told["what"] == "the lifespan of server 'demo' failed: OSError: no way"
        assert told["where"] == "tools.py:8"
    finally:
        opened.__exit__(None, None, None)


EARLY = """
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from mcpward import Server


class Feed:
    pass


async def follow() -> None:
    while not Path("break").exists():
        await asyncio.sleep(0.01)
    raise OSError("the feed has gone")


@asynccontextmanager
async def lifespan() -> AsyncIterator[Feed]:
    async with asyncio.TaskGroup() as group:
        group.create_task(follow())
        yield Feed()


server = Server("demo", lifespan=lifespan)


@server.tool(read_only=True)
def look(feed: Feed) -> str:
    '''Look.'''
    return "seen"


@server.tool(read_only=True)
def other() -> str:
    '''Needs nothing.'''
    return "seen"
"""


def test_a_lifespan_that_breaks_while_it_is_served_fails_the_calls_that_need_it_and_no_others(tmp_path):
    opened, ward = written(tmp_path, EARLY)
    try:
        ward.start()
        assert text_of(ward.call("look")) == "seen"
        (tmp_path / "break").touch()
        until(lambda: httpx2.get(f"{ward.base}/readyz").status_code == 503)
        assert httpx2.get(f"{ward.base}/readyz").json()["waiting_for"] == "lifespan"
        assert "the tool failed" in text_of(ward.call("look"))
        assert text_of(ward.call("other")) == "seen"
        assert "OSError: the feed has gone" in ward.log()
        assert "tools.py:16" in ward.log()
        assert ward.stop() == 0
    finally:
        opened.__exit__(None, None, None)
