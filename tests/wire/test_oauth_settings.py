"""Every setting of OAuth mode, flipped: the site that has it answers otherwise than the one that has not."""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from mcpward.config.explain import explain_all
from support.guarded import Door, send
from support.issuer import Document, Issuer, listening
from support.raw import request
from support.tokens import ABSENT
from support.ward import ACCEPT, Ward, modern_request, serving

OAUTH = "servers.demo.oauth."
MAIN = "issuers.main."
CLIENT = {f"{MAIN}client_id": "ward", f"{MAIN}client_secret": "env:CLIENT_SECRET"}
ASKED = CLIENT | {f"{MAIN}introspection": True}


class Flip(Struct, frozen=True):
    """The setting, the settings beside it, the question, and both answers."""

    value: Any
    ask: Callable[["Place"], Any]
    before: Any
    after: Any
    given: dict[str, Any]


FLIPS: dict[str, Flip] = {}


def flips(key: str, value: Any, before: Any, after: Any, given: dict[str, Any] | None = None) -> Callable[[Any], Any]:
    """Register a question."""

    def keep(ask: Any) -> Any:
        FLIPS[key] = Flip(value, ask, before, after, given or {})
        return ask

    return keep


#: Stand for the metadata URLs of the provider and of a second one.
MINE, OTHER = "<mine>", "<other>"
OUTSIDE = "https://id.example.com/realm"
OAUTH_ANY = "servers.<name>.oauth."
SCOPES = {"demo:read": "Read", "demo:write": "Write"}


class Place:
    """The site and its providers, and whether the site started at all."""

    def __init__(self, ward: Ward, issuer: Issuer, other: Issuer) -> None:
        self.ward = ward
        self.issuer = issuer
        self.other = other
        self.door = Door(ward)

    def token(self, alg: str = "RS256", header: Any = None, **claims: Any) -> str:
        mint = self.issuer.mint(self.door.resource, alg)
        return mint.token(header=mint.header(**header) if header else None, **claims)

    def knock(self, tool: str = "whoami", arguments: Any = None, **claims: Any) -> int:
        return self.door.knock(self.token(**claims), tool, arguments).status

    def who(self, **claims: Any) -> dict[str, Any]:
        return self.door.who(self.token(**claims))

    def document(self) -> dict[str, Any]:
        path = "/.well-known/oauth-protected-resource/mcp"
        return dict(send(self.ward.port, request(self.ward.port, "GET", path)).json())

    def starts(self) -> bool:
        return self.ward.process is not None

    def knock_from_other(self) -> int | None:
        if not self.starts():
            return None
        return self.door.knock(self.other.mint(self.door.resource).token()).status


# ---- questions ------------------------------------------------------------------------------------------------------


@flips("egress.allow", ["127.0.0.0/8"], False, True, {"egress.allow": []})
def ask_allow(place):
    return place.starts()


@flips("egress.timeout_s", 0.3, 200, 503)
def ask_timeout(place):
    place.issuer.documents["/jwks"] = Document(place.issuer.documents["/jwks"].body, delay_s=1.0)
    place.ward.stop()
    place.ward.start()
    return place.knock()


@flips("issuers.<name>.metadata", OTHER, 401, 200)
def ask_metadata(place):
    return place.knock_from_other()


@flips("servers.<name>.oauth.metadata", OTHER, None, 200, {f"{OAUTH}issuers": []})
def ask_own_metadata(place):
    return place.knock_from_other()


@flips("servers.<name>.oauth.issuers", ["main", "other"], 401, 200, {"issuers.other.metadata": OTHER})
def ask_issuers(place):
    return place.knock_from_other()


def outside(place: Place) -> bool:
    """Have the provider name an issuer of another path, and tell whether the site starts with that."""
    place.ward.stop()
    said = place.issuer.announcement(issuer=OUTSIDE)
    place.issuer.documents["/.well-known/oauth-authorization-server"] = Document(said)
    try:
        place.ward.start()
    except AssertionError:
        return False
    place.issuer.issuer = OUTSIDE
    return place.knock() == 200


@flips("issuers.<name>.issuer", "https://id.example.com/realm", False, True)
def ask_issuer(place):
    return outside(place)


@flips(
    "servers.<name>.oauth.issuer", "https://id.example.com/realm", False, True,
    {f"{OAUTH}issuers": [], f"{OAUTH}metadata": MINE},
)  # fmt: skip
def ask_own_issuer(place):
    return outside(place)


