"""Every setting there is: name, type, default and one line of help. An unknown key is an error at every depth.

Rules that look at more than one key are in ``rules.py``; ``load.py`` knows the origin of each value.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, field_validator

from mcpward.config.address import Address, parse_address
from mcpward.config.approvals import ApprovalSettings
from mcpward.config.external_secrets import ExternalSecrets
from mcpward.config.fields import (
    AgeOrNone,
    AllowedHosts,
    Count,
    Delay,
    FilePath,
    FilePathOrNone,
    Filled,
    Folders,
    FoldersOrNone,
    HostNames,
    Listen,
    ListenOrOff,
    Modes,
    Networks,
    Origins,
    RecordSize,
    Seconds,
    Size,
    UrlOrNone,
)
from mcpward.config.key_places import KeyPlaces
from mcpward.config.limits import (
    BudgetName,
    BudgetSettings,
    PoolName,
    PoolSettings,
    ServerLimits,
    SiteLimits,
    ToolName,
    ToolSettings,
)
from mcpward.config.names import check_server_name
from mcpward.config.oauth import Egress, Issuer, IssuerName, OAuth
from mcpward.config.output import ServerOutput
from mcpward.config.policy import PolicyRule, RuleName
from mcpward.config.section import Section, key
from mcpward.config.tool_http import ToolHttp
from mcpward.core.errors import Finding
from mcpward.core.scope import Access

ServerName = Annotated[str, AfterValidator(check_server_name)]
ServerNameOrNone = ServerName | None


class Site(Section):
    """[site]: the addresses of mcpward, and proxies in front of it."""

    listen: Listen = key("127.0.0.1:8000", "address to serve on; port 0 lets the system choose", '"127.0.0.1:8000"')
    public_url: UrlOrNone = key(
        None, "the site's URL for clients; never derived from the Host header", '"https://mcp.example.com"'
    )
    default_server: ServerNameOrNone = key(
        None,
        "the server that answers at `/mcp` too, beside its own `/<name>/mcp`; a single server is the default",
        '"orders"',
    )
    trusted_proxies: Networks = key(
        (),
        "networks whose X-Forwarded-* headers are trusted; from all others they are ignored. Needed behind a proxy, "
        "or its address counts for every caller",
        '["127.0.0.1/32", "::1/128"]',
    )
    data: FilePath = key(".mcpward", "folder of the database and the generated keys (mode 0700)", '".mcpward"')
    allowed_hosts: AllowedHosts = key(
        (), "further accepted Host values, beside those of listen and public_url", '["mcp.internal:8000"]'
    )
    allowed_origins: Origins = key(
        (),
        "further accepted Origin values (web pages, apps, browser extensions), beside the site's own; requests "
        "without an Origin are not affected",
        '["https://app.example", "tauri://localhost"]',
    )
    tls_cert: FilePathOrNone = key(None, "PEM file of the certificate chain; together with tls_key", '"tls/cert.pem"')
    tls_key: FilePathOrNone = key(None, "PEM file of the private key; together with tls_cert", '"tls/key.pem"')
    behind_tls_proxy: bool = key(False, "declares that a proxy in front terminates TLS", "true")
    allow_unauthenticated: bool = key(
        False, "allows other machines to reach servers in public mode, without any credential", "true"
    )
    metrics_listen: ListenOrOff = key(
        "127.0.0.1:9464",
        'separate address of /metrics; "" turns it off. If it is not set and its port is taken, the next free port, '
        "which the start prints",
        '"127.0.0.1:9464"',
    )
    allow_open_metrics: bool = key(False, "allows other machines to reach /metrics, without any credential", "true")
    workers: Annotated[int, Field(ge=1, le=256)] = key(
        1, "worker processes; with counters in memory, each counts limits per caller separately", "2"
    )
    shutdown_delay_s: Delay = key(
        5.0,
        "seconds after SIGTERM in which /readyz answers 503 `stopping` while calls still pass, so that load balancers "
        "notice. Then the listener closes; 0 for none, as with Ctrl-C",
        "10.0",
    )
    drain_s: Seconds = key(30.0, "seconds that calls in flight may take to finish at a stop", "30.0")

    @property
    def address(self) -> Address:
        """The address to serve at, as host and port."""
        return parse_address(self.listen)

    @property
    def metrics_address(self) -> Address | None:
        """The address of /metrics; None when it is turned off."""
        return parse_address(self.metrics_listen) if self.metrics_listen else None


class Store(Section):
    """[store]: the place of keys, encrypted secrets and the traffic record."""

    url: Filled = key(
        "sqlite:///<data>/mcpward.db",
        "database (only SQLite)",
        '"sqlite:///.mcpward/mcpward.db"',
        secret=True,
    )
    mark: FilePathOrNone = key(
        None,
        "signed file with the database's latest state, to detect an older copy. Default: beside the database "
        "(mcpward.db.mark). Best kept where writers of the database cannot write",
        '"/var/lib/mcpward-mark/store.mark"',
    )

    @property
    def mark_path(self) -> Path:
        """The place of the mark. Meant for settings whose places are filled in."""
        return self.mark or Path(f"{Path(self.url.removeprefix('sqlite:///')).resolve()}.mark")

    def record_mark_in(self, data: Path) -> Path:
        """Return the place of the record's mark: beside ``mark`` if that is set, else in the data folder."""
        return data / "record.mark" if self.mark is None else Path(f"{self.mark}-record")


