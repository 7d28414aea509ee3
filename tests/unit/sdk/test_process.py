"""``mcpward.run``: programs without a shell, with secrets where other users do not see them, and with an end."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from mcpward import Context, RunFailed, Server, run
from mcpward.core.secret import Secret
from mcpward.sdk.errors import AuthoringError
from mcpward.testing import client
from support.wire import until

VALUE = "s3cr3t-Canary"
HERE = Path(__file__).resolve()


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


async def test_a_program_runs_and_its_output_comes_back() -> None:
    done = await run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert (done.code, done.stdout, done.stderr, done.text) == (3, b"out\n", b"err\n", "out\n")
    assert "out" not in repr(done)
    with pytest.raises(RunFailed, match="ended with 3"):
        done.check()
    assert (await run(["true"])).check().code == 0


@pytest.mark.parametrize("word", ["$(id)", "`id`", "; id", "a b", "*", "$HOME", "|id", "&& id", "\n", "'", '"', "-"])
async def test_an_argument_arrives_as_it_is(word: str) -> None:
    done = await run(python("import sys, json; print(json.dumps(sys.argv[1:]))", word))
    assert json.loads(done.text) == [word]


async def test_a_secret_reaches_the_environment_and_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPWARD_MASTER_KEY", VALUE)
    monkeypatch.setenv("LD_PRELOAD_LIKE", VALUE)
    code = "import os, sys, json; print(json.dumps([dict(os.environ), sys.stdin.read()]))"
    secret = Secret(VALUE, "PGPASSWORD")
    done = await run(python(code), env={"PGPASSWORD": secret, "PGHOST": "db"}, input=secret.template("<{}>"))
    environ, given = json.loads(done.text)
    assert given == f"<{VALUE}>"
    assert (environ.pop("PGPASSWORD"), environ.pop("PGHOST")) == (VALUE, "db")
    environ.pop("LC_CTYPE", None)  # Python sets it itself
    assert {*environ} <= {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME"}
    assert environ["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(
    "argv,given,said",
    [
        (["echo", Secret(VALUE, "KEY")], {}, "KEY is in argv"),
        (["echo", Secret(VALUE, "KEY").template("--password={}")], {}, "KEY is in argv"),
        ("echo a", {}, "argv is not a list"),
        ([], {}, "argv is not a list"),
        (["echo", 1], {}, "an argument is int"),
        (["echo", "a\0b"], {}, "without NUL"),
        (["echo"], {"env": {"A=B": "c"}}, "no variable can have"),
        (["echo"], {"env": {"A": 1}}, "env['A'] is int"),
        (["echo"], {"env": {"A": Secret(VALUE, "KEY", hosts=["a.example"])}}, "bound to hosts"),
        (["echo"], {"env": {"A": Secret(VALUE, "KEY", is_http_only=True)}}, "for HTTP only"),
        (["echo"], {"input": Secret(VALUE, "KEY", hosts=["a.example"])}, "bound to hosts"),
        (["echo"], {"input": 5}, "input is int"),
    ],
)
async def test_a_secret_where_others_see_it_is_refused(argv: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(AuthoringError) as wrong:
        await run(argv, **given)
    assert said in wrong.value.what
    assert VALUE not in wrong.value.what + wrong.value.hint
    assert str(HERE) in wrong.value.where


@pytest.mark.parametrize("where", ["env", "input", "bytes"])
async def test_a_revealed_value_of_a_bound_secret_is_found_in_what_a_program_gets(where) -> None:
    bound = Secret("yet-another-s3cr3t", "BOUND", hosts=["a.example"])
    text = f"it is {bound.reveal()}"
    given: dict[str, Any] = {"env": {"A": text}} if where == "env" else {"input": text}
    if where == "bytes":
        given = {"input": text.encode()}
    with pytest.raises(AuthoringError, match="BOUND is bound to hosts"):
        await run(["cat"], **given)


async def test_a_revealed_value_of_a_bound_secret_is_found_in_an_argument() -> None:
    bound = Secret("another-s3cr3t", "BOUND", hosts=["a.example"])
    with pytest.raises(AuthoringError, match="BOUND is bound to hosts"):
        await run(["echo", f"--key={bound.reveal()}"])


async def test_the_folder_is_that_of_the_file_that_calls(tmp_path: Path) -> None:
    here = str(HERE.parent)
    assert (await run(["pwd", "-P"])).text.strip() == here
    assert (await asyncio.create_task(run(["pwd", "-P"]))).text.strip() == here
    assert (await run(["pwd", "-P"], cwd=tmp_path)).text.strip() == os.path.realpath(tmp_path)  # noqa: ASYNC240  no other code waits
    assert (await run(["pwd", "-P"], cwd="..")).text.strip() == str(HERE.parent.parent)


@pytest.mark.parametrize(
    "argv,why", [(["no-such-program"], "not-found"), (["./none"], "not-started"), (["/"], "not-started")]
)
async def test_a_program_that_is_not_there_is_named(argv: list[str], why: str) -> None:
    with pytest.raises(RunFailed) as failed:
        await run(argv)
    assert (failed.value.why, argv[0] in str(failed.value)) == (why, True)


#: Starts a child of its own, writes both process ids into a file, and stays.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}\\n")
if sys.argv[2] == "stay":
    time.sleep(60)
if sys.argv[2] == "flood":
    while True:
        os.write(1, b"x" * 65536)
"""


