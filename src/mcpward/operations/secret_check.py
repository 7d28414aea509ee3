"""What is wrong with the secrets of a site: missing ones, ones that nobody asks for, and a key that is to be rotated."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.operations.asked_secrets import AskedSecret, asked_secrets
from mcpward.operations.secrets import KeptSecret, is_near_bound, list_secrets
from mcpward.operations.site import database_of, open_site
from mcpward.operations.tool_sources import load_tool_sources
from mcpward.vault.store import Vault

Kind = Literal["missing", "weak", "unused", "key"]


class SecretFinding(Struct, frozen=True):
    """One fault. ``missing`` keeps a tool from working; the others are advice."""

    kind: Kind
    server: str
    name: str
    what: str
    hint: str
    where: str = ""


async def check_secrets(settings: Settings, clock: Clock) -> list[SecretFinding]:
    """Return what is wrong with the secrets of all servers, missing ones first. The sources are run, nothing is served.

    Raises:
        Misconfigured: a source or the data cannot be used.
    """
    asked = asked_secrets(await load_tool_sources(settings, clock))
    findings = [_missing(one) for one in asked if one.is_missing]
    database = database_of(settings)
    if database is not None and not database.exists():
        return findings
    async with open_site(settings, clock) as site:
        for server in settings.servers:
            kept = await list_secrets(site, server)
            findings += await _weak(site.vault, server)
            findings += _unused(kept, {one.name for one in asked if one.server == server}, settings)
        if is_near_bound(await site.store.vault.entries()):
            what = "the vault's key has sealed half as often as AES-GCM allows"
            findings.append(SecretFinding("key", "", "", what, "mcpward secret rotate-keys"))
    return findings


def _missing(one: AskedSecret) -> SecretFinding:
    what = f"{one.by} asks for {one.name}, {one.problem or 'which is set nowhere'}"
    return SecretFinding("missing", one.server, one.name, what, one.hint, one.where)


async def _weak(vault: Vault, server: str) -> list[SecretFinding]:
    loaded = await vault.load_all(server)
    return [
        SecretFinding("weak", server, name, f"{name} {why}", f"mcpward secret set {name} --server {server}")
        for name, secret in loaded.items()
        if (why := why_weak(value_of(secret))) is not None
    ]


def _unused(kept: Sequence[KeptSecret], asked: set[str], settings: Settings) -> list[SecretFinding]:
    shown = {issuer.client_secret for issuer in settings.issuers.values()}
    return [
        SecretFinding(
            "unused",
            one.server,
            one.name,
            f"no function of {one.server} asks for {one.name}, and it was never used",
            f"mcpward secret remove {one.name} --server {one.server}",
        )
        for one in kept
        if one.name not in asked and one.name not in shown and one.current.last_used_at is None
    ]