class Keys(Section):
    """[keys]: rules for every API key of the site."""

    max_age: AgeOrNone = key(
        "",
        "longest life of an API key since its creation; an older one is refused, whatever its expiry. "
        '`mcpward key rotate` creates its successor; "" for no bound',
        '"90d"',
    )


class Http(Section):
    """[http]: bounds on the size and time of a request."""

    max_body: Size = key("4 MiB", "largest body of a request", '"4 MiB"')
    max_headers: Annotated[int, Field(ge=8, le=1000)] = key(100, "maximum of header fields of a request", "100")
    max_header_bytes: Size = key("32 KiB", "maximum of bytes of the request line and all headers", '"32 KiB"')
    header_timeout_s: Seconds = key(10.0, "seconds in which the headers must arrive", "10.0")
    body_timeout_s: Seconds = key(30.0, "seconds in which the body must arrive", "30.0")
    idle_timeout_s: Seconds = key(
        75.0,
        "idle seconds of a connection between requests; at most 5 before the first admitted one",
        "75.0",
    )
    max_connections: Count = key(
        10_000, "maximum of open connections of one worker; fewer if the limit of open files leaves fewer", "10000"
    )
    json_depth: Annotated[int, Field(ge=4, le=512)] = key(64, "deepest nesting of a JSON body", "64")
    json_members: Count = key(
        100_000,
        "maximum of array and object members of a JSON body; also raises the allowed decoding cost",
        "100000",
    )
    max_waiting_s: Seconds = key(10.0, "seconds of silence after which an answer becomes an event stream", "10.0")
    keep_alive_s: Seconds = key(15.0, "seconds between keep-alive comments on an event stream", "15.0")


class Traffic(Section):
    """[traffic]: the record of every request."""

    arguments: bool = key(True, "keep the arguments of calls, with secrets redacted", "false")
    retention_days: Annotated[int, Field(ge=1, le=36_500)] = key(30, "days that records are kept", "90")
    max_size: RecordSize = key(
        "1 GiB",
        "maximum size of the record on disk; beyond it the oldest rows are removed, refusals before calls. A nearly "
        "full disk removes them earlier",
        '"10 GiB"',
    )
    when_full: Literal["refuse", "continue"] = key(
        "refuse",
        "what happens to calls while nothing can be recorded, as on a full disk: `refuse` answers busy, `continue` "
        "runs reading and writing tools without a record. Destructive tools never run without one",
        '"continue"',
    )
    queue: Count = key(10_000, "records that may wait to be written; beyond that, nothing can be recorded", "10000")
    batch: Annotated[int, Field(ge=1, le=1000)] = key(
        64, "records written at once; up to eight times as many while they pile up", "64"
    )


