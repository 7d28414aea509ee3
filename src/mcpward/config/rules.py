"""Rules that look at more than one key. First of all: closed by default. So nothing is reachable from other machines
without a credential, and no credential travels in clear, unless the operator wrote the line that allows it.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from mcpward.config.address import is_loopback
from mcpward.config.endpoint import default_server, origin_of, served_paths
from mcpward.config.limit_rules import LIMIT_RULES
from mcpward.config.manager_rules import MANAGER_RULES
from mcpward.config.model import Settings
from mcpward.config.names import nearest
from mcpward.config.oauth_rules import OAUTH_RULES
from mcpward.config.output_rules import OUTPUT_RULES
from mcpward.config.violations import Rule, Violation


def unauthenticated(settings: Settings) -> Iterator[Violation]:
    """A public server on a non-loopback address needs a typed yes."""
    if settings.site.address.is_loopback or settings.site.allow_unauthenticated:
        return
    for name, server in settings.servers.items():
        if server.mode == "public":
            yield Violation(
                (f"servers.{name}.mode", "site.listen", "site.allow_unauthenticated"),
                f"server {name} is public and {settings.site.listen} can be reached from other machines",
                'use mode = "api-key", listen on 127.0.0.1, or allow it with [site] allow_unauthenticated = true',
            )


def in_clear(settings: Settings) -> Iterator[Violation]:
    """A credential on a non-loopback address needs TLS, here or in front."""
    site = settings.site
    if site.address.is_loopback or site.behind_tls_proxy or site.tls_cert or site.tls_key:
        return
    if not settings.servers or any(server.mode != "public" for server in settings.servers.values()):
        yield Violation(
            ("site.listen", "site.tls_cert", "site.tls_key", "site.behind_tls_proxy"),
            f"credentials would be sent in clear: {site.listen} can be reached from other machines without TLS",
            "set [site] tls_cert and tls_key (--tls-cert, --tls-key), or behind_tls_proxy = true if a proxy "
            "terminates TLS",
        )


def undeclared_proxy(settings: Settings) -> Iterator[Violation]:
    """Behind a proxy that is not named every caller has its address: networks of keys and limits would mean nothing."""
    site = settings.site
    if site.trusted_proxies:
        return
    url = urlsplit(site.public_url or "")
    is_proxied = url.scheme == "https" and not site.tls_cert and not is_loopback(url.hostname or "")
    if site.behind_tls_proxy or is_proxied:
        first = "site.behind_tls_proxy" if site.behind_tls_proxy else "site.public_url"
        yield Violation(
            (first, "site.trusted_proxies", "site.tls_cert", "site.tls_key"),
            f"{first} implies a proxy, but site.trusted_proxies is empty: all callers would count under its address, "
            f"and keys' networks would be compared with it",
            'name its network (--trusted-proxy); on the same machine: trusted_proxies = ["127.0.0.1/32", "::1/128"]',
        )


def open_metrics(settings: Settings) -> Iterator[Violation]:
    """/metrics asks for no credential and names servers, tools and refusals: it stays inside without a typed yes."""
    site = settings.site
    metrics = site.metrics_address
    if metrics is not None and not metrics.is_loopback and not site.allow_open_metrics:
        yield Violation(
            ("site.metrics_listen", "site.allow_open_metrics"),
            f"/metrics at {site.metrics_listen} can be reached from other machines and needs no credential",
            "listen on 127.0.0.1, or allow it with [site] allow_open_metrics = true",
        )


def tls_pair(settings: Settings) -> Iterator[Violation]:
    """Certificate and key come together. The content of the files is judged only by the process that serves."""
    site = settings.site
    for name, path, other in (("tls_cert", site.tls_cert, site.tls_key), ("tls_key", site.tls_key, site.tls_cert)):
        if path is None and other is not None:
            yield Violation((f"site.{name}",), f"site.{name} is missing", "set both tls_cert and tls_key")


def known_by_a_name(settings: Settings) -> Iterator[Violation]:
    """0.0.0.0 is no name: without one every Host header would be refused, and no caller admitted."""
    site = settings.site
    names = site.public_url or site.allowed_hosts or any(server.hosts for server in settings.servers.values())
    if site.address.is_wildcard and not names:
        yield Violation(
            ("site.listen", "site.public_url", "site.allowed_hosts"),
            f"{site.listen} is not a name that clients can use, and every other Host is refused",
            'set [site] public_url = "https://…" (--public-url) or allowed_hosts = ["…"]',
        )


def one_address_each(settings: Settings) -> Iterator[Violation]:
    """/metrics has an address of its own."""
    metrics = settings.site.metrics_address
    if "metrics_listen" not in settings.site.model_fields_set:
        return  # it moves to a port that is free
    if metrics is not None and metrics.port and metrics == settings.site.address:
        yield Violation(
            ("site.metrics_listen", "site.listen"),
            "site.metrics_listen is the address that the servers listen on",
            'set another port, or turn it off with metrics_listen = ""',
        )


def access_of_keys(settings: Settings) -> Iterator[Violation]:
    """A class for callers without a credential has no effect if every caller has one."""
    for name, server in settings.servers.items():
        if server.access is not None and not server.modes.isdisjoint(("api-key", "oauth")):
            key = f"servers.{name}.access"
            where = f"[servers.{name}.oauth.access]" if server.has_tokens else "mcpward key create --class"
            yield Violation(
                (key, f"servers.{name}.mode"),
                f"{key} is for callers without a credential, and server {name} admits none",
                f"remove the line: a credential has its class ({where})",
            )


def one_server_per_host(settings: Settings) -> Iterator[Violation]:
    """A host name leads to one server."""
    owner: dict[str, str] = {}
    for name, server in settings.servers.items():
        for host in server.hosts:
            first = owner.setdefault(host, name)
            if first != name:
                key = f"servers.{name}.hosts"
                yield Violation(
                    (key,), f"{key}: {host} leads to server {first} already", "use each host for one server"
                )


def known_default(settings: Settings) -> Iterator[Violation]:
    """The server that answers at /mcp is one of the site's; otherwise a slip would take it away unnoticed."""
    named = settings.site.default_server
    if named is None or named in settings.servers:
        return
    meant = nearest(named, settings.servers)
    known = f"there are: {', '.join(settings.servers)}" if settings.servers else f"write a table [servers.{named}]"
    yield Violation(
        ("site.default_server", "servers", f"servers.{named}.source"),
        f"site.default_server: there is no server {named}",
        f"did you mean {meant!r}?" if meant else known,
    )


