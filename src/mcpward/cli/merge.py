"""Puts a block into a client's own configuration file: changes nothing else in it, keeps a backup, writes atomically
and for its owner alone. A file that cannot be parsed is not touched.
"""

import difflib
import json
import os
import re
import stat
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from mcpward.cli.clients import Client, Entry, rendered
from mcpward.cli.ui import Ended, Exit

_MOST_BYTES: Final = 16 * 1024**2
_MINE: Final = re.compile(r"sk-mcpward-[0-9A-Za-z_]+|(?<=/mcp/)[0-9A-Za-z]{48}")


class _Unfit(ValueError):
    """The file is not what the client would have written."""


class Change(Struct, frozen=True):
    """A change that has been worked out and not been made."""

    file: Path
    before: str
    after: str
    existed: bool

    @property
    def is_none(self) -> bool:
        """Whether the file says so already."""
        return self.existed and self.before == self.after

    def diff(self) -> list[str]:
        """Give the change as a unified diff, with the credentials in it masked."""
        before, after = (_MINE.sub("***", text).splitlines() for text in (self.before, self.after))
        return list(difflib.unified_diff(before, after, str(self.file), str(self.file), lineterm=""))


def work_out(client: Client, entry: Entry, file: Path) -> Change:
    """Work out what the file would say with the block in it.

    Raises:
        Ended: the file is there but cannot be read, parsed, or safely changed; it stays as it is.
    """
    file = file.expanduser()
    # A dotfile is often a link into a repository of dotfiles: the link stays, its target changes.
    real = file.resolve()
    existed = real.exists()
    before = _read(real) if existed else ""
    try:
        after = _in_toml(client, entry, before) if client.is_toml else _in_json(client, entry, before)
    except (ValueError, RecursionError):
        raise Ended(
            Exit.USAGE, f"{file} cannot be parsed, so it is not touched", "add the block by hand: leave --write off"
        ) from None
    return Change(real, before, after, existed)


def _read(file: Path) -> str:
    try:
        if not stat.S_ISREG(file.stat().st_mode) or file.stat().st_size > _MOST_BYTES:
            raise Ended(Exit.USAGE, f"{file} is not a file of a sensible size, so it is not touched")
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise Ended(Exit.USAGE, f"{file} is not UTF-8, so it is not touched") from None
    except OSError as error:
        raise Ended(Exit.UNREACHABLE, f"{file} cannot be read: {error.strerror}") from None


def _in_json(client: Client, entry: Entry, before: str) -> str:
    document = json.loads(before, object_pairs_hook=_no_twins) if before.strip() else {}
    if not isinstance(document, dict):
        raise _Unfit("not an object")
    block = client.block(entry)
    _table(document, client.table).update(block[client.table])
    for asked in block.get("inputs", []):
        inputs = document.setdefault("inputs", [])
        if not isinstance(inputs, list):
            raise _Unfit("inputs is not a list")
        if all(not isinstance(one, dict) or one.get("id") != asked["id"] for one in inputs):
            inputs.append(asked)
    return json.dumps(document, indent=_indent(before), ensure_ascii=False) + "\n"


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Unfit("a name is repeated")  # rewriting it would silently drop one of the two
    return members


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    table = document.setdefault(name, {})
    if not isinstance(table, dict):
        raise _Unfit("not a table")
    return table


def _indent(before: str) -> int | str:
    found = re.search(r"^([ \t]+)\S", before, re.MULTILINE)
    return 2 if found is None else "\t" if found[1].startswith("\t") else len(found[1])


def _in_toml(client: Client, entry: Entry, before: str) -> str:
    """Replace the server's own table in the text, or add it at the end; all else stays byte for byte."""
    old = tomllib.loads(before)
    header = re.escape(f"{client.table}.{entry.server}")
    own = re.compile(rf"^[ \t]*\[{header}\][^\n]*\n(?:(?![ \t]*\[).*(?:\n|\Z))*", re.MULTILINE)
    block = rendered(client, entry) + "\n"
    if entry.server in _table(old, client.table):
        after, replaced = own.subn(lambda _: block, before)
        if replaced != 1:
            raise _Unfit("the server is written in another way")
    else:
        after = (before.rstrip("\n") + "\n\n" if before.strip() else "") + block
    expected = {**old, client.table: {**old[client.table], **client.block(entry)[client.table]}}
    if tomllib.loads(after) != expected:
        raise _Unfit("the change would change more than it should")
    return after


def make(change: Change) -> Path | None:
    """Make the change; gives the backup, if there was something to keep.

    Raises:
        Ended: the file cannot be written, or has changed since it was read.
    """
    try:
        change.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if change.existed and change.file.read_bytes() != change.before.encode():
            raise Ended(Exit.NO, f"{change.file} has changed meanwhile, so it is not touched", "run the command again")
        backup = _backup_of(change.file) if change.existed else None
        if backup is not None:
            _write(backup, change.before)
        _write(change.file, change.after)
    except OSError as error:
        raise Ended(Exit.UNREACHABLE, f"{change.file} cannot be written: {error.strerror}") from None
    return backup


def _backup_of(file: Path) -> Path:
    """An earlier backup is never overwritten: it may be the only copy of what a person wrote."""
    number = 0
    while (backup := file.with_name(f"{file.name}.backup{f'.{number}' if number else ''}")).exists():
        number += 1
    return backup


def _write(file: Path, text: str) -> None:
    """Write beside, flush to disk, rename over: a reader sees the old or the new file, never half of one."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as beside:
            beside.write(text.encode())
            beside.flush()
            os.fsync(beside.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
