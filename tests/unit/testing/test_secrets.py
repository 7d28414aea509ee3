"""Secrets in an author's own tests: given by name, apart for each server, and renewed while tools hold them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from mcpward.core.errors import Misconfigured
from mcpward.core.secret import Secret
from mcpward.sdk.environment import env
from mcpward.testing import client

TOOLS = '''
from mcpward import Server, env

server = Server("shop")
HELD = env.get("HELD", "none")
BEARER = HELD.template("Bearer {}")


@server.tool(read_only=True)
async def size(name: str) -> int:
    """Length of a secret."""
    return len(getattr(env, name).reveal())


@server.tool(read_only=True)
async def held() -> list[int]:
    """Lengths of a secret that was read at import, and of a header made of it."""
    return [len(HELD.reveal()), len(BEARER.reveal())]


@server.tool(read_only=True)
async def say(text: str) -> str:
    """Give a text back."""
    return text
'''


@contextmanager
def tools(folder: Path, body: str = TOOLS) -> Iterator[Path]:
    file = folder / "shop.py"
    file.write_text(dedent(body))
    yield file


async def test_a_renewed_secret_is_seen_by_whoever_holds_it_and_the_old_value_stays_hidden(tmp_path):
    with tools(tmp_path) as source:
        async with client(source, secrets={"HELD": "canary-one"}, name="shop") as shop:
            assert (await shop.call("held")).value == [10, 17]
            env.renew("shop", "HELD", Secret("canary-number-two", "HELD"))
            assert (await shop.call("held")).value == [17, 24]
            assert (await shop.call("size", name="HELD")).value == 17
            for value in ("canary-one", "canary-number-two"):
                assert (await shop.call("say", text=f"it was {value}")).text == "it was [redacted]"


async def test_a_secret_that_is_removed_is_no_empty_credential(tmp_path):
    with tools(tmp_path) as source:
        async with client(source, secrets={"HELD": "canary-three"}, name="shop") as shop:
            env.renew("shop", "HELD", None)
            for call in (shop.call("held"), shop.call("size", name="HELD")):
                failed = await call
                assert failed.reason == "tool-failed"
                assert "the secret HELD is not set" in failed.detail
            env.renew("shop", "HELD", Secret("canary-four", "HELD"))
            assert (await shop.call("held")).value == [11, 18]


async def test_a_new_value_is_hidden_before_any_tool_has_read_it(tmp_path):
    with tools(tmp_path) as source:
        async with client(source, secrets={}, name="shop") as shop:
            env.renew("shop", "NEVER_READ", Secret("canary-never-read", "NEVER_READ"))
            assert (await shop.call("say", text="canary-never-read")).text == "[redacted]"


async def test_two_servers_that_are_open_at_once_have_their_own_secrets(tmp_path):
    with tools(tmp_path) as source:
        one = client(source, secrets={"ONE": "canary-1"}, name="one")
        two = client(source, secrets={"TWO": "canary-22"}, name="two")
        async with one as first, two as second:
            assert (await first.call("size", name="ONE")).value == 8
            assert (await second.call("size", name="TWO")).value == 9
            for caller, name in ((first, "TWO"), (second, "ONE")):
                assert f"the secret {name} is not set" in (await caller.call("size", name=name)).detail


async def test_a_file_that_is_not_fit_refuses_the_start_at_the_line_that_asks(tmp_path):
    (tmp_path / "HELD").write_text("canary-that-others-may-change")
    (tmp_path / "HELD").chmod(0o666)
    body = "from mcpward import Server, env\nserver = Server('shop')\nHELD = env.HELD\n"
    with tools(tmp_path, body) as source, pytest.raises(Misconfigured) as refused:
        async with client(source, settings={"secrets.files": [str(tmp_path)]}):
            pass
    (finding,) = refused.value.findings
    assert finding.what == f"the secret HELD cannot be read: {tmp_path}/HELD: other users may change it"
    assert finding.where.endswith("shop.py:3")
    assert finding.hint == f"chmod go-w {tmp_path}/HELD"


@pytest.mark.parametrize(
    "body",
    [
        "return env.WANTED.reveal()",
        "return other()",
        "return [inner() for _ in 'a'][0]",
        "return Shop().sell()",
        "shop = Shop()\n                return shop.sell()",
        "return SHOP.sell()",
        "from mcpward import env as secrets\n                return secrets.WANTED.reveal()",
        "return mcpward.env.WANTED.reveal()",
        "return getattr(env, 'WANTED').reveal()",
        "return str(env.path('WANTED'))",
        "return (lambda: env.WANTED.reveal())()",
    ],
)
async def test_a_start_can_refuse_what_a_function_would_miss(tmp_path, body):
    source = f'''
            import mcpward
            from mcpward import Server, env

            server = Server("shop")

            def other():
                return inner()

            def inner():
                return env.WANTED.reveal()

            class Shop:
                def sell(self):
                    return self.price

                @property
                def price(self):
                    return inner()

            SHOP = Shop()

            @server.tool(read_only=True)
            async def sell() -> str:
                """Sell."""
                {body}
        '''
    with tools(tmp_path, source) as file:
        with pytest.raises(Misconfigured) as refused:
            async with client(file, name="shop", settings={"secrets.missing": "refuse"}):
                pass
        (finding,) = refused.value.findings
        assert finding.what == "shop: tool sell asks for WANTED, which is set nowhere"
        assert finding.hint == "mcpward secret set WANTED --server shop"
        assert "shop.py:" in finding.where
        async with client(file, name="shop", secrets={"WANTED": "w"}, settings={"secrets.missing": "refuse"}) as shop:
            assert await shop.tools()


@pytest.mark.parametrize(
    "body",
    [
        "return str(env.get('WANTED'))",
        "return env.get('WANTED', 'nothing').reveal()",
        "return str(getattr(env, 'WANTED', None))",
        "return env.text('WANTED', 'nothing')",
        "env = Server('other')\n                return env.name",
    ],
)
async def test_what_a_function_can_do_without_is_not_missing(tmp_path, body):
    source = f'''
            from mcpward import Server, env

            server = Server("shop")

            @server.tool(read_only=True)
            async def sell() -> str:
                """Sell."""
                {body}
        '''
    with tools(tmp_path, source) as file:
        async with client(file, name="shop", settings={"secrets.missing": "refuse"}) as shop:
            assert isinstance((await shop.call("sell")).text, str)