def ids(file: Path) -> list[int]:
    written = file.read_text() if file.exists() else ""
    return [int(number) for number in written.split()] if written.endswith("\n") else []


async def both(file: Path) -> list[int]:
    return await asyncio.to_thread(until, lambda: ids(file), 20.0, 0.01)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def all_gone(file: Path) -> bool:
    processes = await both(file)
    return await asyncio.to_thread(until, lambda: not any(map(is_alive, processes)), 10.0, 0.01)


async def at_the_deadline(file: Path) -> str:
    with pytest.raises(RunFailed) as failed:
        await run(python(FAMILY, str(file), "stay"), timeout=1.5)
    return failed.value.why


async def on_cancellation(file: Path) -> str:
    running = asyncio.ensure_future(run(python(FAMILY, str(file), "stay")))
    assert all(map(is_alive, await both(file)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return "cancelled"


async def writing_too_much(file: Path) -> str:
    with pytest.raises(RunFailed) as failed:
        await run(python(FAMILY, str(file), "flood"), max_bytes=100_000)
    return failed.value.why


async def leaving_a_child_behind(file: Path) -> str:
    return str((await run(python(FAMILY, str(file), "leave"))).code)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "ending,outcome",
    [(at_the_deadline, "timeout"), (on_cancellation, "cancelled"), (writing_too_much, "too-large"),
     (leaving_a_child_behind, "0")],
)  # fmt: skip
def test_a_program_ends_with_its_children(tmp_path: Path, loop: Any, ending: Any, outcome: str) -> None:
    """mcpward serves with uvloop, and an author's tests run with asyncio."""
    file = tmp_path / "ids"

    async def whole() -> None:
        begun = time.monotonic()
        assert await ending(file) == outcome
        assert time.monotonic() - begun < 20
        assert await all_gone(file)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(whole())


async def test_input_that_is_not_read_is_no_failure() -> None:
    assert (await run(["true"], input=b"x" * 1_000_000)).code == 0
    assert (await run(["cat"], input=b"x" * 1_000_000)).stdout == b"x" * 1_000_000
    assert (await run(["cat"])).stdout == b""


async def test_a_program_ended_by_a_signal_has_its_number() -> None:
    assert (await run(["sh", "-c", "kill -TERM $$"])).code == -signal.SIGTERM


async def test_tools_run_programs() -> None:
    server = Server("shop", version="1.0")

    @server.tool(read_only=True)
    async def listed() -> str:
        """Run one."""
        return (await run(["echo", "a"])).text

    @server.tool(read_only=True)
    def waited(context: Context) -> str:
        """Run one from a thread."""
        return context.run(run(["echo", "b"])).text

    @server.tool(read_only=True)
    async def broken() -> str:
        """Run none."""
        return (await run(["no-such-program"])).text

    async with client(server) as shop:
        assert (await shop.call("listed")).text == "a\n"
        assert (await shop.call("waited")).text == "b\n"
        failed = await shop.call("broken")
        assert failed.reason == "tool-failed"
        assert "no-such-program" not in json.dumps(failed.raw)
