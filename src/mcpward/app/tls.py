"""The site's own TLS: its files are judged before the start, and taken anew while it serves when they were renewed."""

import grp
import os
import pwd
import ssl
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from mcpward.config.load import Loaded
from mcpward.core.clock import Clock
from mcpward.core.errors import Finding
from mcpward.crypto.certificate import LARGEST, Part, TlsProblem, expires_at, tls_problems

_log: Final = structlog.get_logger("mcpward")
_SOON_S: Final = 14 * 86400.0
_STAMP = tuple[int, int, int]


def tls_findings(site: Loaded, clock: Clock) -> list[Finding]:
    """Return what is wrong with the files of the site's certificate and key, each with the line that names it."""
    files: dict[Part, Path | None] = {"tls_cert": site.settings.site.tls_cert, "tls_key": site.settings.site.tls_key}
    findings: list[Finding] = []
    read: dict[Part, bytes] = {}
    for part, path in files.items():
        if path is None:
            continue
        try:
            read[part] = _read(path)
        except OSError as error:
            findings.append(_finding(site, path, _unreadable(part, path, error)))
    if len(read) == 2:
        for problem in tls_problems(read["tls_cert"], read["tls_key"], clock.now()):
            path = files[problem.part]
            assert path is not None
            findings.append(_finding(site, path, problem))
    return findings


def _finding(site: Loaded, path: Path, problem: TlsProblem) -> Finding:
    key = f"site.{problem.part}"
    origin = site.origins.get(key)
    said = f"{key}: {path}: {problem.what}"
    return Finding(said, origin.where if origin else key, problem.hint.replace("{file}", str(path)))


def _unreadable(part: Part, path: Path, error: OSError) -> TlsProblem:
    what = "certificate chain" if part == "tls_cert" else "private key"
    if isinstance(error, FileNotFoundError):
        return TlsProblem(part, "there is no such file", f"name the PEM file of the {what}")
    if isinstance(error, IsADirectoryError):
        return TlsProblem(part, "that is a folder", f"name the PEM file of the {what} in it")
    if not isinstance(error, PermissionError):
        return TlsProblem(part, f"the file cannot be read: {error.strerror}", f"name the PEM file of the {what}")
    me = _name(os.geteuid())
    try:
        found = path.stat()
    except OSError:  # a folder above it is closed
        return TlsProblem(part, f"{me} may not enter the folder", f"let {me} enter {path.parent} (chmod, or its group)")
    return TlsProblem(
        part,
        f"{me} may not read it: it belongs to {_name(found.st_uid)}, mode {stat.S_IMODE(found.st_mode):04o}",
        f"chgrp {_group(os.getegid())} {path} && chmod g+r {path}; or let systemd read it (LoadCredential=)",
    )


def _name(user: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(user).pw_name
    return f"user {user}"


def _group(group: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(group).gr_name
    return str(group)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST)


class Renewal:
    """Watches the two files; after a valid change, new handshakes use their new content.

    An invalid change has no effect, and is logged once. A tool that renews writes the two one after the other. A key
    that does not match for a moment must not end the service.
    """

    def __init__(self, certificate: Path, key: Path, context: ssl.SSLContext, clock: Clock) -> None:
        self._files = (certificate, key)
        self._context = context
        self._clock = clock
        self._seen = self._stamps()
        self._ends_at: float | None = None
        self._has_warned = False
        with suppress(OSError, ValueError):  # they were judged before the start
            self._ends_at = expires_at(_read(certificate))

    def look(self) -> None:
        """Take the files anew if they have changed since the last look; warn before the certificate ends."""
        stamps = self._stamps()
        if stamps != self._seen:
            self._seen = stamps
            self._take()
        if not self._has_warned and self._ends_at is not None and self._ends_at - self._clock.now() < _SOON_S:
            self._has_warned = True
            days = max(0, int((self._ends_at - self._clock.now()) // 86400))
            _log.warning("the certificate expires soon: renew it", file=str(self._files[0]), days=days)

    def _take(self) -> None:
        certificate, key = self._files
        try:
            chain, private = _read(certificate), _read(key)
            problem = "; ".join(
                f"site.{one.part}: {one.what}" for one in tls_problems(chain, private, self._clock.now())
            )
            if not problem:
                _load(self._context, chain, private)
                self._ends_at, self._has_warned = expires_at(chain), False
        except OSError as error:  # of OpenSSL too: ssl.SSLError is one
            problem = f"the files cannot be read: {error.strerror}"
        if problem:
            _log.warning("the changed certificate is not valid; the previous one stays in use", problem=problem)
        else:
            _log.info("the renewed certificate is in use", file=str(certificate))

    def _stamps(self) -> tuple[_STAMP | None, ...]:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> _STAMP | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _load(context: ssl.SSLContext, chain: bytes, private: bytes) -> None:
    """Load the bytes that were judged: the files may change between the two looks, and OpenSSL would take halves.

    OpenSSL reads only files, so the two stand in one of mode 0600 for a moment, in memory if the system has that.
    """
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # the file in it has a random name
    with tempfile.NamedTemporaryFile(dir=folder, prefix="mcpward-") as file:
        file.write(chain + b"\n" + private)
        file.flush()
        context.load_cert_chain(file.name)
