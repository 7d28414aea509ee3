"""What is wrong with the secrets of a site: missing, weak and unused ones, and a key that is to be rotated."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.managed_secrets import ManagedSecrets
from mcpward.core.secret import value_of
from mcpward.operations.asked_secrets import AskedSecret, asked_secrets
from mcpward.operations.secret_manager import read_manager
from mcpward.operations.secrets import KeptSecret, is_near_bound, list_secrets
from mcpward.operations.site import has_data, open_site
from mcpward.operations.tool_sources import load_tool_sources
from mcpward.sanitize.weak import why_weak
from mcpward.vault.store import Vault

Kind = Literal["missing", "manager", "weak", "unused", "key"]


class SecretFinding(Struct, frozen=True):
    """One fault. ``missing`` keeps a tool from working, and ``manager`` may; the others are advice."""

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
    managed = await read_manager(settings, clock)
    asked = asked_secrets(await load_tool_sources(settings, clock, managed=managed))
    findings = [_missing(one) for one in asked if one.is_missing]
    for server, held in managed.items():
        findings += _of_manager(server, held, {one.name for one in asked if one.server == server})
    if not has_data(settings):
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


def _of_manager(server: str, held: ManagedSecrets, asked: set[str]) -> list[SecretFinding]:
    if held.away:
        what = f"the secret manager cannot be read: {held.away}"
        return [SecretFinding("manager", server, "", what, "see [secrets.manager]", server)]
    hint = "mend it in the secret manager"
    return [
        *(SecretFinding("manager", server, name, f"{name}: {why}", hint) for name, why in held.problems.items()),
        *(
            SecretFinding("weak", server, name, f"{name} {why}", hint)
            for name, secret in held.values.items()
            if (why := why_weak(value_of(secret))) is not None
        ),
        *(
            SecretFinding(
                "unused", server, name, f"no function of {server} asks for {name} of the secret manager", hint
            )
            for name in held.values
            if name not in asked
        ),
    ]


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
