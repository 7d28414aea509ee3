"""The shipped process under attack. Each site is started once per test process and must be well after every test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.talk import Line, Talker, prepare
from support.ward import LAVISH, Ward, serving

#: Messages of asyncio, uvloop or the interpreter when something of ours broke outside of a request.
BROKEN = ("Exception in callback", "never retrieved", "Fatal error", "Unhandled", "Segmentation", "never awaited")

THREE = f"""
[servers.demo]
source = "tools.py"
[servers.demo.limits]
{LAVISH}
[servers.other]
source = "tools.py"
[servers.other.limits]
{LAVISH}
[servers.open]
source = "tools.py"
mode = "public"
[servers.open.limits]
{LAVISH}
[servers.hidden]
source = "tools.py"
mode = "unlisted"
[servers.hidden.limits]
{LAVISH}
"""


@pytest.fixture(scope="session")
def _ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with serving(tmp_path_factory.mktemp("attack") / "site") as site:
        yield site


@pytest.fixture
def ward(_ward: Ward) -> Iterator[Ward]:
    """One server in API-key mode, with limits that no test meets by accident."""
    before = len(_ward.log())
    yield _ward
    assert well(_ward)
    assert not [word for word in BROKEN if word in _ward.log()[before:]]


def well(ward: Ward, path: str = "/mcp") -> bool:
    """Return whether a good call is answered."""
    response = ward.call("echo", {"text": "still here"}, path=path)
    return response.status_code == 200 and "still here" in response.text


class Street:
    """Servers of every mode behind one address: ``demo`` and ``other`` with keys, ``open`` public, ``hidden``
    unlisted.
    """

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.demo_key = ward.create_key("demo")
        self.other_key = ward.create_key("other")
        self.url = ward.cli("url", "rotate", "--server", "hidden").stdout.strip()
        self.secret = self.url.rsplit("/", 1)[1]
        self.hidden_path = f"/hidden/mcp/{self.secret}"


@pytest.fixture(scope="session")
def _street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with serving(tmp_path_factory.mktemp("street") / "site", servers=THREE, start=False) as site:
        street = Street(site)
        site.start()
        yield street


@pytest.fixture
def street(_street: Street) -> Iterator[Street]:
    before = len(_street.ward.log())
    yield _street
    assert well(_street.ward, "/open/mcp")
    assert not [word for word in BROKEN if word in _street.ward.log()[before:]]


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., object]:
    """Serve a site of one's own: ``with site(toml=…, servers=…) as ward:``."""

    def serve(toml: str = "", servers: str | None = None, **options: object) -> object:
        return serving(tmp_path / "site", toml, servers, **options)  # type: ignore[arg-type]  # a test names only options that there are

    return serve


class Salon:
    """Servers that hold conversations. ``alice`` and ``bob`` hold plain keys of one server, ``grace`` one with its
    scope, ``eve`` one of the other server. ``mallory`` leaves more questions open than a caller may that wants to go
    on.
    """

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        every = {"class": "destructive"}
        self.alice = ward.create_key("talk", name="alice", **every)
        self.bob = ward.create_key("talk", name="bob", **every)
        self.mallory = ward.create_key("talk", name="mallory", **every)
        self.grace = ward.create_key("talk", name="grace", scope="secrets:read", **every)
        self.eve = ward.create_key("other", name="eve", **every)

    def line(self, key: str, path: str = "/talk/mcp") -> Line:
        """Open a connection with a key."""
        return Line(self.ward, key, path=path)

    def talker(self, key: str, path: str = "/talk/mcp") -> Talker:
        """Begin a legacy session with a key."""
        return Talker(self.ward, key, path=path)


@pytest.fixture(scope="session")
def _salon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Salon]:
    with serving(tmp_path_factory.mktemp("salon") / "site", servers="", start=False) as site:
        config = site.folder / "mcpward.toml"
        config.write_text(config.read_text().replace("[site]\n", "[site]\ndrain_s = 1.0\n"))
        prepare(site, "talk", "other")
        salon = Salon(site)
        site.start()
        yield salon


@pytest.fixture
def salon(_salon: Salon) -> Iterator[Salon]:
    before = len(_salon.ward.log())
    yield _salon
    with _salon.line(_salon.grace) as line:
        assert line.modern("tools/call", {"name": "worker", "arguments": {}}).status_code == 200
    assert not [word for word in BROKEN if word in _salon.ward.log()[before:]]
