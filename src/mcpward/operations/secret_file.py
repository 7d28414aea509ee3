"""Secrets in files: a ``.env`` file that is read, and a backup in the age format (age-encryption.org/v1)."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyrage
from dotenv import dotenv_values
from msgspec import DecodeError, Struct, ValidationError, json
from pyrage import passphrase, x25519

from mcpward.core.secret import Secret, value_of
from mcpward.operations.denied import Denied, Invalid
from mcpward.operations.secrets import require_secret_name, require_value
from mcpward.operations.site import Site
from mcpward.traffic.act import Act

_FORM: Final = "mcpward secrets 1"
_MOST_BYTES: Final = 16 * 1024**2
_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=", re.ASCII)


class ExportedSecret(Struct, frozen=True):
    """One secret in a backup. It has no readable ``repr``."""

    server: str
    name: str
    value: str
    hosts: tuple[str, ...] = ()
    header: str = ""
    is_http_only: bool = False

    def __repr__(self) -> str:
        return f"ExportedSecret({self.server}/{self.name})"

    @property
    def secret(self) -> Secret:
        """The value with what it is bound to."""
        return Secret(self.value, self.name, hosts=self.hosts, header=self.header, is_http_only=self.is_http_only)


class SecretBackup(Struct, frozen=True):
    """What a backup holds, before it is encrypted."""

    form: str
    secrets: tuple[ExportedSecret, ...]

    def __repr__(self) -> str:
        return f"SecretBackup({len(self.secrets)} secrets)"


def read_env(text: str) -> dict[str, Secret]:
    """Return the secrets of a ``.env`` file by name. Quotes, ``export``, comments, CRLF and a byte order mark are
    understood; ``$NAME`` within a value is not replaced. Empty values are left out.

    Raises:
        Invalid: a line is none of these; it is named by its number, its content is not shown.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    unread = [name for name, value in values.items() if value is None]
    if unread:
        number = next((n for n, line in enumerate(text.split("\n"), 1) if line.strip() == unread[0]), 0)
        raise Invalid(f"line {number} of the file has no value", "write NAME=value")
    for number, line in enumerate(text.split("\n"), 1):
        told = _LINE.match(line)
        if told and told[1] not in values:
            raise Invalid(f"line {number} of the file cannot be read", "close its quotes, or write NAME=value")
    return {name: Secret(value, name) for name, value in values.items() if value}


async def export_secrets(site: Site, servers: Sequence[str], recipients: Sequence[str], word: Secret | None) -> bytes:
    """Return the present versions of all secrets of servers, encrypted to age recipients, or with a passphrase.

    The act is put on record before.

    Raises:
        Invalid: a recipient is none (``age1…``).
        Denied: there is nothing to export.
    """
    found = [
        ExportedSecret(server, name, value_of(secret), secret.hosts, secret.header, secret.is_http_only)
        for server in servers
        for name, secret in (await site.vault.load_all(server)).items()
    ]
    if not found:
        raise Denied("there are no secrets to export", "save one: mcpward secret set NAME")
    whose = "a passphrase" if word is not None else ", ".join(recipients)
    detail = f"{len(found)} secrets of {', '.join(servers)} exported, encrypted to {whose}"
    await site.store.acts.note(Act(object="secrets", detail=detail))
    plain = json.encode(SecretBackup(_FORM, tuple(found)))
    if word is not None:
        return bytes(passphrase.encrypt(plain, word.reveal(), armored=True))
    try:
        keys = [x25519.Recipient.from_str(one) for one in recipients]
    except pyrage.RecipientError:
        raise Invalid("a recipient is no public key of age", "write age1…, as age-keygen prints it") from None
    return bytes(pyrage.encrypt(plain, keys, armored=True))


def open_backup(content: bytes, identities: Sequence[Secret], word: Secret | None) -> tuple[ExportedSecret, ...]:
    """Return the secrets of a backup.

    Raises:
        Denied: it is none of ours, was changed, or another identity or passphrase opens it.
    """
    try:
        if word is not None:
            plain = passphrase.decrypt(content, word.reveal())
        else:
            plain = pyrage.decrypt(content, [x25519.Identity.from_str(one.reveal()) for one in identities])
    except (pyrage.DecryptError, pyrage.IdentityError):
        raise Denied("the backup cannot be opened", "pass the passphrase or identity that it was made for") from None
    try:
        backup = json.decode(plain, type=SecretBackup)
    except (DecodeError, ValidationError):
        raise Denied("the file is no backup of secrets", "create one: mcpward secret export FILE") from None
    if backup.form != _FORM:
        raise Denied("the backup is of a newer release", "update mcpward")
    return backup.secrets


async def restore_secrets(site: Site, backup: Sequence[ExportedSecret], servers: Sequence[str]) -> int:
    """Keep the secrets of a backup; those that are kept already with the same value get no new version.

    Returns how many were saved.

    Raises:
        Denied: the site has no server of a secret's name; nothing was kept then.
        Invalid: a name or value may not be kept; nothing was kept then.
    """
    for one in backup:
        if one.server not in servers:
            raise Denied(f"the site has no server {one.server!r}", "add it to mcpward.toml, or restore elsewhere")
        require_secret_name(one.name)
        require_value(one.name, one.secret)
    return await site.vault.set_all({(one.server, one.name): one.secret for one in backup})


def read_identities(file: Path) -> list[Secret]:
    """Return the identities of a file that ``age-keygen`` wrote.

    Raises:
        Invalid: it cannot be read, or holds none.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        raise Invalid(f"{file} cannot be read as a file of identities", "create one: age-keygen -o key.txt") from None
    lines = [line.strip() for line in text.splitlines()]
    found = [Secret(line, "identity") for line in lines if line.startswith("AGE-SECRET-KEY-")]
    if not found:
        raise Invalid(f"{file} holds no identity of age", "create one: age-keygen -o key.txt")
    return found


def read_backup(file: Path) -> bytes:
    """Return the content of a backup.

    Raises:
        Denied: it cannot be read, or is larger than 16 MiB.
    """
    try:
        with file.open("rb") as source:
            content = source.read(_MOST_BYTES + 1)
    except OSError as error:
        raise Denied(f"{file} cannot be read: {error.strerror}", "name the file that secret export wrote") from None
    if len(content) > _MOST_BYTES:
        raise Denied(f"{file} is larger than 16 MiB", "name the file that secret export wrote")
    return content
