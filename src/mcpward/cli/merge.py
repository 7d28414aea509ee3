"""Changes one server in a client's own file. All else in it stays byte for byte; a file that cannot be parsed, or not
be changed at that place only, is not touched.
"""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import Struct

from mcpward.cli import edit
from mcpward.cli.backup import Backup, backups_of, keep
from mcpward.cli.clients import Client, Entry
from mcpward.cli.edit import NotEditable, found
from mcpward.cli.edit import Path as Steps
from mcpward.cli.masked import difference
from mcpward.cli.replace import replace_file
from mcpward.cli.ui import CommandEnded, Exit

T = TypeVar("T")
_MOST_BYTES: Final = 16 * 1024**2
# A server's connection is written anew; a person's own additions beside it (a timeout, approved tools) stay.
_REACHED_BY: Final = frozenset(
    {
        *("type", "transport", "url", "httpUrl", "serverUrl", "baseUrl", "uri", "headers", "http_headers"),
        *("env_http_headers", "bearer_token", "bearer_token_env_var", "requestOptions", "oauth", "auth"),
        *("command", "cmd", "args", "env", "envs", "env_keys", "envFile", "cwd"),
    }
)


class FileChange(Struct, frozen=True):
    """A change that has been worked out and not been made. ``before`` and ``after`` are None if there is no file."""

    file: Path
    server: str
    before: bytes | None
    after: bytes | None
    shown: list[str]
    undone: Backup | None = None

    @property
    def is_none(self) -> bool:
        """Whether the file has the change already."""
        return self.before == self.after

    def diff(self) -> list[str]:
        """Return the lines of the one server that change, with credentials masked; no other server is shown."""
        return self.shown


def work_out(client: Client, entry: Entry, file: Path) -> FileChange:
    """Work out the file's text with the server in it.

    Raises:
        CommandEnded: the file is there but cannot be read, parsed, or safely changed; it stays as it is.
    """
    real = real_file(file)
    text = _read(real)

    def added(before: str) -> str:
        content = edit.load(client.format, before)
        after = before
        for name, word in client.preamble.items() if not content else ():
            after = edit.put(client.format, after, (name,), word)
        for path, value in client.parts(entry, content):
            after = _with_member(client, after, path, value)
        return after

    after = _edited(file, text or "", added)
    path = client.path(entry.server, edit.load(client.format, after))
    shown = difference(client, file, path, (text, after), known=client.member(entry, client.authorization(entry)))
    return _change(real, entry.server, text, after, shown)


def work_out_removal(client: Client, entry: Entry, file: Path) -> FileChange:
    """Work out the file's text without the server.

    Raises:
        CommandEnded: the server is not in it, or the file cannot be changed.
    """
    real = real_file(file)
    text = _read(real)
    content = _edited(file, text or "", lambda now: edit.load(client.format, now))
    path = client.path(entry.server, content)
    if text is None or found(content, path) is None:
        raise CommandEnded(Exit.NO, f"{file} has no server {entry.server!r}", "choose another: --server NAME")

    def removed(before: str) -> str:
        for steps, _ in client.parts(entry, edit.load(client.format, before)):
            before = edit.drop(client.format, before, steps)
        return before

    after = _edited(file, text, removed)
    return _change(real, entry.server, text, after, difference(client, file, path, (text, after)))


def work_out_undo(client: Client, file: Path, entry_of: Callable[[str], Entry]) -> FileChange:
    """Work out how the newest change to the file is taken back: whole, or for its server if the file changed since.

    Raises:
        CommandEnded: there is no copy of the file, or it cannot be changed.
    """
    real = real_file(file)
    kept = backups_of(real)
    if not kept:
        raise CommandEnded(Exit.NO, f"there is nothing to undo for {file}", "to remove a server from it: --remove")
    backup = kept[-1]
    text, old = _read(real), None if backup.is_new else _read(backup.path)
    entry = entry_of(backup.server)
    path = client.path(entry.server, _content(client, text))
    if text is None or backup.is_current(text.encode()):
        after = old
    else:
        after = _edited(file, text, lambda now: _taken_back(client, entry, now, old or ""))
    shown = difference(client, file, path, (text, after))
    change = _change(real, entry.server, text, after, shown)
    return FileChange(change.file, change.server, change.before, change.after, change.shown, backup)


