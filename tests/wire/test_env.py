"""``env.NAME`` over HTTP: a server reads its own secrets and no other's, from the vault, files and the environment, and
what holds a secret sees it renewed.
"""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from support.ward import LAVISH, Ward, serving, text_of
from support.wire import until

SERVERS = ("alpha", "beta")
#: A helper that both servers import.
SHARED = """
from hashlib import sha256

from mcpward import env

FIRST = env.get("SAME")


def digest(secret):
    return "nothing" if secret is None else sha256(secret.reveal().encode()).hexdigest()


def ask(name):
    try:
        return digest(env.get(name))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""
TOOLS = '''
import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated

import shared
from mcpward import Server, env
from pydantic import AfterValidator
from shared import ask, digest

AT_IMPORT = {name: ask(name) for name in ("SAME", "ALPHA_ONLY", "BETA_ONLY")}
ROTATED = env.get("ROTATED")


class Seen:
    def __init__(self, values):
        self.values = values


@asynccontextmanager
async def lifespan() -> AsyncIterator[Seen]:
    values = {name: ask(name) for name in AT_IMPORT}
    values |= {f"task {name}": await asyncio.create_task(later(name)) for name in AT_IMPORT}
    values |= {f"thread {name}": await asyncio.to_thread(ask, name) for name in AT_IMPORT}
    yield Seen(values)


async def later(name):
    await asyncio.sleep(0)
    return ask(name)


server = Server("one-of-two", lifespan=lifespan)


def in_thread(name):
    found = []
    thread = threading.Thread(target=lambda: found.append(ask(name)))
    thread.start()
    thread.join()
    return found[0]


async def called_back(name, schedule):
    answer = asyncio.get_running_loop().create_future()
    schedule(lambda: answer.set_result(ask(name)))
    return await answer


@server.tool(read_only=True)
async def told(how: str, name: str) -> str:
    """Digest of a secret."""
    loop = asyncio.get_running_loop()
    if how == "task":
        return await asyncio.create_task(later(name))
    if how == "callback":
        return await called_back(name, loop.call_soon)
    if how == "timer":
        return await called_back(name, lambda act: loop.call_later(0.001, act))
    if how == "to_thread":
        return await asyncio.to_thread(ask, name)
    if how == "run_in_executor":
        return await loop.run_in_executor(None, ask, name)
    if how == "a thread of its own":
        return in_thread(name)
    if how == "a pool of its own":
        with ThreadPoolExecutor(1) as pool:
            return await asyncio.wrap_future(pool.submit(lambda: ask(name)))
    return ask(name)


@server.tool(read_only=True)
def told_by_def(name: str) -> str:
    """Digest of a secret, from a def function."""
    return ask(name)


@server.tool(read_only=True)
async def lost(name: str) -> str:
    """Ask in a thread that runs nothing but the helper."""
    with ThreadPoolExecutor(1) as pool:
        return await asyncio.wrap_future(pool.submit(ask, name))


@server.tool(read_only=True)
async def validated(name: Annotated[str, AfterValidator(ask)]) -> str:
    """Digest of a secret, from the check of an argument, which is the helper's."""
    return name


@server.tool(read_only=True)
async def before(seen: Seen) -> dict[str, str]:
    """What import and lifespan have read."""
    return AT_IMPORT | {f"lifespan {name}": value for name, value in seen.values.items()}


@server.tool(read_only=True)
async def first() -> str:
    """What the helper has read when it was imported."""
    return digest(shared.FIRST)


@server.tool(read_only=True)
async def rotated() -> str:
    """Digest of a secret that was read at import."""
    return digest(ROTATED)


@server.tool(read_only=True)
async def say(text: str) -> str:
    """Give a text back."""
    return text


@server.tool(read_only=True)
async def path(name: str) -> str:
    """Path of a secret's file, and what it holds."""
    try:
        found = env.path(name)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"{found.name} {found.read_bytes().hex()}"


@server.tool(read_only=True)
async def charge() -> str:
    """Needs a key that is set nowhere."""
    return charged()


def charged():
    return Gateway().key()


class Gateway:
    def key(self):
        return self.read()

    def read(self):
        return env.STRIPE_KEY.reveal()