@flips(f"{OAUTH_ANY}max_token_bytes", "1 KiB", 200, 401)
def ask_max_token_bytes(place):
    return place.knock(filler="x" * 1000)


@flips(f"{OAUTH_ANY}challenge_scopes", "all", "demo:read", "demo:read demo:write", {f"{OAUTH}scopes": SCOPES})
def ask_challenge_scopes(place):
    return place.door.knock(None).headers["www-authenticate"].split('scope="')[1].rstrip('"')


@flips(
    f"{OAUTH_ANY}list_step_up",
    True,
    ["careful", "whoami"],
    ["careful", "save", "whoami"],
    {f"{OAUTH}access": {"demo:write": "write"}},
)
def ask_list_step_up(place):
    body, headers = modern_request("tools/list", {})
    media = {"Content-Type": "application/json", "Accept": ACCEPT, "Authorization": f"Bearer {place.token()}"}
    rows = [*(headers | media).items()]
    answer = send(place.ward.port, request(place.ward.port, "POST", "/mcp", rows, json.dumps(body).encode()))
    return sorted(tool["name"] for tool in answer.json()["result"]["tools"])


@flips("issuers.<name>.algorithms", ["ES256"], (200, 200), (401, 200))
def ask_algorithms(place):
    return place.knock(alg="RS256"), place.knock(alg="ES256")


@flips("issuers.<name>.token_type", "any", 401, 200)
def ask_token_type(place):
    return place.knock(header={"typ": "JWT"})


@flips("issuers.<name>.audience", "api://demo", (200, 401), (401, 200))
def ask_audience(place):
    return place.knock(), place.knock(aud="api://demo")


@flips("issuers.<name>.leeway_s", 0.0, 200, 401)
def ask_leeway(place):
    return place.knock(exp=int(time.time()) - 5)


@flips("issuers.<name>.claims.subject", "oid", "ada", "0815")
def ask_subject(place):
    return place.who(oid="0815")["subject"]


@flips("issuers.<name>.claims.scope", "scp", [["demo:read"], 403], [["demo:extra", "demo:read"], 200])
def ask_scope(place):
    scopes = place.who(scp=["demo:read", "demo:extra"])["scopes"]
    return [scopes, place.knock(scope=ABSENT, scp=["demo:read"])]


GRANTED = {f'{OAUTH}permissions."group:staff".access': "write", f'{OAUTH}permissions."role:staff".access': "write"}


@flips("issuers.<name>.claims.groups", "teams", 400, 200, GRANTED)
def ask_groups(place):
    return place.knock("save", {"value": "x"}, teams=["staff"])


@flips("issuers.<name>.claims.roles", "realm_access.roles", 400, 200, GRANTED)
def ask_roles(place):
    return place.knock("save", {"value": "x"}, realm_access={"roles": ["staff"]})


def asked_as(place: Place) -> str | None:
    """Show an opaque token, and return the client id with which mcpward asked about it."""
    place.issuer.documents["/introspect"] = Document({"active": False})
    place.door.knock("opaque-token")
    asked = [one for one in place.issuer.received if one.path == "/introspect"]
    if not asked:
        return None
    return base64.b64decode(asked[-1].headers["authorization"].removeprefix("Basic ")).decode()


@flips("issuers.<name>.introspection", True, None, "ward:the+secret", CLIENT)
def ask_introspection(place):
    return asked_as(place)


@flips("issuers.<name>.client_id", "other", "ward:the+secret", "other:the+secret", ASKED)
def ask_client_id(place):
    return asked_as(place)


@flips("issuers.<name>.client_secret", "env:OTHER_SECRET", "ward:the+secret", "ward:another", ASKED)
def ask_client_secret(place):
    return asked_as(place)


@flips("servers.<name>.oauth.scopes", {"demo:read": "", "demo:x": "More"}, ["demo:read"], ["demo:read", "demo:x"])
def ask_scopes(place):
    return place.document()["scopes_supported"]


@flips("servers.<name>.oauth.required", [], 403, 200)
def ask_required(place):
    return place.knock(scope="demo:other")


@flips("servers.<name>.oauth.claims", ["email"], {}, {"email": "a@example.com"})
def ask_claims(place):
    return place.who(email="a@example.com", name="Ada")["claims"]


@flips("servers.<name>.oauth.access", {"demo:write": "write"}, (400, 400), (200, 403))
def ask_access(place):
    arguments = {"value": "x"}
    return place.knock("save", arguments, scope="demo:read demo:write"), place.knock("save", arguments)


