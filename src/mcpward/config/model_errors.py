"""The model's findings, in words for the operator: with their place, and the spelling that was probably meant."""

import json
import shlex
import tomllib
from typing import Any, Final

from pydantic import ValidationError

from mcpward.config.names import nearest
from mcpward.config.schema_paths import ANY_NAME, Path, field_at, general, names_at
from mcpward.core import renamed
from mcpward.core.model_words import model_words

_TABLE: Final = "must be a table"
#: Names that differ from Python's: the file has tables.
_WORDS: Final = {"model_type": _TABLE, "model_attributes_type": _TABLE, "dict_type": _TABLE}
#: Facts for a wrong value beside an example.
_MORE: Final[dict[Path, str]] = {
    ("servers", ANY_NAME, "mode"): 'the default; "public" needs no key: every caller who reaches the server may call '
    "it",
}


class Complaint:
    """One error of the model: ``path`` is the setting it is about, ``is_unknown`` that there is no such setting."""

    def __init__(self, error: Any) -> None:
        self.path: Path = tuple(str(part) for part in error["loc"] if part != "[key]")
        self.is_unknown = error["type"] == "extra_forbidden"
        self.is_missing = error["type"] == "missing"
        self._error = error

    @property
    def meant(self) -> str | None:
        """The key that was probably meant by an unknown one."""
        if not self.is_unknown:
            return None
        now = renamed.SETTINGS.get(self.path)
        return now[-1] if now else nearest(self.path[-1], names_at(self.path[:-1]))

    @property
    def what(self) -> str:
        """The problem in one line. It names keys, never the value of one."""
        dotted = ".".join(self.path)
        if self.is_unknown:
            return f"unknown key {dotted!r}"
        return f"{dotted} {self.problem}" if self.is_missing else f"{dotted}: {self.problem}"

    @property
    def problem(self) -> str:
        """The same, without the key."""
        kind, context = self._error["type"], self._error.get("ctx", {})
        if kind == "extra_forbidden":
            return "unknown key"
        if kind == "value_error":
            return str(context["error"])
        words = _WORDS.get(kind) or model_words(kind, context) or f"is not valid ({kind})"
        return words.replace("'", "") if kind == "literal_error" else words

    @property
    def hint(self) -> str:
        """How to mend it."""
        if self.path in renamed.SETTINGS:
            return f"{'.'.join(self.path)} is now {'.'.join(renamed.SETTINGS[self.path])}"
        if self.is_unknown:
            known = ", ".join(names_at(self.path[:-1]))
            return f"did you mean {self.meant!r}?" if self.meant else f"known keys: {known}"
        example = self._example
        return self._with_more(f"for example: {self.path[-1]} = {example}") if example else ""

    def hint_for(self, name: str) -> str:
        """How to mend it if a flag or a variable is the setting's name."""
        if not self._example:
            return ""
        value = tomllib.loads(f"it = {self._example}")["it"]
        is_flag = name.startswith("--")
        if isinstance(value, list):  # a flag is repeated, a variable has commas
            value = value[0] if is_flag else ",".join(map(str, value))
        word = json.dumps(value) if isinstance(value, bool | dict) else str(value)
        return self._with_more(f"for example: {name}{' ' if is_flag else '='}{shlex.quote(word)}")

    @property
    def _example(self) -> str:
        field = field_at(self.path)
        return str(field.examples[0]) if field and field.examples else ""

    def _with_more(self, hint: str) -> str:
        more = _MORE.get(general(self.path))
        return f"{hint} ({more})" if more else hint


def complaints(error: ValidationError) -> list[Complaint]:
    """Return each problem once, in the order of the model; positions inside of lists are left off."""
    seen: dict[tuple[Path, str], Complaint] = {}
    for one in error.errors(include_url=False, include_input=False):
        complaint = Complaint(one)
        seen.setdefault((complaint.path, complaint.what), complaint)
    return list(seen.values())
