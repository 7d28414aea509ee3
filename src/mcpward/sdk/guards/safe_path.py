"""``SafePath``: a path below a folder, which arrives in the function as an open file (attack 78)."""

import errno
import os
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final

from pydantic_core import core_schema

from mcpward.sdk.author_place import author_place
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.beneath import PATH, is_supported, open_beneath
from mcpward.sdk.guards.opened import NewFile, PathBounds, SafeFile, SafeFolder, SafeOpening
from mcpward.sdk.guards.parameter_guard import ParameterGuard, refused
from mcpward.sdk.guards.path_name import LONGEST, Unnamed, parts_of
from mcpward.sdk.options import options

_KINDS: Final = (SafeFile, SafeFolder, NewFile)
_LARGEST: Final = 1024**4
#: A name that is not there yet leads nowhere.
_ABSENT: Final = frozenset({errno.ENOENT})


class SafePath(ParameterGuard):
    """A path below ``root``, on a :class:`SafeFile`, a :class:`SafeFolder` or a :class:`NewFile`.

    ``path: Annotated[SafeFile, SafePath("reports", max_bytes=10_000_000)]``. A relative ``root`` starts at the folder
    of the author's file. ``suffixes`` are those that the name of a file must have.

    Raises:
        AuthoringError: ``root`` is no folder, or another option is out of bounds.
    """

    @options("SafePath")
    def __init__(
        self,
        root: str | Path,
        *,
        suffixes: Sequence[str] = (),
        max_bytes: int = 16 * 1024 * 1024,
        max_entries: int = 1_000,
    ) -> None:
        if not is_supported:
            raise AuthoringError("SafePath needs a system with openat", hint="serve on Linux or macOS")
        said: tuple[Any, Any] = (root, suffixes)  # what authors pass, whatever the annotations say
        if not isinstance(said[0], str | Path) or not str(root):
            raise AuthoringError("SafePath: root is a folder", hint='write SafePath("reports")')
        self.root = author_place().folder / root
        if not self.root.is_dir():
            hint = "create it, or correct the path: a relative one starts at the folder of this file"
            raise AuthoringError(f"SafePath: there is no folder {self.root}", hint=hint)
        if isinstance(suffixes, str) or not all(isinstance(one, str) and one for one in said[1]):
            raise AuthoringError("SafePath: suffixes is a list of texts", hint='write suffixes=[".txt", ".csv"]')
        for name, most in (("max_bytes", max_bytes), ("max_entries", max_entries)):
            if type(most) is not int or not 0 < most <= _LARGEST:
                raise AuthoringError(f"SafePath: {name} is a whole number above 0", hint=f"write {name}=1_000_000")
        self.bounds = PathBounds(max_bytes=max_bytes, max_entries=max_entries, suffixes=tuple(suffixes))

    def check(self, value: Any) -> str | None:
        """Refuse what is no relative path below a folder."""
        try:
            self._parts(value, SafeFolder)
        except Unnamed as unnamed:
            return str(unnamed.args[0])
        return None

    def describe(self) -> str:
        """Return the rule for the model."""
        suffixes = f", ending in {' or '.join(self.bounds.suffixes)}" if self.bounds.suffixes else ""
        return f"A relative path with / between folders{suffixes}; links are not followed."

    def keywords(self) -> dict[str, Any]:
        """Return the length."""
        return {"minLength": 1, "maxLength": LONGEST}

    def __repr__(self) -> str:
        return f"SafePath({str(self.root)!r})"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        members = typing.get_args(source) if typing.get_origin(source) in {typing.Union, UnionType} else (source,)
        kinds = [one for one in members if one in _KINDS]
        if len(kinds) != 1 or not all(one in _KINDS or one is NoneType for one in members):
            hint = 'write Annotated[SafeFile, SafePath("folder")]; SafeFolder lists, NewFile creates'
            raise AuthoringError("SafePath stands on SafeFile, SafeFolder or NewFile", hint=hint)
        text = core_schema.no_info_after_validator_function(self._opening(kinds[0]), core_schema.str_schema())
        return core_schema.nullable_schema(text) if NoneType in members else text

    def _opening(self, kind: type[SafeOpening]) -> Callable[[str], SafeOpening]:
        def opening(value: str) -> SafeOpening:
            try:
                return kind(self.root, self._parts(value, kind), self.bounds)
            except Unnamed as unnamed:
                raise refused(str(unnamed.args[0])) from None

        return opening

    def _parts(self, value: Any, kind: type[SafeOpening]) -> tuple[str, ...]:
        parts = parts_of(value)
        if kind is SafeFolder:
            return parts
        if not parts:
            raise Unnamed("the name of a file")
        if self.bounds.suffixes and not parts[-1].endswith(self.bounds.suffixes):
            raise Unnamed(f"the name of a file ending in {' or '.join(self.bounds.suffixes)}")
        return parts


class PathName(ParameterGuard):
    """A path that a tool of others will open by itself: below ``root``, relative or absolute, over no link now.

    It may be renamed before the tool opens it. Only :class:`SafePath` hands over an open file.
    """

    kinds: frozenset[str] = frozenset({"string"})

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self, value: Any) -> str | None:
        """Refuse a path that leaves the folder, or leads over a link."""
        text = value
        if isinstance(value, str) and value.startswith(f"{self.root}/"):
            text = value[len(str(self.root)) + 1 :]
        try:
            return _leads_over_link(self.root, parts_of(text))
        except Unnamed as unnamed:
            return str(unnamed.args[0])

    def describe(self) -> str:
        """Return the rule for the model."""
        return "A path below one folder, with / between folders, without .. and links."

    def keywords(self) -> dict[str, Any]:
        """Return the length."""
        return {"minLength": 1, "maxLength": LONGEST}

    def __repr__(self) -> str:
        return f"SafePath({str(self.root)!r})"


def _leads_over_link(root: Path, parts: tuple[str, ...]) -> str | None:
    folder = os.open(root, PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(open_beneath(folder, parts, PATH))
    except OSError as error:
        return None if error.errno in _ABSENT else "a path below the folder without links"
    finally:
        os.close(folder)
    return None
