"""The types of settings: how a text from the file becomes a value, and its description in the published JSON schema."""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from mcpward.config.address import (
    parse_address,
    parse_allowed_host,
    parse_host,
    parse_metadata_url,
    parse_origin,
    parse_public_url,
    parse_url,
)
from mcpward.config.counters import read_counters
from mcpward.config.limit_syntax import FAILURES, read_limiting, read_rationing, ruled_text
from mcpward.config.masked import masked
from mcpward.config.names import check_pool_name, check_scope_name
from mcpward.config.quota import parse_quota, quota_text
from mcpward.config.rate import parse_rate, rate_text
from mcpward.config.size import parse_size, size_text
from mcpward.config.span import parse_span, span_text
from mcpward.config.tool_guards import read_tool_guards
from mcpward.core.origin_name import RULE, is_origin
from mcpward.core.values import Quota, QuotaLimit, Rate, RateLimit

#: The ways in, each a mode of a server.
MODES: Final = ("api-key", "oauth", "public", "unlisted")
#: Only asymmetric signatures (RFC 7518 §3.1, RFC 8037, RFC 9864): no file can name ``none`` or an HMAC.
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
_ANY_DOCUMENT: Final = "/.well-known/openid-configuration"
_SHORTEST_AGE_S: Final = 60.0
_SHORTEST_WAIT_S: Final = 10.0
_LONGEST_WAIT_S: Final = 7 * 86_400.0
_NAMESPACE: Final = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
# Elsewhere a table may stand in its place, so people will write one here.
_RATE_ALONE = "must be a text such as 120/minute; put enforce and on_store_failure of a budget beside it"
_QUOTA_ALONE = "must be a text such as 5000/day; put enforce and on_store_failure beside it"
_QUOTA_PATTERN = r"^[0-9]+ */ *[A-Za-z]+$"
_RATE_PATTERN = r"^[0-9]+ */ *[A-Za-z]+( +burst +[0-9]+)?$"


def _rate(value: object) -> object:
    if isinstance(value, str):
        return parse_rate(value)
    if value is None or isinstance(value, Rate):
        return value
    raise ValueError(_RATE_ALONE)


def _rate_or_off(value: object) -> object:
    return None if value == "" else _rate(value)


def _limiting_or_off(value: object) -> object:
    return None if value == "" else read_limiting(value)


def _rationing_or_off(value: object) -> object:
    return None if value == "" else read_rationing(value)


def _quota_or_off(value: object) -> object:
    if isinstance(value, str):
        return parse_quota(value) if value else None
    if value is None or isinstance(value, Quota):
        return value
    raise ValueError(_QUOTA_ALONE)


def _counters(value: str) -> str:
    """Nothing of the value is in any message: it may hold a password."""
    text = value.strip()
    read_counters(text)
    return text


def _member_pattern(value: str) -> str:
    if not value.strip() or len(value) > 128 or not value.isprintable():
        raise ValueError("must be the name of a member, such as password; * and ? stand for characters")
    return value.strip()


def _namespace(value: str) -> str:
    if not _NAMESPACE.fullmatch(value):
        raise ValueError("must be 1 to 40 of a-z, 0-9 and -")
    return value


def _share(value: float) -> float:
    if not 0 < value <= 1:
        raise ValueError("must be more than 0 and at most 1")
    return value


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _age_or_none(value: object) -> object:
    if value is None or value == "":
        return None
    seconds = parse_span(value if isinstance(value, str) else "")
    if seconds < _SHORTEST_AGE_S:
        raise ValueError("must be at least 1m")
    return seconds


def _wait(value: object) -> object:
    if isinstance(value, float):
        return value
    seconds = parse_span(value if isinstance(value, str) else "")
    if not _SHORTEST_WAIT_S <= seconds <= _LONGEST_WAIT_S:
        raise ValueError("must be 10s to 7d")
    return seconds


def _each(read: Callable[[str], Any]) -> Callable[[object], object]:
    def read_all(value: object) -> object:
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise ValueError("must be a list of texts")
        return tuple(read(one) for one in value)

    return read_all


def _called_host(text: str) -> str:
    name = text.strip()
    wild = "*." if name.startswith("*.") else ""
    return wild + parse_allowed_host(name.removeprefix(wild))


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip())
    except ValueError:
        raise ValueError("write a network as 10.0.0.0/8 or 2001:db8::/32, or one address") from None


def _path(value: object) -> object:
    if isinstance(value, str):
        _filled(value)
    return Path(value) if isinstance(value, str) else value


def _folders(value: object) -> object:
    return _each(_filled)(value)


def _folders_or_none(value: object) -> object:
    return None if value is None else _folders(value)


def _address(value: str) -> str:
    return str(parse_address(value))