def make(change: FileChange) -> Path | None:
    """Make the change; returns the copy of the old file, which an undo restores.

    Raises:
        CommandEnded: the file cannot be written, or has changed since it was read.
    """
    file = change.file
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (file.read_bytes() if file.exists() else None) != change.before:
            raise CommandEnded(Exit.NO, f"{file} has changed meanwhile, so it was not written", "run the command again")
        kept = None
        if change.undone is None and change.after is not None:
            kept = keep(file, change.before, change.after, change.server)
        if change.after is None:
            file.unlink(missing_ok=True)
        else:
            replace_file(file, change.after)
        if change.undone is not None:
            change.undone.path.unlink(missing_ok=True)
    except OSError as error:
        raise CommandEnded(Exit.UNREACHABLE, f"{file} cannot be written: {error.strerror}") from None
    return kept


def real_file(file: Path) -> Path:
    """Return the file that is meant: a link stays, as in a repository of dotfiles, and its target changes."""
    try:
        return file.expanduser().resolve()
    except (OSError, RuntimeError):
        raise CommandEnded(Exit.USAGE, f"{file} leads to no file: a link loops, or there is no home folder") from None


def is_open_to_others(file: Path) -> bool:
    """Whether others on this machine may read the file."""
    try:
        return bool(file.stat().st_mode & 0o044)
    except OSError:
        return False


def _change(file: Path, server: str, before: str | None, after: str | None, shown: list[str]) -> FileChange:
    raw = [None if text is None else text.encode() for text in (before, after)]
    return FileChange(file, server, raw[0], raw[1], shown)


def _content(client: Client, text: str | None) -> Any:
    try:
        return edit.load(client.format, text or "")
    except NotEditable:
        return {}


def _edited(file: Path, text: str, work: Callable[[str], T]) -> T:
    try:
        return work(text)
    except (ValueError, RecursionError) as problem:
        why = str(problem) if isinstance(problem, NotEditable) else "unknown form"
        raise CommandEnded(
            Exit.USAGE, f"{file} cannot be changed safely ({why}), so it was not written", "add the block by hand"
        ) from None


def _with_member(client: Client, text: str, path: Steps, value: dict[str, Any]) -> str:
    old = found(edit.load(client.format, text), path)
    if not isinstance(old, dict):
        return edit.put(client.format, text, path, value)
    for name, one in value.items():
        is_kept = name in old and name not in _REACHED_BY and name not in {"name", "id", "password", "description"}
        if old.get(name) != one and not is_kept:
            text = edit.put(client.format, text, (*path, name), one)
    for name in old:
        if name in _REACHED_BY and name not in value:
            text = edit.drop(client.format, text, (*path, name))
    return text


def _taken_back(client: Client, entry: Entry, now: str, old: str) -> str:
    before = edit.load(client.format, old)
    for path, _ in client.parts(entry, edit.load(client.format, now)):
        value = found(before, path)
        if value is None:
            now = edit.drop(client.format, now, path)
        elif value != found(edit.load(client.format, now), path):
            now = edit.put(client.format, edit.drop(client.format, now, path), path, value)
    return now


def _read(file: Path) -> str | None:
    try:
        if not file.exists():
            return None
        if not stat.S_ISREG(file.stat().st_mode) or file.stat().st_size > _MOST_BYTES:
            raise CommandEnded(Exit.USAGE, f"{file} is not a regular file or too large, so it was not written")
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise CommandEnded(Exit.USAGE, f"{file} is not UTF-8, so it was not written") from None
    except OSError as error:
        raise CommandEnded(Exit.UNREACHABLE, f"{file} cannot be read: {error.strerror}") from None
