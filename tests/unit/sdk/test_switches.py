"""Switching what was declared, and telling those who listen: from any thread, once for each change."""

from threading import Barrier, Thread

import pytest

from mcpward import Server
from mcpward.core.change import Change, Topic
from mcpward.sdk.errors import AuthoringError


@pytest.fixture
def server() -> Server:
    server = Server("shop")
    server.tool("act")(lambda: None)
    server.tool("off", enabled=False)(lambda: None)
    server.prompt("ask")(lambda: "")
    server.resource("orders://all", name="all")(lambda: "")

    @server.resource("orders://{number}/lines")
    def lines(number: int) -> str: ...

    return server


@pytest.mark.parametrize(
    "what,topic",
    [
        ({"tool": "act"}, Topic.TOOLS),
        ({"prompt": "ask"}, Topic.PROMPTS),
        ({"resource": "orders://all"}, Topic.RESOURCES),
        ({"resource": "orders://{number}/lines"}, Topic.RESOURCES),
    ],
)
def test_each_switch_is_told_once_with_its_list(server, what, topic):
    told: list[Change] = []
    turned: list[tuple[Topic, str, bool]] = []
    server.watch(told.append)
    server.watch_switches(lambda *turn: turned.append(turn))
    name = next(iter(what.values()))
    server.disable(**what)
    server.disable(**what)
    assert (topic, name) in server.off
    server.enable(**what)
    server.enable(**what)
    assert (topic, name) not in server.off
    assert told == [Change("shop", topic)] * 2
    assert turned == [(topic, name, False), (topic, name, True)]


def test_what_is_declared_off_is_off_until_it_is_enabled(server):
    assert server.off == {(Topic.TOOLS, "off")}
    server.enable(tool="off")
    assert server.off == frozenset()


@pytest.mark.parametrize(
    "what",
    [{"tool": "nobody"}, {"prompt": "act"}, {"resource": "orders://1/lines"}, {}, {"tool": "act", "prompt": "ask"}],
)
def test_only_one_thing_that_is_declared_is_switched(server, what):
    for switch in (server.enable, server.disable):
        with pytest.raises(AuthoringError):
            switch(**what)


def test_what_another_process_switched_is_taken_over_without_a_word(server):
    told: list[object] = []
    server.watch(told.append)
    server.watch_switches(lambda *turn: told.append(turn))
    server.adopt(Topic.TOOLS, "act", on=False)
    server.adopt(Topic.TOOLS, "nobody", on=False)
    server.adopt(Topic.TASK, "act", on=False)
    assert server.off == {(Topic.TOOLS, "off"), (Topic.TOOLS, "act")}
    assert told == []


@pytest.mark.parametrize("uri", ["orders://all", "orders://17/lines"])
def test_an_update_names_its_uri(server, uri):
    told: list[Change] = []
    server.watch(told.append)
    server.resource_updated(uri)
    assert told == [Change("shop", Topic.RESOURCE, uri)]


@pytest.mark.parametrize("uri", ["orders://none", "orders://{number}/lines", "orders://../lines"])
def test_an_update_of_what_nobody_can_read_is_a_mistake(server, uri):
    with pytest.raises(AuthoringError, match="not declared"):
        server.resource_updated(uri)


def test_no_switch_is_lost_between_threads():
    server = Server("shop")
    names = [f"t{n}" for n in range(40)]
    for name in names:
        server.tool(name)(lambda: None)
    start = Barrier(4)

    def work(own: list[str]) -> None:
        start.wait(5)
        for name in own:
            server.disable(tool=name)

    threads = [Thread(target=work, args=(names[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert server.off == {(Topic.TOOLS, name) for name in names}