def one_server_per_url(settings: Settings) -> Iterator[Violation]:
    """One URL leads to one server: /mcp of a server's own host is its own, and a path may begin as another does."""
    default = default_server(settings)
    host = urlsplit(origin_of(settings)).hostname or ""
    for name, server in settings.servers.items():
        if default is not None and name != default and host in server.hosts:
            yield Violation(
                ("site.default_server", f"servers.{name}.hosts", "site.public_url"),
                f"/mcp of {host} would be server {default} by site.default_server, and server {name} by its hosts",
                "remove one of the two lines",
            )
    owner: dict[str, str] = {}
    for one in served_paths(settings):
        first = owner.setdefault(one.path, one.server)
        if first != one.server:
            yield Violation(
                ("site.public_url", "site.default_server"),
                f"{one.path} would be server {first} behind a proxy that strips the path of site.public_url, and "
                f"server {one.server} behind one that does not",
                "change the path of public_url or the name of the server, or remove default_server",
            )


def database(settings: Settings) -> Iterator[Violation]:
    """Only SQLite on disk, for now: in memory, the workers would not see each other's keys."""
    scheme, _, place = settings.store.url.partition("://")
    if scheme != "sqlite":
        yield Violation(
            ("store.url",), "store.url: only SQLite is supported", 'write url = "sqlite:///path/to/file.db"'
        )
    elif not place.startswith("/") or place.endswith(("/", ":memory:")):
        yield Violation(("store.url",), "store.url names no file", 'write url = "sqlite:///path/to/file.db"')


def proxied_url(settings: Settings) -> Iterator[Violation]:
    """A public URL determines what clients send; plain http to the outside would send keys in clear."""
    site = settings.site
    if site.tls_cert and site.public_url and site.public_url.startswith("http://"):
        yield Violation(
            ("site.public_url", "site.tls_cert"), "site.public_url is http, but the site uses TLS", "write https://"
        )


RULES: Final[tuple[Rule, ...]] = (
    unauthenticated,
    in_clear,
    undeclared_proxy,
    open_metrics,
    tls_pair,
    known_by_a_name,
    one_address_each,
    access_of_keys,
    one_server_per_host,
    known_default,
    one_server_per_url,
    database,
    proxied_url,
    *MANAGER_RULES,
    *OAUTH_RULES,
    *LIMIT_RULES,
    *OUTPUT_RULES,
)


def breaches(settings: Settings) -> list[Violation]:
    """Return every broken rule, in the order of the table above."""
    return [breach for rule in RULES for breach in rule(settings)]


__all__ = ["RULES", "Violation", "breaches"]
