"""A lifespan that cannot be one is refused with its line, and its yielded value is no argument of a tool."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Self

import pytest

from mcpward import Caller, Server
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.signature import where


@dataclass
class Shop:
    name: str = "shop"


class Opened:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


@asynccontextmanager
async def shop() -> AsyncIterator[Shop]:
    yield Shop()


@asynccontextmanager
async def of_server(server: Server) -> AsyncIterator[Shop]:
    yield Shop(server.name)


@asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    yield


def made() -> AbstractAsyncContextManager[Shop]:
    return shop()


@contextmanager
def not_async() -> Iterator[Shop]:
    yield Shop()


async def bare() -> AsyncIterator[Shop]:
    yield Shop()


async def returns() -> Shop:
    return Shop()


@asynccontextmanager
async def unsaid():
    yield Shop()


@asynccontextmanager
async def untold() -> AsyncIterator[Any]:
    yield Shop()


@asynccontextmanager
async def a_dict() -> AsyncIterator[dict[str, Any]]:
    yield {}


@asynccontextmanager
async def perhaps() -> AsyncIterator[Shop | None]:
    yield None


@asynccontextmanager
async def two(server: Server, other: int) -> AsyncIterator[Shop]:
    yield Shop()


@pytest.mark.parametrize(
    "wrong, told",
    [
        (shop(), "was called: pass the function itself"),
        (not_async, "is not async: write @asynccontextmanager"),
        (bare, "lacks its decorator: write @asynccontextmanager"),
        (returns, "never yields"),
        (unsaid, "does not annotate the yielded type: async def lifespan() -> AsyncIterator[Shop]"),
        (untold, "does not annotate the yielded type"),
        (a_dict, "yields dict[str, Any], which a tool cannot tell from an argument"),
        (perhaps, "cannot tell from an argument"),
        (two, "takes nothing, or only the server; not 'other'"),
        (lambda: 1, "does not make an async context manager"),
        (Shop, "Shop has no __aenter__ and __aexit__"),
        ({"shop": shop}, "is a dict"),
    ],
)
def test_a_lifespan_that_cannot_be_one_is_refused_in_words_that_mend_it(wrong, told):
    with pytest.raises(AuthoringError) as refused:
        Server("shop", lifespan=wrong)
    assert "the lifespan of server 'shop'" in refused.value.what
    assert told in refused.value.what


def test_a_refused_lifespan_is_named_with_file_and_line():
    with pytest.raises(AuthoringError) as refused:
        Server("shop", lifespan=bare)  # type: ignore[arg-type]  # that is the mistake
    assert refused.value.where == where(bare)


@pytest.mark.parametrize(
    "lifespan, value", [(shop, Shop), (of_server, Shop), (made, Shop), (Opened, Opened), (nothing, type(None))]
)
def test_functions_classes_and_factories_are_lifespans(lifespan, value):
    found = Server("shop", lifespan=lifespan).lifespan
    assert found is not None
    assert found.value is value


def test_what_a_lifespan_yields_is_no_argument():
    server = Server("shop", lifespan=shop)

    @server.tool()
    def sell(item: str, at: Annotated[Shop, "here"], caller: Caller) -> str:
        """Sell."""
        return item

    (tool,) = server.tools
    assert list(tool.arguments.schema()["properties"]) == ["item"]
    assert tool.signature.lifespan == "at"


def test_only_one_parameter_takes_it():
    server = Server("shop", lifespan=shop)
    with pytest.raises(AuthoringError, match="two parameters ask for Shop"):

        @server.tool()
        def sell(one: Shop, two: Shop) -> None:
            """Sell."""


def test_a_function_for_the_start_takes_what_the_lifespan_yields_and_nothing_else():
    server = Server("shop", lifespan=shop)

    @server.on_start
    def warm(at: Shop) -> None: ...

    assert server.starts[0].parameter == "at"
    with pytest.raises(AuthoringError, match="on_stop function 'wrong': parameter 'caller'"):

        @server.on_stop
        def wrong(caller: Caller) -> None: ...

    with pytest.raises(AuthoringError, match="parameter 'path'"):

        @server.on_start
        def wanting(path: str) -> None: ...

    with pytest.raises(AuthoringError, match="without arguments"):
        server.on_start("name")  # type: ignore[type-var]  # that is the mistake


def test_functions_for_the_end_run_in_the_opposite_order():
    server = Server("shop")
    for name in ("one", "two"):

        def function() -> None: ...

        function.__name__ = name
        server.on_start(function)
        server.on_stop(function)
    assert [hook.name for hook in server.starts] == ["on_start function 'one'", "on_start function 'two'"]
    assert [hook.name for hook in server.stops] == ["on_stop function 'two'", "on_stop function 'one'"]
