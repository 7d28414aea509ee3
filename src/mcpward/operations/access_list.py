"""Access of callers to tools: every caller that the site knows, judged by the rules that judge calls."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from mcpward.config.model import Server, Settings
from mcpward.core.values import AuthMethod, Principal, Tool
from mcpward.identity.keys.key_cache import principal_of
from mcpward.identity.keys.records import EVERY_SERVER, KeyRecord
from mcpward.policy.decide import Policy
from mcpward.policy.server_rules import rules_of
from mcpward.tools.tool_source import ToolSource


class Permission(Struct, frozen=True, kw_only=True):
    """Whether a caller may call a tool. ``denied_by`` is the rule that refuses it, "" if it may.

    ``who`` describes the caller in words: a key, the holder of a secret URL, any caller, or the holders of tokens. Only
    the requirements of tokens are known here. ``key`` is the key's record.
    """

    server: str
    tool: Tool
    who: str
    key: KeyRecord | None = None
    denied_by: str = ""


def permissions(
    settings: Settings, sources: Mapping[str, ToolSource], keys: Iterable[KeyRecord], now: float
) -> Iterator[Permission]:
    """Return one for each caller and tool that is switched on, by server, tool and caller. Ended keys have none."""
    policy, max_age_s = Policy(sources, rules=rules_of(settings.servers)), settings.keys.max_age
    live = [key for key in keys if key.is_live(now, max_age_s)]
    for name, source in sources.items():
        server = settings.servers[name]
        callers = list(_callers(name, server, live))
        for tool in source.declared:
            if source.find(tool.name) is None:
                continue
            for who, key, principal in callers:
                denied_by = policy.decide(principal, tool).reason
                yield Permission(server=name, tool=tool, who=who, key=key, denied_by=denied_by)
            if server.has_tokens:
                yield Permission(server=name, tool=tool, who=_token_for(tool))


def _callers(name: str, server: Server, keys: Iterable[KeyRecord]) -> Iterator[tuple[str, KeyRecord | None, Principal]]:
    if "api-key" in server.modes:
        for key in keys:
            if name in key.servers or EVERY_SERVER in key.servers:
                yield f"key {key.id} ({key.name})", key, principal_of(key, name, key.id)
    for mode, way, who in (
        ("unlisted", AuthMethod.UNLISTED, "holders of the secret URL"),
        ("public", AuthMethod.ANONYMOUS, "anybody"),
    ):
        if mode in server.modes:
            principal = Principal(key=mode, way=way, server=name, subject=mode, access=server.keyless_access)
            yield who, None, principal


def _token_for(tool: Tool) -> str:
    scopes = f" with {' '.join(sorted(tool.scopes))}" if tool.scopes else ""
    return f"a token cleared for {tool.access.label}{scopes}"
