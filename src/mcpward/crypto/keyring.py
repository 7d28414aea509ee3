"""The root keys of a site and what is derived from them (HKDF-SHA-256, RFC 5869), one key per purpose.

Root keys come from the environment, a file, a credential of systemd or the operating system's keyring; else from
``master.key`` in the site's data folder, which the first start makes. Nothing here knows what the keys are used for.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.secret import Secret
from mcpward.crypto.keyfile import read_mounted, read_or_create

KEY_BYTES: Final = 32
_VALUE: Final = "MCPWARD_MASTER_KEY"
_FILE: Final = "MCPWARD_MASTER_KEY_FILE"
_KEYRING: Final = "MCPWARD_MASTER_KEY_KEYRING"
#: systemd's folder of a service's credentials, and the name of ours (systemd.exec(5), LoadCredential=).
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
_CREDENTIAL: Final = "mcpward_master_key"
_SERVICE: Final = "mcpward"
_FORM_HINT: Final = "a master key is 32 random bytes in base64url; several are separated by commas, newest first"


class KeyRing:
    """Root keys, newest first. Adding or retiring one makes another ring; this one never changes."""

    __slots__ = ("_roots", "ids")

    ids: tuple[str, ...]
    """Short public names of the keys, 8 hex digits each, newest first; derived, so equal keys have equal ids."""

    def __init__(self, roots: Sequence[bytes]) -> None:
        if not roots or any(len(root) != KEY_BYTES for root in roots):
            raise ValueError("a key ring holds one or more keys of 32 bytes")
        self._roots = tuple(roots)
        self.ids = tuple(_derive(root, "key id")[:4].hex() for root in roots)
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("a key is in the ring twice")

    def __repr__(self) -> str:
        return f"KeyRing(ids={self.ids!r})"

    def secrets(self) -> list[Secret]:
        """Return the keys as they are written in files and variables, to be kept out of all that leaves."""
        return [Secret(urlsafe_b64encode(root).rstrip(b"=").decode("ascii"), "the master key") for root in self._roots]

    def derive(self, purpose: str) -> bytes:
        """Return the newest key's 32 bytes for ``purpose``; other purposes have unrelated bytes."""
        return _derive(self._roots[0], purpose)

    def derive_all(self, purpose: str) -> tuple[bytes, ...]:
        """Return every key's 32 bytes for ``purpose``, newest first."""
        return tuple(_derive(root, purpose) for root in self._roots)


def _derive(root: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"mcpward/v1/" + purpose.encode()).derive(root)


def load_or_create(data: Path, env: Mapping[str, str], *, needed_by: str = "") -> KeyRing:
    """Return the site's key ring: from the environment if it is set there, else from ``data``/master.key, made if
    missing.

    Several workers may call this at once and all get the same key. ``needed_by`` names an object made with an earlier
    key: then none is made, for a new one would open nothing of it.

    Raises :class:`Misconfigured` for a key that is not well-formed, or a file that others may read: such a key must be
    replaced, never used. Also for a key that is missing and must not be made.
    """
    credential = _credential(env)
    given = [name for name in (_VALUE, _FILE, _KEYRING) if name in env] + ([str(credential)] if credential else [])
    if len(given) > 1:
        raise Misconfigured([Finding(f"the master key is set twice: {' and '.join(given)}", hint="keep one of them")])
    if _VALUE in env:
        return _parse(env[_VALUE], _VALUE)
    if _KEYRING in env:
        return _parse(_of_keyring(env[_KEYRING]), f"the keyring's entry {env[_KEYRING]} of {_SERVICE}")
    if _FILE in env or credential:
        path = credential or Path(env[_FILE])
        return _parse(read_mounted(path), str(path))
    path = generated_file(data)
    if needed_by and not os.path.lexists(path):
        what = f"{needed_by} was made with a master key, but there is none here"
        raise Misconfigured([Finding(what, str(path), f"restore the file, or set {_VALUE} or {_FILE}")])
    return _parse(read_or_create(path, KEY_BYTES), str(path))


def generated_file(data: Path) -> Path:
    """Return where the first start puts the key that it makes."""
    return data / "master.key"


def is_given(env: Mapping[str, str]) -> bool:
    """Return whether the operator says where the master key is."""
    return any(name in env for name in (_VALUE, _FILE, _KEYRING)) or _credential(env) is not None


def _credential(env: Mapping[str, str]) -> Path | None:
    folder = env.get(_CREDENTIALS)
    path = Path(folder, _CREDENTIAL) if folder else None
    return path if path is not None and os.path.lexists(path) else None


def _of_keyring(entry: str) -> str:
    """Return what the operating system's keyring keeps for the service ``mcpward`` under ``entry``."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        hint = "pip install 'mcpward[keyring]'"
        raise Misconfigured([Finding(f"{_KEYRING} needs the package keyring", hint=hint)]) from None
    try:
        value = keyring.get_password(_SERVICE, entry)
    except KeyringError as error:
        what = f"the keyring cannot be read ({type(error).__name__})"
        raise Misconfigured([Finding(what, _KEYRING, "unlock it, or set MCPWARD_MASTER_KEY_FILE")]) from None
    if not value:
        hint = f"save one: keyring set {_SERVICE} {entry}"
        raise Misconfigured([Finding(f"the keyring has no entry {entry} of {_SERVICE}", _KEYRING, hint)])
    return value


def _parse(text: str, where: str) -> KeyRing:
    try:
        return KeyRing([_decode(part.strip()) for part in text.strip().split(",")])
    except ValueError:
        # The cause would quote the key: it ends here.
        raise Misconfigured([Finding("the master key is not well-formed", where, _FORM_HINT)]) from None


def _decode(text: str) -> bytes:
    bare = text.removesuffix("=")
    root = urlsafe_b64decode(bare + "=")
    if urlsafe_b64encode(root).decode("ascii").rstrip("=") != bare:
        raise ValueError("not canonical base64url")
    return root