def _address_or_off(value: str) -> str:
    return str(parse_address(value)) if value else ""


def _url_or_none(value: str | None) -> str | None:
    return None if value is None else parse_public_url(value)


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if "\0" in value:  # no file has such a name, and the system would cut it there or raise
        raise ValueError("must not have a NUL")
    return value


def _claim(value: str) -> str:
    if not value or len(value) > 255 or not value.isprintable():
        raise ValueError("must be the name of a claim")
    return value


def _modes(value: object) -> object:
    """One word, or the two that go together; a list of one is that word, and the order has no meaning."""
    words = [value] if isinstance(value, str) else value
    if isinstance(words, list | tuple):
        if len(words) == 1 and words[0] in MODES:
            return words[0]
        if len(words) == 2 and "oauth" in words and "api-key" in words:
            return ("oauth", "api-key")
    raise ValueError('must be "api-key", "oauth", "unlisted", "public" or ["oauth", "api-key"]')


def _algorithm(value: str) -> str:
    if value not in ALGORITHMS:
        raise ValueError(f"must be of {', '.join(ALGORITHMS)}")
    return value


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("must not be empty")
    return value


def _issuer(value: str) -> str:
    """As it is: an issuer is compared exactly, and some end with a slash (RFC 8414 §2)."""
    if value:
        parse_url(value) if value.startswith("https://") else parse_metadata_url(value.rstrip("/") + _ANY_DOCUMENT)
        if not value.isascii() or not value.isprintable() or " " in value or "\\" in value:
            raise ValueError("an issuer is a URL in ASCII, such as https://id.example.com/realms/demo")
    return value


def _metadata_or_none(value: str | None) -> str | None:
    return None if value is None else parse_metadata_url(value)


_host_names = _each(parse_host)
_scope_names = _each(check_scope_name)
_pool_names = _each(check_pool_name)


def _untrusted(value: object) -> object:
    if isinstance(value, str) and not is_origin(value):
        raise ValueError(f"must be true, false or the name of an origin, {RULE}")
    return value


_member_patterns = _each(_member_pattern)
_names = _each(_claim)
_algorithms = _each(_algorithm)
_allowed_hosts = _each(parse_allowed_host)
_called_hosts = _each(_called_host)
_origins = _each(parse_origin)
_networks = _each(_network)
_TEXTS = WithJsonSchema({"type": "array", "items": {"type": "string"}})
_RULED_TEXT = PlainSerializer(ruled_text, return_type=str | dict[str, Any])


def _ruled_schema(word: str, pattern: str, *, off: bool = False) -> WithJsonSchema:
    text = {"type": "string", "pattern": pattern}
    properties = {word: text, "enforce": {"type": "boolean"}, "on_store_failure": {"enum": [*FAILURES]}}
    table = {"type": "object", "properties": properties, "required": [word], "additionalProperties": False}
    return WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^$|{pattern}"} if off else text, table]})