'''


def digest(value: str) -> str:
    return sha256(value.encode()).hexdigest()


def of(server: str, name: str) -> str:
    """The value of a secret in a server's vault."""
    return f"canary-{server}-{name}-0123456789"


def value(ward: Ward, server: str, tool: str, **arguments: Any) -> str:
    return text_of(ward.call(tool, arguments, path=f"/{server}/mcp"))


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("env")
    mounted, credentials = folder / "mounted", folder / "credentials"
    rotate(mounted, "canary-of-the-first-rotation")
    credentials.mkdir()
    (credentials / "OF_SYSTEMD").write_text("canary-of-systemd")
    (mounted / "of_docker").write_text("canary-of-docker")
    (mounted / "IN_BOTH").write_text("canary-in-a-file")
    (mounted / "TRIMMED").write_bytes(b"\xef\xbb\xbfcanary-trimmed\r\n")
    (mounted / "SAME").write_text("canary-of-a-file-that-the-vault-hides")
    (mounted / "BINARY").write_bytes(b"\xff\x00\xfe")
    (mounted / "EMPTY").write_text("\n")
    (mounted / "TOO_LONG").write_text("a" * (64 * 1024 + 1))
    os.mkfifo(mounted / "FIFO")
    (mounted / "FOLDER").mkdir()
    (mounted / "mcpward_master_key").write_text("canary-of-the-master-key")
    (mounted / "OPEN").write_text("canary-that-others-may-change")
    (mounted / "OPEN").chmod(0o666)
    (mounted / "KEY_OF_THE_SITE").write_text("a" * 42 + "A")
    (mounted / "KEY_OF_THE_SITE").chmod(0o600)
    (folder / "outside").write_text("canary-outside")
    (folder / "named.txt").write_text("canary-named\n")
    (folder / "shared.py").write_text(SHARED)
    for name in SERVERS:
        (folder / f"{name}.py").write_text(TOOLS)
    servers = "".join(
        f'[servers.{name}]\nsource = "{name}.py"\nmode = "public"\n[servers.{name}.limits]\n{LAVISH}'
        for name in SERVERS
    )
    env = {
        "CREDENTIALS_DIRECTORY": str(credentials), "NAMED_FILE": str(folder / "named.txt"),
        "GONE_FILE": str(folder / "gone"), "IN_BOTH": "canary-in-the-environment",
        "ENV_TRIMMED": "canary-of-the-environment\n",
        "MCPWARD_MASTER_KEY_FILE": str(mounted / "KEY_OF_THE_SITE"),
    }  # fmt: skip
    toml = '[secrets]\nfiles = ["mounted"]\n'
    with serving(folder, toml, servers, start=False, env=env) as ward:
        for server in SERVERS:
            for name in ("SAME", f"{server.upper()}_ONLY"):
                ward.cli("secret", "set", name, "--server", server, input=of(server, name))
        yield ward.start()


def rotate(mounted: Path, value: str) -> None:
    """Change a mounted secret as Kubernetes does: a new folder, and one link that is replaced."""
    new = mounted / f"..{digest(value)[:8]}"
    new.mkdir(parents=True)
    (new / "ROTATED").write_text(value)
    link = mounted / "..new"
    link.symlink_to(new.name)
    link.rename(mounted / "..data")
    if not (mounted / "ROTATED").is_symlink():
        (mounted / "ROTATED").symlink_to("..data/ROTATED")


WAYS = (
    "itself", "task", "callback", "timer", "to_thread", "run_in_executor", "a thread of its own", "a pool of its own",
)  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("server,other", [SERVERS, SERVERS[::-1]])
def test_a_call_reads_the_secrets_of_its_own_server_alone(ward, server, other, how):
    assert value(ward, server, "told", how=how, name="SAME") == digest(of(server, "SAME"))
    own, others = f"{server.upper()}_ONLY", f"{other.upper()}_ONLY"
    assert value(ward, server, "told", how=how, name=own) == digest(of(server, own))
    assert value(ward, server, "told", how=how, name=others) == "nothing"


@pytest.mark.parametrize("server,other", [SERVERS, SERVERS[::-1]])
def test_the_check_of_an_argument_reads_the_secrets_of_its_own_server_alone(ward, server, other):
    assert value(ward, server, "validated", name="SAME") == digest(of(server, "SAME"))
    assert value(ward, server, "validated", name=f"{other.upper()}_ONLY") == "nothing"


@pytest.mark.parametrize("server,other", [SERVERS, SERVERS[::-1]])
def test_a_def_tool_reads_the_secrets_of_its_own_server_alone(ward, server, other):
    assert value(ward, server, "told_by_def", name="SAME") == digest(of(server, "SAME"))
    assert value(ward, server, "told_by_def", name=f"{other.upper()}_ONLY") == "nothing"


@pytest.mark.parametrize("server,other", [SERVERS, SERVERS[::-1]])
def test_import_and_lifespan_read_the_secrets_of_their_own_server_alone(ward, server, other):
    read = ward.call("before", path=f"/{server}/mcp").json()["result"]["structuredContent"]
    for when in ("", "lifespan ", "lifespan task ", "lifespan thread "):
        assert read[f"{when}SAME"] == digest(of(server, "SAME"))
        assert read[f"{when}{server.upper()}_ONLY"] == digest(of(server, f"{server.upper()}_ONLY"))
        assert read[f"{when}{other.upper()}_ONLY"] == "nothing"


def test_a_thread_that_is_no_servers_reads_no_vault_and_says_what_to_do(ward):
    told = value(ward, "alpha", "lost", name="SAME")
    assert (
        told == "SecretUnreadable: the secret SAME cannot be read: no call is running here, so its server is not known"
    )
    assert value(ward, "alpha", "lost", name="OF_DOCKER") == digest("canary-of-docker")


def test_what_a_shared_module_reads_at_import_is_of_the_server_that_imports_it_first(ward):
    assert [value(ward, server, "first") for server in SERVERS] == [digest(of("alpha", "SAME"))] * 2
    said = "beta shares SAME of alpha: both import the module that reads it"
    assert [line.count("shared.py:6") for line in ward.log().splitlines() if said in line] == [1]
    assert "alpha shares" not in ward.log()


@pytest.mark.parametrize(
    "name,found",
    [
        ("OF_DOCKER", "canary-of-docker"),  # the file's name is in lower case
        ("OF_SYSTEMD", "canary-of-systemd"),
        ("NAMED", "canary-named"),
        ("IN_BOTH", "canary-in-a-file"),
        ("TRIMMED", "canary-trimmed"),
        ("ENV_TRIMMED", "canary-of-the-environment"),
    ],
)
def test_a_secret_comes_from_a_file_or_the_environment(ward, name, found):
    assert value(ward, "beta", "told", how="itself", name=name) == digest(found)


@pytest.mark.parametrize(
    "name",
    [
        "EMPTY",
        "FOLDER",
        "../outside",
        "..data/ROTATED",
        "/etc/hostname",
        "mcpward_master_key",
        "MCPWARD_MASTER_KEY",
        "KEY_OF_THE_SITE",
    ],
)
def test_what_is_no_secret_is_nothing(ward, name):
    assert value(ward, "beta", "told", how="itself", name=name) == "nothing"


@pytest.mark.parametrize(
    "name,why",
    [
        ("TOO_LONG", "it is larger than 64 KiB"),
        ("FIFO", "it is no regular file"),
        ("OPEN", "other users may change it"),
        ("GONE", "which is not there"),
        ("BINARY", "is not UTF-8"),
    ],
)
def test_a_file_that_is_not_fit_is_refused_by_name_and_without_its_content(ward, name, why):
    told = value(ward, "beta", "told", how="itself", name=name)
    assert told.startswith(f"SecretUnreadable: the secret {name} cannot be read: ")
    assert why in told


def test_a_binary_value_is_read_by_its_path(ward):
    assert value(ward, "alpha", "path", name="BINARY") == "BINARY ff00fe"
    assert "is a secret in the vault" in value(ward, "alpha", "path", name="SAME")
    assert value(ward, "alpha", "path", name="TOO_LONG").startswith("SecretUnreadable")


@pytest.mark.parametrize("name", ["TRIMMED", "ENV_TRIMMED"])
def test_it_is_said_once_that_a_value_was_trimmed(ward, name):
    value(ward, "alpha", "told", how="itself", name=name)
    value(ward, "beta", "told", how="itself", name=name)
    said = f"the secret {name} of "
    line = until(lambda: [line for line in ward.log().splitlines() if said in line])
    assert len(line) == 1
    words = (
        "its byte order mark and its line end" if name == "TRIMMED" else "the environment is used without its line end"
    )
    assert words in line[0]


def test_a_secret_that_no_function_can_have_is_named_at_the_start_with_its_tool(ward):
    line = [line for line in ward.log().splitlines() if "alpha: tool charge asks for STRIPE_KEY" in line]
    assert len(line) == 1
    assert "which is set nowhere" in line[0]
    assert "mcpward secret set STRIPE_KEY --server alpha" in line[0]
    checked = ward.cli("config", "check", "--load").stderr
    assert "alpha: tool charge asks for STRIPE_KEY, which is set nowhere: mcpward secret set STRIPE_KEY" in checked


def test_a_changed_file_renews_what_was_read_at_import_and_the_old_value_stays_hidden(ward):
    old, new = "canary-of-the-first-rotation", "canary-of-the-second-rotation"
    assert value(ward, "alpha", "rotated") == digest(old)
    rotate(ward.folder / "mounted", new)
    until(lambda: value(ward, "alpha", "rotated") == digest(new))
    assert value(ward, "beta", "rotated") == digest(new)
    for hidden in (old, new):
        assert value(ward, "beta", "say", text=f"it was {hidden}") == "it was [redacted]"
    (ward.folder / "mounted" / "ROTATED").unlink()
    said = "the file of the secret ROTATED cannot be used, so its last value holds"
    until(lambda: said in ward.log())
    assert value(ward, "alpha", "rotated") == digest(new)
