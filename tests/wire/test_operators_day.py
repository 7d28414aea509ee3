"""A day of an operator: one site from its first start to a restored backup, each step with what was seen.

docs/operators-day.md is the table that this makes; a step that is seen otherwise, or not at all, fails here.
"""

import os
import re
import shlex
import signal
import socket
import ssl
from contextlib import closing
from itertools import count
from pathlib import Path

import httpx2
import pytest
from cryptography import x509

from support.certificate import certificate
from support.front_proxy import HOST, front_proxy, nginx
from support.issuer import Issuer, listening
from support.matches import found
from support.ports import free_port
from support.sources import ROOT
from support.stops import pids, refuses_connections
from support.ward import ACCEPT, TOOLS, Ward, modern_request, text_of
from support.wire import first_credentials, metric, reason_of, until

PAGE = ROOT / "docs" / "operators-day.md"
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
#: No call is a repetition of another, which has limits of its own.
NUMBERS = count()
WRONG, RIGHT = "2/hour", "6000/minute"  # after a drained bucket, six calls are there again before they are made
SITE = """
[site]
listen = "127.0.0.1:{port}"
public_url = "https://mcp.example.com/ai"
behind_tls_proxy = true
trusted_proxies = ["127.0.0.1/32"]
workers = 2
shutdown_delay_s = {delay_s}
[limits]
counters = "{redis}"
auth_failures = "100000/minute"
[egress]
allow = ["127.0.0.0/8"]
[issuers.main]
metadata = "{metadata}"
[servers.orders]
source = "tools.py"
[servers.orders.limits]
read = "{read}"
[servers.people]
source = "tools.py"
mode = "oauth"
[servers.people.oauth]
issuers = ["main"]
scopes = {{ "demo:read" = "Read" }}
[servers.hidden]
source = "tools.py"
mode = "unlisted"
[servers.open]
source = "tools.py"
mode = "public"
"""