@flips("servers.<name>.oauth.confirm_scope", "demo:confirm", True, False)
def ask_confirm_scope(place):
    answer = place.door.knock(place.token(scope="demo:read demo:confirm"), "careful")
    return "isError" in answer.json()["result"] and answer.json()["result"]["isError"]


PERMISSION = "servers.<name>.oauth.permissions.<name>."
OF_GROUP = f'{OAUTH}permissions."group:staff".'


@flips(f"{PERMISSION}access", "write", 400, 200, {f"{OF_GROUP}scopes": []})
def ask_permission_access(place):
    return place.knock("save", {"value": "x"}, groups=["staff"])


@flips(f"{PERMISSION}scopes", ["demo:audit"], ["demo:read"], ["demo:audit", "demo:read"])
def ask_permission_scopes(place):
    return place.who(groups=["staff"])["scopes"]


TWO = {
    f"{OAUTH}issuers": ["main", "other"], "issuers.other.metadata": OTHER, f"{OF_GROUP}access": "write",
    f"{OF_GROUP}issuer": "other",
}  # fmt: skip


@flips(f"{PERMISSION}issuer", "main", 400, 200, TWO)
def ask_permission_issuer(place):
    return place.knock("save", {"value": "x"}, groups=["staff"])


# ---- tests ----------------------------------------------------------------------------------------------------------

TOOLS = '''
from mcpward import Caller, Server

server = Server("demo", version="1.0")


@server.tool(read_only=True)
async def whoami(caller: Caller) -> dict[str, object]:
    """Say who is calling."""
    return {"subject": caller.subject, "scopes": sorted(caller.scopes), "claims": dict(caller.claims)}


@server.tool()
async def save(value: str) -> str:
    """Write something."""
    return f"stored {len(value)}"


@server.tool(read_only=True, confirm=True)
async def careful() -> str:
    """Do something that a person must agree to."""
    return "done with care"
'''


def own(key: str) -> str:
    """Return the name that a setting has in this site's file."""
    key = key.replace("issuers.<name>", "issuers.main").replace("permissions.<name>", 'permissions."group:staff"')
    return key.replace("servers.<name>", "servers.demo")


def lines(given: Mapping[str, Any]) -> Iterator[str]:
    """Write settings by dotted key as TOML; tables of values as inline tables."""
    for key, value in given.items():
        if isinstance(value, dict):
            pairs = ", ".join(f"{json.dumps(name)} = {json.dumps(one)}" for name, one in value.items())
            yield f"{key} = {{ {pairs} }}"
        else:
            yield f"{key} = {json.dumps(value)}"


def answer(folder: Path, settings: Mapping[str, Any], ask: Callable[[Place], Any]) -> Any:
    """Serve a site with these settings and put the question to it."""
    issuer, other = Issuer(), Issuer(name="other-")
    env = {"CLIENT_SECRET": "the secret", "OTHER_SECRET": "another"}
    with listening(issuer, other), serving(folder, servers="", start=False, env=env) as ward:
        given = {
            "site.listen": f"127.0.0.1:{ward.port}", "site.metrics_listen": f"127.0.0.1:{ward.metrics_port}",
            "egress.allow": ["127.0.0.0/8"], f"{MAIN}metadata": issuer.metadata, "servers.demo.source": "own.py",
            "servers.demo.mode": "oauth", f"{OAUTH}issuers": ["main"], f"{OAUTH}required": ["demo:read"],
        } | dict(settings)  # fmt: skip
        (folder / "own.py").write_text(TOOLS)
        text = "\n".join(lines(given)) + "\n"
        (folder / "mcpward.toml").write_text(text.replace(OTHER, other.metadata).replace(MINE, issuer.metadata))
        try:
            ward.start()
        except AssertionError:
            ward.process = None
        return ask(Place(ward, issuer, other))


@pytest.mark.parametrize("key", FLIPS)
def test_a_setting_changes_what_it_says(tmp_path: Path, key: str):
    flip = FLIPS[key]
    assert answer(tmp_path / "before", flip.given, flip.ask) == flip.before
    assert answer(tmp_path / "after", {**flip.given, own(key): flip.value}, flip.ask) == flip.after


def test_every_setting_of_oauth_mode_is_flipped():
    known = {one.key for one in explain_all() if one.key.startswith(("egress.", "issuers.", "servers.<name>.oauth."))}
    assert known == set(FLIPS)
