"""The settings of an external secret manager."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from mcpward.config.address import parse_service_url
from mcpward.config.fields import FilePathOrNone, Seconds
from mcpward.config.names import check_manager_path, check_manager_token
from mcpward.config.section import Section, key


def _url(value: str) -> str:
    return parse_service_url(value) if value else ""


def _path(value: str) -> str:
    if value.count("{server}") != 1:
        raise ValueError("write {server} once, where the server's name goes: each server has an entry of its own")
    check_manager_path(value.replace("{server}", "server"))
    return value


def _namespace(value: str) -> str:
    return check_manager_path(value) if value else ""


_TEXT: Final = WithJsonSchema({"type": "string"})
Interval = Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]
Kept = Annotated[float, Field(ge=0, le=604_800, allow_inf_nan=False)]


class ExternalSecrets(Section):
    """[secrets.manager]: secrets from a KV engine (version 2) of HashiCorp Vault or OpenBao, after those of mcpward's
    vault.
    """

    url: Annotated[str, AfterValidator(_url), _TEXT] = key(
        "",
        'address of the manager; "" for none. A private address and http:// need its network in `egress.allow`',
        '"https://vault.example.com:8200"',
    )
    mount: Annotated[str, AfterValidator(check_manager_path), _TEXT] = key(
        "secret", "path at which the KV engine is mounted", '"kv"'
    )
    path: Annotated[str, AfterValidator(_path), _TEXT] = key(
        "mcpward/{server}",
        "the entry of each server; its fields are the server's secrets, by name",
        '"teams/shop/{server}"',
    )
    token: Annotated[str, AfterValidator(check_manager_token), _TEXT] = key(
        "",
        "the place of the token, never the token itself: `env:NAME`, or `file:/path` of one that is renewed there. It "
        "is read again for each request",
        '"file:/run/vault/token"',
    )
    namespace: Annotated[str, AfterValidator(_namespace), _TEXT] = key(
        "", "namespace of the mount; is sent as X-Vault-Namespace", '"teams/shop"'
    )
    ca_file: FilePathOrNone = key(
        None,
        "PEM file of the authorities that sign the manager's certificate, in place of the system's",
        '"/etc/mcpward/vault-ca.pem"',
    )
    refresh_s: Interval = key(60.0, "seconds between two reads of all servers' secrets", "15.0")
    keep_s: Kept = key(
        86_400.0, "seconds for which the last values stay in use while the manager cannot be read", "3600.0"
    )
    timeout_s: Seconds = key(5.0, "seconds that one read may take", "2.0")

    @property
    def is_set(self) -> bool:
        """Whether there is a manager."""
        return bool(self.url)