class Output(Section):
    """[output]: bounds on results."""

    max_bytes: Size = key(
        "1 MiB",
        "largest result that a tool may return, its copy as text not counted; a larger one is withheld",
        '"1 MiB"',
    )


class Log(Section):
    """[log]: the process's own log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = key(
        "info",
        "lowest level of lines from mcpward and your own code; libraries always log from warning on",
        '"debug"',
    )
    format: Literal["auto", "console", "json"] = key(
        "auto", "auto is console on a terminal and json elsewhere", '"json"'
    )


class SecretSources(Section):
    """[secrets]: where `env.NAME` looks for a secret that the vault does not keep."""

    files: Folders = key(
        ("/run/secrets",),
        "folders with one file for each secret, named NAME or in lower case: those that Docker and Kubernetes mount. "
        "`NAME_FILE` in the environment and systemd's credentials are read in any case",
        '["/run/secrets", "/etc/shop-secrets"]',
    )
    environment: bool = key(
        True,
        "whether a secret may come from the process environment, after vault and files; `env.text` reads it in any "
        "case",
        "false",
    )
    missing: Literal["warn", "refuse"] = key(
        "warn",
        "what a start does if a function asks for a secret (`env.NAME`) that is set nowhere: warn, or refuse to "
        "serve. One that is asked for at import always refuses",
        '"refuse"',
    )
    manager: ExternalSecrets = Field(ExternalSecrets(), description="an external secret manager")


class Server(Section):
    """[servers.<name>]: one MCP server."""

    source: Filled = key(..., "what to serve: a Python file, or module:object", '"tools.py"')
    mode: Modes = key(
        "api-key",
        "the credential: api-key, oauth (tokens of your identity provider), unlisted (the URL is the credential) or "
        'public (none); ["oauth", "api-key"] accepts tokens and keys',
        '"api-key"',
    )
    access: Literal["read", "write", "destructive"] | None = key(
        None,
        "highest class of tools for callers without a credential of their own. Default: `read` in mode public, "
        "`write` in mode unlisted. Not for modes api-key and oauth, whose credentials have a class",
        '"read"',
    )
    hosts: HostNames = key(
        (), "host names at whose /mcp this server answers, beside /<name>/mcp", '["orders.example.com"]'
    )
    unknown_arguments: Literal["refuse", "drop-client", "drop"] = key(
        "drop-client",
        "what happens to arguments that a tool does not declare: `refuse` refuses the call, `drop` drops them, "
        "`drop-client` drops those that n8n adds to every call (toolCallId, sessionId, action, chatInput) and refuses "
        "the call for any other; the record names what was dropped",
        '"drop"',
    )
    bounds: Literal["strict", "defaults", "off"] = key(
        "defaults",
        "what happens to arguments whose schema has no bound: `defaults` bounds them (10,000 characters, 1,000 items "
        "or members, integers of 64 bits), publishes that and warns at the start; `strict` refuses to start; `off` "
        "leaves them to the bounds of a message",
        '"strict"',
    )
    secret_files: FoldersOrNone = key(
        None,
        "folders of this server's secrets, in place of `secrets.files`, so that no other server reads them",
        '["/run/secrets/orders"]',
    )
    descriptions: Literal["warn", "refuse", "off"] = key(
        "warn",
        "what a start does if a description, a schema or the instructions have orders to the model, hidden characters, "
        "internal addresses, paths or versions, credentials, or names of other servers' tools",
        '"refuse"',
    )
    pin: bool | Literal["strict"] = key(
        False,
        "holds back a tool, prompt or resource that is new or differs from what was approved, until `mcpward approve "
        'tools`. The first start is trusted; with `"strict"`, nothing is before you approve it',
        "true",
    )
    taint: AgeOrNone = key(
        "",
        "for so long after a conversation has read an `untrusted` result, destructive and open-world tools need a "
        'person\'s yes; "" for no such rule',
        '"15m"',
    )
    limits: ServerLimits = Field(ServerLimits(), description="limits of this server")
    output: ServerOutput = Field(ServerOutput(), description="what must never leave in its results")
    tools: dict[ToolName, ToolSettings] = Field({}, description="additions to its tools, by their names")
    rules: dict[RuleName, PolicyRule] = Field({}, description="who may call what, by a name of your own")
    http: ToolHttp = Field(ToolHttp(), description="requests of its tools by mcpward.http")
    oauth: OAuth = Field(OAuth(), description="accepted tokens and their rights")

    def under(self, site: str) -> Self:
        """Return the same server with ``site`` as the site's value of ``on_store_failure``."""
        return self.model_copy(update={"limits": self.limits.under(site)})

    @property
    def modes(self) -> frozenset[str]:
        """The ways in: one, or a token and a key side by side."""
        return frozenset([self.mode] if isinstance(self.mode, str) else self.mode)

    @property
    def has_tokens(self) -> bool:
        """Whether access tokens open this server."""
        return "oauth" in self.modes

    @property
    def keyless_access(self) -> Access:
        """The highest class of tools for callers without a key of their own: a secret URL was handed to its callers."""
        return Access.parse(self.access or ("write" if self.mode == "unlisted" else "read"))


