"""What ``mcpward secret`` reads, from stdin, a prompt or a file of values; and the files that it creates."""

import os
import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated, Final

import typer

from mcpward.cli import ui
from mcpward.cli.timespan import parse_span
from mcpward.core.secret import Secret

GraceOption = Annotated[
    str, typer.Option(metavar="SPAN", help="How long the version before is kept for a rollback: 24h, 30m, 0.")
]
_MOST_BYTES: Final = 64 * 1024
_MARK: Final = "\ufeff"  # the byte order mark of a file that was saved on Windows
_SHORTEST: Final = 12


def read_span(text: str) -> float:
    """Return ``--grace`` in seconds.

    Raises:
        CommandEnded: it is no span of time.
    """
    return parse_span(text, "--grace")


def read_secret(prompt: str, *, tells: bool = False) -> Secret:
    """Read one secret from stdin, or ask for it without showing it. One line end and a byte order mark are taken off;
    with ``tells``, it says so.

    Raises:
        CommandEnded: nothing came, or too much.
    """
    try:
        given = getpass(prompt) if sys.stdin.isatty() else sys.stdin.read(_MOST_BYTES + 2)
        given.encode()
    except UnicodeError:  # its text would quote the secret
        raise ui.CommandEnded(
            ui.Exit.USAGE, "a secret is text in UTF-8", "encode it first, as base64 for example"
        ) from None
    value = given.removeprefix(_MARK).removesuffix("\n").removesuffix("\r")
    if not value or len(value.encode()) > _MOST_BYTES:
        raise ui.CommandEnded(ui.Exit.USAGE, "a secret is 1 to 65536 bytes", "pass it on stdin: … < file")
    if tells and value != given:
        ui.remark("one line end or byte order mark was taken off the value")
    return Secret(value)


def read_new_passphrase() -> Secret:
    """Read a passphrase, at a terminal twice.

    Raises:
        CommandEnded: it is too short, or the two differ.
    """
    word = read_secret("passphrase: ")
    if sys.stdin.isatty() and read_secret("once more: ") != word:
        raise ui.CommandEnded(ui.Exit.USAGE, "the two passphrases differ", "type the same one twice")
    if len(word.reveal()) < _SHORTEST:
        raise ui.CommandEnded(ui.Exit.USAGE, f"a passphrase has {_SHORTEST} characters or more", "use several words")
    return word


def read_text(file: Path) -> str:
    """Return the text of a file; ``-`` is stdin.

    Raises:
        CommandEnded: it cannot be read, is larger than a .env file is, or no text in UTF-8.
    """
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(_MOST_BYTES * 16 + 1)
        else:
            with file.open("rb") as source:
                content = source.read(_MOST_BYTES * 16 + 1)
        if len(content) > _MOST_BYTES * 16:
            raise ui.CommandEnded(ui.Exit.USAGE, f"{file} is larger than 1 MiB", "import a .env file")
        return content.decode("utf-8")
    except OSError as error:
        raise ui.CommandEnded(ui.Exit.USAGE, f"{file} cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise ui.CommandEnded(ui.Exit.USAGE, f"{file} is no text in UTF-8", "save it as UTF-8") from None


def create_file(file: Path, content: bytes) -> None:
    """Create a file that only its owner may read.

    Raises:
        CommandEnded: there is one already, or it cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with open(file, "wb", opener=lambda path, _: os.open(path, flags, 0o600)) as target:
            target.write(content)
    except FileExistsError:
        raise ui.CommandEnded(ui.Exit.NO, f"there is a file {file} already", "choose another one") from None
    except OSError as error:
        raise ui.CommandEnded(ui.Exit.UNREACHABLE, f"{file} cannot be written: {error.strerror}") from None