class Day:
    """The site, the proxy in front of it, and what was seen."""

    def __init__(self, folder: Path, redis: str, metadata: str) -> None:
        folder.mkdir()
        self.ward = Ward(folder, free_port(), 0)
        self.redis = redis
        self.metadata = metadata
        self.seen: list[tuple[str, str]] = []
        (folder / "tools.py").write_text(TOOLS)
        self.write(WRONG)

    def write(self, read: str, delay_s: float = 2.0) -> None:
        """Write mcpward.toml with this limit."""
        words = {"port": self.ward.port, "redis": self.redis, "metadata": self.metadata}
        (self.ward.folder / "mcpward.toml").write_text(SITE.format(**words, read=read, delay_s=delay_s))

    def start(self) -> None:
        """Start it, and learn where its metrics are."""
        self.ward.extra_env = {"MCPWARD_SITE__SHUTDOWN_DELAY_S": "2"}
        before = len(self.ward.log()) if (self.ward.folder / "server.log").exists() else 0
        self.ward.start()
        told = until(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/metrics", self.ward.log()[before:]), 20)
        self.ward.metrics_port = int(told[1])
        until(lambda: len(self.alive()) == 2, 60)

    def alive(self) -> set[str]:
        """The workers that run."""
        return {pid for pid in pids(self.ward) if Path("/proc", pid).exists()}

    def saw(self, step: str, seen: object) -> None:
        """Keep what was seen of a step."""
        self.seen.append((step, str(seen)))


def call(client: httpx2.Client, path: str, credential: str = "", tool: str = "echo") -> httpx2.Response:
    arguments = {"text": str(next(NUMBERS))} if tool == "echo" else {}
    body, headers = modern_request("tools/call", {"name": tool, "arguments": arguments}, name=tool)
    headers |= {"accept": ACCEPT}
    if credential:
        headers["authorization"] = f"Bearer {credential}"
    return client.post(path, json=body, headers=headers)


def word(answer: httpx2.Response) -> str:
    """The status, and the name of the refusal where it is one."""
    reason = "" if answer.status_code == 200 else reason_of(answer)
    return f"{answer.status_code} {reason}".strip()


def key_id(key: str) -> str:
    return key[11:23]


@pytest.mark.slow
@pytest.mark.timeout(290)
def test_a_day_of_an_operator(tmp_path, redis_server):
    issuer = Issuer()
    day = Day(tmp_path / "site", redis_server.url, issuer.metadata)
    with listening(issuer):
        try:
            day.start()
            with front_proxy(tmp_path / "proxy", nginx, day.ward) as proxy, proxy.client() as client:
                morning(day, client, issuer)
                noon(day, client, proxy)
                evening(day, client)
        finally:
            day.ward.stop()
    print("\n".join(f"| {step} | {seen} |" for step, seen in day.seen))  # noqa: T201  # the page, where it is another
    rows = re.findall(r"^\| (?!step|---)(.+?) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == day.seen


def morning(day: Day, client: httpx2.Client, issuer: Issuer) -> None:
    ward = day.ward
    health = httpx2.get(f"{ward.base}/readyz", headers={"host": "10.0.0.7"})
    day.saw("a load balancer asks `/readyz` by the address of the host", health.text)
    shown = first_credentials(ward)
    key = found(r"^sk-mcpward-\w+$", shown, re.MULTILINE)[0]
    secret = found(r"/hidden/mcp/([0-9A-Za-z]{48})$", shown, re.MULTILINE)[1]
    day.saw("mode api-key, through nginx at `/ai`, without a key", word(call(client, "/ai/orders/mcp")))
    day.saw("… with the key of the first start", word(call(client, "/ai/orders/mcp", key)))
    refused = call(client, "/ai/people/mcp")
    challenge = refused.headers["www-authenticate"]
    document = found(r'resource_metadata="https://mcp\.example\.com(/\S+?)"', challenge)[1]
    resource = client.get(document).json()["resource"]
    day.saw("mode oauth, without a token", word(refused))
    day.saw("… the document that the refusal names, through nginx", resource)
    day.saw("… with a token of the provider", word(call(client, "/ai/people/mcp", issuer.mint(resource).token())))
    day.saw("mode unlisted, with a wrong secret", word(call(client, f"/ai/hidden/mcp/{'0' * 48}")))
    day.saw("… with the secret URL of the first start", word(call(client, f"/ai/hidden/mcp/{secret}")))
    day.saw("mode public", word(call(client, "/ai/open/mcp")))
    fresh = ward.create_key("orders", name="laptop", expires="90d")
    until(lambda: call(client, "/ai/orders/mcp", fresh, "whoami").status_code == 200, 20, 0.3)
    day.saw("a new key, for 90 days", word(call(client, "/ai/orders/mcp", fresh)))
    ward.cli("key", "revoke", key_id(fresh))
    until(lambda: {call(client, "/ai/orders/mcp", fresh).status_code for _ in range(6)} == {401}, 20)
    day.saw("… revoked, at both workers", word(call(client, "/ai/orders/mcp", fresh)))


def noon(day: Day, client: httpx2.Client, proxy) -> None:
    ward = day.ward
    key = ward.create_key("orders", name="agent")
    path = "/ai/orders/mcp"
    until(lambda: call(client, path, key).status_code == 200, 20, 0.3)
    until(lambda: call(client, path, key).status_code == 429, 20)
    day.saw(f"a limit that was meant as {RIGHT} and written as {WRONG}", word(call(client, path, key)))
    day.write(RIGHT)
    ward.running.send_signal(signal.SIGTERM)
    stopping = until(lambda: _body_of(f"{ward.base}/readyz", 503), 20, 0.01)
    day.saw("it is mended, and the site told to stop: `/readyz`", stopping)
    day.saw("… a call meanwhile", word(call(client, "/ai/open/mcp")))
    day.saw("… its exit code", ward.running.wait(60))
    day.saw("… the port then", "refuses connections" if refuses_connections(ward) else "open")
    day.start()
    first = word(call(client, path, key))
    until(lambda: call(client, path, key).status_code == 200, 20, 0.1)
    day.saw("started again: what Redis counted for the wrong limit is a drained bucket", f"{first}, then 200")
    before = number_of(proxy.port)
    certificate(proxy.folder, number=2)
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: number_of(proxy.port) == 2, 20)
    day.saw("the certificate is renewed, and nginx told so (SIGHUP)", f"certificate {before}, then 2; no call is lost")
    killed = min(day.alive())
    os.kill(int(killed), signal.SIGKILL)
    until(lambda: len(day.alive() - {killed}) == 2, 120)
    line = until(lambda: re.search(r'"died_of": "(\w+)', ward.log()), 20)
    day.saw("a worker is killed: the log", f"a worker died and was replaced, died_of {line[1]}")
    day.saw("… `mcpward_worker_restarts_total`", int(metric(ward, "mcpward_worker_restarts_total")))
    day.saw("… six calls after that", {word(call(client, path, key)) for _ in range(6)}.pop())


def evening(day: Day, client: httpx2.Client) -> None:
    ward, path = day.ward, "/ai/orders/mcp"
    leaked = ward.create_key("orders", name="leaked")
    until(lambda: call(client, path, leaked).status_code == 200, 20, 0.3)
    backup, restore = re.findall(r"```bash\nmcpward ((?:backup|restore) .*?)\n```", OPERATING)
    made = ward.cli(*shlex.split(backup))
    ward.cli("key", "revoke", key_id(leaked))
    day.saw("`mcpward backup` while the site runs", found(r"encrypted with the master key", made.stderr)[0])
    ward.running.send_signal(signal.SIGINT)
    day.saw("Ctrl-C: its exit code", ward.running.wait(60))
    ward.cli(*shlex.split(restore))
    refused = ward.cli("serve", check=False)
    hint = "names mcpward store accept-older" if "mcpward store accept-older" in refused.stderr else refused.stderr
    day.saw("`mcpward restore`: a start", f"exit code {refused.returncode}, {hint}")
    accepted = ward.cli("store", "accept-older", "--yes")
    shown = key_id(leaked) in accepted.stdout + accepted.stderr
    day.saw("`mcpward store accept-older`", "shows the key that was revoked since" if shown else accepted.stderr)
    ward.cli("key", "revoke", key_id(leaked))
    day.start()
    day.saw("… revoked again, and started", word(call(client, path, leaked)))
    verified = ward.cli("log", "verify", check=False)
    gap = re.search(r"records are missing", verified.stdout + verified.stderr)
    day.saw("`mcpward log verify`", f"exit code {verified.returncode}, {gap[0] if gap else verified.stderr}")
    beside(day)


def beside(day: Day) -> None:
    """A second site without a word about its metrics."""
    folder = day.ward.folder.with_name("second")
    folder.mkdir()
    second = Ward(folder, free_port(), 0)
    (folder / "tools.py").write_text(TOOLS)
    (folder / "mcpward.toml").write_text(
        f'[site]\nlisten = "127.0.0.1:{second.port}"\n[servers.demo]\nsource = "tools.py"\nmode = "public"\n'
    )
    try:
        second.start()
        second.metrics_port = int(found(r"http://127\.0\.0\.1:(\d+)/metrics", second.log())[1])
        assert text_of(second.call("echo", {"text": "beside"})) == "beside"
        counted = [metric(ward, "mcpward_worker_restarts_total") for ward in (day.ward, second)]
        assert second.metrics_port != day.ward.metrics_port
        assert "is taken, so /metrics is at" in second.log()
        day.saw("a second site beside it", f"{len(counted)} pages of metrics; its start says that its own moved")
    finally:
        second.stop()


def _body_of(url: str, status: int) -> str:
    answer = httpx2.get(url)
    return answer.text if answer.status_code == status else ""


def number_of(port: int) -> int:
    """The serial number of the certificate that a new handshake shows."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    line = socket.create_connection(("127.0.0.1", port), timeout=20)
    with closing(trust.wrap_socket(line, server_hostname=HOST)) as safe:
        certificate = safe.getpeercert(binary_form=True)
        assert certificate is not None
        return x509.load_der_x509_certificate(certificate).serial_number
