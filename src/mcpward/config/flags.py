"""The command-line names of the settings that flags set, for messages."""

from typing import Any, Final

from mcpward.config.address import AddressPart

_NAMES: Final = {
    "site.listen": "--host and --port",
    "site.metrics_listen": "--metrics",
    "site.trusted_proxies": "--trusted-proxy",
    "source": "the command line",
}
_SAME: Final = frozenset({
    "site.allow_open_metrics", "site.allow_unauthenticated", "site.behind_tls_proxy", "site.data", "site.public_url",
    "site.tls_cert", "site.tls_key", "site.workers",
})  # fmt: skip


def flag_of(dotted: str, value: Any) -> str:
    """Return the flag that set a setting to a value; the setting itself if none does."""
    if isinstance(value, AddressPart) and (value.host is None or value.port is None):
        return "--port" if value.host is None else "--host"
    last = dotted.rpartition(".")[2]
    is_of_server = dotted.startswith("servers.") and dotted.count(".") == 2
    if dotted in _SAME or (is_of_server and last in {"mode", "access"}):
        return "--" + last.replace("_", "-")
    return _NAMES.get(last if is_of_server else dotted, dotted)
