"""``mcpward init``: a new project that serves, and passes its own test, as it stands."""

import re
import stat
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.site import JsonOption
from mcpward.config.names import RESERVED

_FILES: Final = {
    "tools.py": "tools.py.txt",
    "mcpward.toml": "mcpward.toml.txt",
    "test_tools.py": "test_tools.py.txt",
    "README.md": "README.md.txt",
    ".gitignore": "gitignore.txt",
}


@examples("mcpward init hello && cd hello && mcpward serve")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; created if missing.")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The server's name. Default: the folder's.")] = None,
    json: JsonOption = False,
) -> None:
    """Write a small project: tools.py, test_tools.py, mcpward.toml, README.md, .gitignore. A folder with one of these
    files is not changed.
    """
    server = _name(name or folder.resolve().name)
    taken = [file for file in _FILES if (folder / file).exists()]
    if taken:
        raise ui.CommandEnded(ui.Exit.USAGE, f"the folder already has {', '.join(taken)}", "name another folder")
    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if is_new:
            _for_owner(folder)
        for file, template in _FILES.items():
            text = files("mcpward.cli").joinpath("scaffold", template).read_text(encoding="utf-8")
            with (folder / file).open("x", encoding="utf-8") as new:
                new.write(text.replace("{{name}}", server))
            _for_owner(folder / file)
    except OSError as error:
        raise ui.CommandEnded(ui.Exit.UNREACHABLE, f"{folder} cannot be written: {error.strerror}") from None
    if json:
        ui.answer_json({"folder": str(folder), "server": server, "files": list(_FILES)})
    ui.remark(f"{ui.safe(folder)} is ready: {', '.join(_FILES)}")
    ui.remark(f"next: cd {ui.safe(folder)} && mcpward serve")


def _for_owner(path: Path) -> None:
    """Take from others what the umask left them: a site's file that they may write is refused."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~(stat.S_IWGRP | stat.S_IWOTH))


def _name(text: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")
    return name if name and name not in RESERVED else f"{name or 'my'}-server"