class Settings(Section):
    """The whole file."""

    site: Site = Field(Site(), description="addresses and proxies")
    store: Store = Field(Store(), description="the database")
    keys: Keys = Field(Keys(), description="rules for every API key")
    http: Http = Field(Http(), description="bounds on requests")
    limits: SiteLimits = Field(SiteLimits(), description="the place of counters, and limits of the site")
    traffic: Traffic = Field(Traffic(), description="the record of every request")
    output: Output = Field(Output(), description="bounds on results")
    log: Log = Field(Log(), description="the process's own log")
    secrets: SecretSources = Field(SecretSources(), description="where tools' secrets come from")
    egress: Egress = Field(Egress(), description="calls of mcpward and of mcpward.http")
    approvals: ApprovalSettings = Field(ApprovalSettings(), description="calls that wait for a person's yes")
    budgets: dict[BudgetName, BudgetSettings] = Field({}, description="budgets of tools, by a name of your own")
    pools: dict[PoolName, PoolSettings] = Field({}, description="pools of tools, by a name of your own")
    issuers: dict[IssuerName, Issuer] = Field({}, description="the identity providers, by a name of your own")
    servers: dict[ServerName, Server] = Field({}, description="the MCP servers, by name")
    _is_part: bool = PrivateAttr(default=False)
    _places: KeyPlaces = PrivateAttr(default=KeyPlaces())

    @field_validator("budgets", "pools", "servers", mode="after")
    @classmethod
    def _settled(cls, tables: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        site = info.data.get("limits", SiteLimits()).on_store_failure
        return {name: table.under(site) for name, table in tables.items()}

    @property
    def has_one_server(self) -> bool:
        """Whether the site has a single server; one served by itself out of several keeps its URLs among them."""
        return len(self.servers) <= 1 and not self._is_part

    @property
    def is_part(self) -> bool:
        """Whether these are the settings of one server that is served by itself out of several."""
        return self._is_part

    def place(self, key: str) -> str:
        """Return the place that set a setting (``mcpward.toml:7``); its dotted key if it is in no file."""
        return self._places.of(key)

    def placed(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings; those that stand at the key of a setting name the place where it was set."""
        return self._places.placed(findings)

    def placed_by(self, places: KeyPlaces) -> "Settings":
        """Return the same settings, with the places that set them."""
        copy = self.model_copy()
        copy._places = places  # noqa: SLF001 - as below
        return copy

    def as_part(self) -> "Settings":
        """Return the same settings, marked as those of a site with more servers than these."""
        part = self.model_copy()
        part._is_part = True  # noqa: SLF001 - its own class, and not frozen yet for others
        return part