LimitingText = Annotated[RateLimit, BeforeValidator(read_limiting), _RULED_TEXT, _ruled_schema("rate", _RATE_PATTERN)]
LimitingOrOff = Annotated[
    RateLimit | None, BeforeValidator(_limiting_or_off), _RULED_TEXT, _ruled_schema("rate", _RATE_PATTERN, off=True)
]
RationingOrOff = Annotated[
    QuotaLimit | None, BeforeValidator(_rationing_or_off), _RULED_TEXT, _ruled_schema("quota", _QUOTA_PATTERN, off=True)
]
QuotaOrOff = Annotated[
    Quota | None,
    BeforeValidator(_quota_or_off),
    PlainSerializer(lambda quota: quota_text(quota) if quota else "", return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^$|{_QUOTA_PATTERN}"}),
]
Failure = Literal["closed", "open", "local"]
Share = Annotated[
    float, AfterValidator(_share), WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1})
]
Namespace = Annotated[str, AfterValidator(_namespace)]
Counters = Annotated[str, AfterValidator(_counters), PlainSerializer(masked, return_type=str)]
PoolNames = Annotated[tuple[str, ...], BeforeValidator(_pool_names), _TEXTS]
Untrusted = Annotated[
    bool | str, BeforeValidator(_untrusted), WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string"}]})
]
MemberPatterns = Annotated[tuple[str, ...], BeforeValidator(_member_patterns), _TEXTS]
RateOrOff = Annotated[
    Rate | None,
    BeforeValidator(_rate_or_off),
    PlainSerializer(lambda rate: rate_text(rate) if rate else "", return_type=str),
    WithJsonSchema({"type": "string"}),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(ge=1024, le=1024**3),
    PlainSerializer(size_text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1024}, {"type": "string"}]}),
]
RecordSize = Annotated[
    int,
    BeforeValidator(_size),
    Field(ge=1024**2, le=1024**4),
    PlainSerializer(size_text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1024**2}, {"type": "string"}]}),
]
AgeOrNone = Annotated[
    float | None,
    BeforeValidator(_age_or_none),
    PlainSerializer(lambda seconds: span_text(seconds) if seconds else "", return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^$|^ *[0-9]{1,6} *[smhdwSMHDW] *$"}),
]
Wait = Annotated[
    float,
    BeforeValidator(_wait),
    PlainSerializer(span_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^ *[0-9]{1,6} *[smhdwSMHDW] *$"}),
]
TokenSize = Annotated[Size, Field(le=64 * 1024)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Delay = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=100_000_000)]
Listen = Annotated[str, AfterValidator(_address)]
ListenOrOff = Annotated[str, AfterValidator(_address_or_off)]
UrlOrNone = Annotated[str | None, AfterValidator(_url_or_none)]
IssuerOrEmpty = Annotated[str, AfterValidator(_issuer)]
MetadataUrl = Annotated[str, AfterValidator(parse_metadata_url)]
ClaimName = Annotated[str, AfterValidator(_claim)]
ScopeNames = Annotated[tuple[str, ...], BeforeValidator(_scope_names), _TEXTS]
Names = Annotated[tuple[str, ...], BeforeValidator(_names), _TEXTS]
MetadataUrlOrNone = Annotated[str | None, AfterValidator(_metadata_or_none)]
_PAIR = {"type": "array", "items": {"enum": ["oauth", "api-key"]}, "minItems": 1, "maxItems": 2}
Modes = Annotated[
    str | tuple[str, ...], BeforeValidator(_modes), WithJsonSchema({"anyOf": [{"enum": [*MODES]}, _PAIR]})
]
Algorithms = Annotated[
    tuple[str, ...],
    BeforeValidator(_algorithms),
    AfterValidator(_some),
    WithJsonSchema({"type": "array", "items": {"enum": [*ALGORITHMS]}, "minItems": 1}),
]
_PATH_TEXT = WithJsonSchema({"type": "string"})
FilePath = Annotated[Path, BeforeValidator(_path), PlainSerializer(str, return_type=str), _PATH_TEXT]
FilePathOrNone = Annotated[
    Path | None,
    BeforeValidator(_path),
    PlainSerializer(lambda path: str(path) if path else None, return_type=str | None),
    _PATH_TEXT,
]
Filled = Annotated[str, AfterValidator(_filled)]
Folders = Annotated[tuple[str, ...], BeforeValidator(_folders), _TEXTS]
FoldersOrNone = Annotated[tuple[str, ...] | None, BeforeValidator(_folders_or_none), _TEXTS]
HostNames = Annotated[tuple[str, ...], BeforeValidator(_host_names), _TEXTS]
AllowedHosts = Annotated[tuple[str, ...], BeforeValidator(_allowed_hosts), _TEXTS]
CalledHosts = Annotated[tuple[str, ...], BeforeValidator(_called_hosts), _TEXTS]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins), _TEXTS]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...],
    BeforeValidator(_networks),
    PlainSerializer(lambda networks: [str(one) for one in networks], return_type=list[str]),
    _TEXTS,
]

# The usual name of a setting's type, by the function that reads it.
KINDS: Final[Mapping[object, str]] = {
    read_limiting: "rate or table",
    _limiting_or_off: 'rate, table or ""',
    _rationing_or_off: 'quota, table or ""',
    _quota_or_off: 'quota or ""',
    _counters: '"memory" or URL',
    _share: "number above 0, at most 1",
    _pool_names: "list of names",
    _member_patterns: "list of patterns",
    _untrusted: "true, false or a name",
    _rate_or_off: 'rate or ""',
    _size: "size",
    _age_or_none: 'span or ""',
    _wait: "span",
    _path: "path",
    _folders: "list of folders",
    _folders_or_none: "list of folders",
    _address: "host:port",
    _address_or_off: 'host:port or ""',
    _url_or_none: "URL",
    _host_names: "list of host names",
    _allowed_hosts: "list of host or host:port",
    _called_hosts: "list of host, host:port or *.host",
    _origins: "list of origins",
    _networks: "list of networks",
    parse_metadata_url: "URL",
    _issuer: 'URL or ""',
    _metadata_or_none: "URL",
    _algorithms: f"list of {', '.join(ALGORITHMS)}",
    _claim: "name of a claim",
    _names: "list of names",
    _scope_names: "list of scopes",
    read_tool_guards: "list of tables",
    _modes: '"api-key", "oauth", "unlisted", "public", or ["oauth", "api-key"]',
}
