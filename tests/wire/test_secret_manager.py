"""Secrets of an external manager (KV version 2), in the shipped process: read by name, followed, kept and withdrawn."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest

from support.kv import TOKEN, Kv, kv
from support.outside import certificate_for
from support.ward import LAVISH, Ward, serving, text_of
from support.wire import metric, until

TOOLS = '''
from hashlib import sha256

from mcpward import Server, env

server = Server("managed")
HELD = env.get("SHARED")


def digest(secret):
    return "none" if secret is None else sha256(secret.reveal().encode()).hexdigest()


@server.tool(read_only=True)
async def seen(name: str) -> str:
    """Return the digest of a secret, read now."""
    try:
        return digest(env.get(name))
    except AttributeError as missing:
        return f"{missing}"


@server.tool(read_only=True)
async def held() -> str:
    """Return the digest of the secret that was read when the file was loaded."""
    return digest(HELD)


@server.tool(read_only=True)
async def text(name: str) -> str:
    """Ask for a setting that is no secret."""
    return env.text(name, "none")


@server.tool(read_only=True)
async def told(text: str) -> str:
    """Return the text."""
    return text


@server.tool(read_only=True)
async def leak(name: str) -> str:
    """Return a secret as it is."""
    return env.get(name).reveal()
'''
FIRST, SECOND = "canary-first-of-the-manager-1f0a", "canary-second-of-the-manager-2c9b"
ALPHA, BETA = "mcpward/alpha", "mcpward/beta"


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def settings(engine: Kv, more: str = "", workers: int = 1, token: str = "env:VAULT_TOKEN") -> str:
    return (
        f"workers = {workers}\n"
        '[limits]\nauth_failures = "100000/minute"\nrequests = "1000000/minute"\n'
        '[egress]\nallow = ["127.0.0.0/8"]\n'
        f'[secrets.manager]\nurl = "{engine.url}"\ntoken = "{token}"\nrefresh_s = 1.0\n{more}'
    )


def servers() -> str:
    return "".join(
        f'[servers.{name}]\nsource = "tools.py"\nmode = "public"\n[servers.{name}.limits]\n{LAVISH}'
        for name in ("alpha", "beta")
    )


class Managed:
    """A site of two servers and its manager."""

    def __init__(self, ward: Ward, engine: Kv) -> None:
        self.ward = ward
        self.kv = engine

    def ask(self, tool: str, server: str = "alpha", **arguments: str) -> str:
        return text_of(self.ward.call(tool, arguments, path=f"/{server}/mcp"))

    def everywhere(self, tool: str, expected: str, server: str = "alpha", **arguments: str) -> None:
        """Wait until new connections, to either worker, see it."""
        until(lambda: all(self.ask(tool, server, **arguments) == expected for _ in range(8)), 10.0)

    def ready(self) -> object:
        return httpx2.get(f"{self.ward.base}/readyz").json()


def managed(folder: Path, engine: Kv, more: str = "", workers: int = 1, token: str = "env:VAULT_TOKEN"):
    return serving(folder, settings(engine, more, workers, token), servers(), start=False, env={"VAULT_TOKEN": TOKEN})


def start(ward: Ward) -> Ward:
    (ward.folder / "tools.py").write_text(TOOLS)
    return ward.start()


def say_secrets(engine: Kv) -> None:
    engine.put(ALPHA, SHARED=FIRST, ALPHA_ONLY="canary-of-alpha-only-77aa")
    engine.put(BETA, SHARED="canary-of-beta-51cd", BETA_ONLY="canary-of-beta-only-93be")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Managed]:
    with kv() as engine:
        say_secrets(engine)
        with managed(tmp_path_factory.mktemp("managed"), engine, workers=2) as ward:
            yield Managed(start(ward), engine)


def test_a_value_that_changes_at_the_manager_is_seen_by_every_worker_without_a_restart(site: Managed) -> None:
    site.everywhere("held", digest(FIRST))
    site.kv.put(ALPHA, SHARED=SECOND, ALPHA_ONLY="canary-of-alpha-only-77aa")
    site.everywhere("held", digest(SECOND))
    site.everywhere("seen", digest(SECOND), name="SHARED")
    for value in (FIRST, SECOND):
        assert site.ask("told", text=f"the value is {value}.") == "the value is [redacted]."
    assert site.ask("leak", name="SHARED") == "[redacted]"
    site.kv.put(ALPHA, SHARED=FIRST, ALPHA_ONLY="canary-of-alpha-only-77aa")
    site.everywhere("held", digest(FIRST))


def test_a_server_sees_its_own_entry_and_no_other(site: Managed) -> None:
    assert site.ask("seen", name="ALPHA_ONLY") == digest("canary-of-alpha-only-77aa")
    assert site.ask("seen", name="BETA_ONLY") == "none"
    assert site.ask("seen", "beta", name="BETA_ONLY") == digest("canary-of-beta-only-93be")
    assert site.ask("seen", "beta", name="ALPHA_ONLY") == "none"
    assert site.ask("seen", "beta", name="SHARED") == digest("canary-of-beta-51cd")


def test_no_tool_gets_the_token_and_none_can_print_it(site: Managed) -> None:
    assert site.ask("seen", name="VAULT_TOKEN") == "none"
    assert site.ask("text", name="VAULT_TOKEN") == "none"
    assert site.ask("told", text=f"is it {TOKEN}?") == "is it [redacted]?"
    assert TOKEN not in site.ward.log()


def test_each_read_has_the_documented_headers_and_no_server_asks_for_anothers_path(site: Managed) -> None:
    _, headers = site.kv.asked[0]
    assert (headers["x-vault-token"], headers["x-vault-request"]) == (TOKEN, "true")
    assert "x-vault-namespace" not in headers
    assert {path for path, _ in site.kv.asked} == {f"/v1/secret/data/{ALPHA}", f"/v1/secret/data/{BETA}"}


def test_the_vaults_own_value_comes_first_and_the_managers_again_when_it_is_removed(site: Managed) -> None:
    site.ward.cli("secret", "set", "ALPHA_ONLY", "--server", "alpha", input="canary-of-the-vault-4b7e")
    site.everywhere("seen", digest("canary-of-the-vault-4b7e"), name="ALPHA_ONLY")
    listed = site.ward.cli("secret", "list", "--server", "alpha").stdout
    assert [line.split()[:2] for line in listed.splitlines() if line.startswith(("ALPHA", "SHARED"))] == [
        ["ALPHA_ONLY", "1"], ["ALPHA_ONLY", "manager"], ["SHARED", "manager"],
    ]  # fmt: skip
    assert "canary" not in listed
    site.ward.cli("secret", "remove", "ALPHA_ONLY", "--server", "alpha")
    site.everywhere("seen", digest("canary-of-alpha-only-77aa"), name="ALPHA_ONLY")


def test_an_entry_that_is_deleted_or_destroyed_holds_nothing(site: Managed) -> None:
    for end in (site.kv.delete, site.kv.destroy):
        site.kv.put(BETA, SHARED="canary-of-beta-51cd", BETA_ONLY="canary-of-beta-only-93be")
        site.everywhere("seen", digest("canary-of-beta-only-93be"), "beta", name="BETA_ONLY")
        end(BETA)
        site.everywhere("seen", "none", "beta", name="BETA_ONLY")
        assert site.ready() == {"status": "ok"}
    site.kv.put(BETA, SHARED="canary-of-beta-51cd", BETA_ONLY="canary-of-beta-only-93be")
    site.everywhere("seen", digest("canary-of-beta-51cd"), "beta", name="SHARED")


def test_in_an_outage_the_last_values_hold_and_it_is_seen_until_it_is_over(site: Managed) -> None:
    before = site.ward.log().count("the secret manager cannot be read")
    site.kv.stop()
    until(lambda: site.ready() == {"status": "ok", "degraded": ["secrets"]}, 10.0)
    until(lambda: metric(site.ward, "mcpward_secret_manager_up") == 0, 10.0)
    until(lambda: site.ward.log().count("the secret manager cannot be read") - before == 2)  # a line of each worker
    assert metric(site.ward, "mcpward_secret_manager_failures_total") > 0
    assert site.ask("held") == digest(FIRST)
    assert site.ask("seen", name="ALPHA_ONLY") == digest("canary-of-alpha-only-77aa")
    assert site.ask("seen", name="NOWHERE") == "none"
    site.kv.start()
    until(lambda: metric(site.ward, "mcpward_secret_manager_up") == 1, 10.0)
    until(lambda: site.ward.log().count("the secret manager can be read again") == 2)
    assert site.ready() == {"status": "ok"}
    assert site.ward.log().count("the secret manager cannot be read") - before == 2
    assert "alpha, beta: unreachable" in site.ward.log()
    site.kv.put(ALPHA, SHARED=SECOND)
    site.everywhere("held", digest(SECOND))


@pytest.mark.parametrize(
    "change,told",
    [
        (lambda engine: setattr(engine, "is_sealed", True), "alpha, beta: it is sealed, or in maintenance (503)"),
        (lambda engine: setattr(engine, "is_standby", True), "alpha, beta: it is asked too often, or is on standby"),
        (lambda engine: setattr(engine, "status", 500), "alpha, beta: its answer is 500"),
        (lambda engine: engine.tokens.clear(), "alpha, beta: it refuses the token (403)"),
        (lambda engine: engine.mounts.clear(), "alpha, beta: it has no such mount (404)"),
        (lambda engine: engine.tokens.update({TOKEN: ("secret/data/mcpward/alpha",)}), "beta: it refuses the token"),
    ],
    ids=["sealed", "standby", "500", "wrong token", "no mount", "a policy"],
)
def test_a_manager_that_refuses_is_named_without_the_token(tmp_path, change, told) -> None:
    with kv() as engine, managed(tmp_path, engine) as ward:
        say_secrets(engine)
        change(engine)
        (tmp_path / "tools.py").write_text(TOOLS.replace("HELD = ", "HELD = None  # "))
        site = Managed(ward.start(), engine)
        assert site.ready() == {"status": "ok", "degraded": ["secrets"]}
        assert told in ward.log()
        answer = site.ask("seen", "beta", name="BETA_ONLY")
        assert answer.startswith("the secret BETA_ONLY cannot be read: it is set nowhere else, and the secret manager")
        assert TOKEN not in ward.log() + answer


def test_attack_148_a_redirect_takes_the_token_to_no_other_host(tmp_path) -> None:
    with kv() as engine, kv() as other, managed(tmp_path, engine) as ward:
        say_secrets(other)
        engine.redirect = other.url
        (tmp_path / "tools.py").write_text(TOOLS.replace("HELD = ", "HELD = None  # "))
        site = Managed(ward.start(), engine)
        assert site.ask("seen", name="SHARED").startswith("the secret SHARED cannot be read")
        assert "it redirects, which mcpward does not follow with a token" in ward.log()
        assert not other.asked


def test_values_that_are_kept_too_long_are_withdrawn_and_come_back(tmp_path) -> None:
    with kv() as engine, managed(tmp_path, engine, "keep_s = 1.0\n") as ward:
        say_secrets(engine)
        site = Managed(start(ward), engine)
        assert site.ask("held") == digest(FIRST)
        engine.stop()
        why = "the secret manager has not returned it for more than 1 s: unreachable"
        until(lambda: why in site.ask("seen", name="SHARED"), 10.0)
        failed = ward.call("held", path="/alpha/mcp").json()["result"]
        assert failed["isError"]
        assert f"the secret SHARED cannot be read: {why}" in ward.log()
        assert "the secrets of alpha from the secret manager are too old, and are withdrawn" in ward.log()
        engine.start()
        site.everywhere("held", digest(FIRST))


def test_a_token_that_is_renewed_in_its_file_is_read_again(tmp_path) -> None:
    with kv() as engine, managed(tmp_path, engine, token="file:token") as ward:
        say_secrets(engine)
        (tmp_path / "token").write_text(f"{TOKEN}\n")
        site = Managed(start(ward), engine)
        engine.tokens = {"hvs.canary-renewed-token-30ab": ("",)}
        until(lambda: site.ready() == {"status": "ok", "degraded": ["secrets"]}, 10.0)
        (tmp_path / "token").write_text("hvs.canary-renewed-token-30ab\n")
        until(lambda: site.ready() == {"status": "ok"}, 10.0)
        for token in (TOKEN, "hvs.canary-renewed-token-30ab"):
            assert site.ask("told", text=token) == "[redacted]"


def test_a_start_with_the_manager_away_is_named_and_a_missing_secret_has_its_rule(tmp_path) -> None:
    with kv() as engine, managed(tmp_path, engine) as ward:
        engine.stop()
        (tmp_path / "tools.py").write_text(TOOLS)
        ward.launch().wait(30)
        assert (
            "cannot be read: it is set nowhere else, and the secret manager cannot be read: unreachable" in ward.log()
        )
        needs = (
            'from mcpward import Server, env\nserver = Server("x")\n@server.tool()\ndef used() -> str:\n    "Use."\n'
        )
        (tmp_path / "tools.py").write_text(f"{needs}    return env.WANTED.template('{{}}').name\n")
        checked = ward.cli("secret", "check", "--json", check=False)
        assert checked.returncode == 1
        assert '"kind": "manager"' in checked.stdout
        assert "which cannot be read: it is set nowhere else, and the secret manager" in checked.stdout
        refusing = (
            (tmp_path / "mcpward.toml")
            .read_text()
            .replace("[secrets.manager]", '[secrets]\nmissing = "refuse"\n[secrets.manager]')
        )
        (tmp_path / "mcpward.toml").write_text(refusing)
        ward.process = None
        assert ward.launch().wait(30) == 2
        engine.start()
        engine.put(ALPHA, WANTED=FIRST)
        engine.put(BETA, WANTED=FIRST)
        assert ward.cli("secret", "check").returncode == 0
        ward.process = None
        ward.start()


def test_namespace_mount_path_and_authorities_are_those_of_the_settings(tmp_path) -> None:
    tls, _ = certificate_for("127.0.0.1", tmp_path)
    more = 'namespace = "teams/shop"\nmount = "kv/prod"\npath = "apps/{server}/env"\nca_file = "outside.pem"\n'
    with kv(tls) as engine, managed(tmp_path, engine, more) as ward:
        engine.needs_request_header = True
        engine.put("apps/alpha/env", mount="kv/prod", namespace="teams/shop", SHARED=FIRST)
        site = Managed(start(ward), engine)
        assert site.ask("held") == digest(FIRST)
        assert engine.asked[0][0] == "/v1/kv/prod/data/apps/alpha/env"
        assert ward.stop() == 0
        (tmp_path / "mcpward.toml").write_text((tmp_path / "mcpward.toml").read_text().replace("ca_file", "#"))
        ward.launch().wait(30)
        assert "tls-failed" in ward.log()
