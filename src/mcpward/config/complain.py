"""What the model says is wrong, in words for the operator: where it stands, and which spelling was probably meant."""

from typing import Any, Final

from pydantic import ValidationError

from mcpward.config.names import nearest
from mcpward.config.shape import Path, field_at, names_at
from mcpward.core import renamed

_WORDS: Final = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be a text",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a table",
    "finite_number": "must be a finite number",
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
        if self.is_missing:
            return f"{dotted} is missing"
        kind, context = self._error["type"], self._error.get("ctx", {})
        if kind == "value_error":
            return f"{dotted}: {context['error']}"
        if kind == "literal_error":
            return f"{dotted}: must be {context['expected']}".replace("'", "")
        message = self._error["msg"].replace("Input should be", "must be")
        return f"{dotted}: {_WORDS.get(kind, message[:1].lower() + message[1:])}"

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.path in renamed.SETTINGS:
            return f"{'.'.join(self.path)} is now {'.'.join(renamed.SETTINGS[self.path])}"
        if self.is_unknown:
            known = ", ".join(names_at(self.path[:-1]))
            return f"did you mean {self.meant!r}?" if self.meant else f"known here: {known}"
        field = field_at(self.path)
        example = field.examples[0] if field and field.examples else None
        return f"for example: {self.path[-1]} = {example}" if example else ""


def complaints(error: ValidationError) -> list[Complaint]:
    """Give each problem once, in the order of the model; positions inside of lists are left off."""
    seen: dict[tuple[Path, str], Complaint] = {}
    for one in error.errors(include_url=False, include_input=False):
        complaint = Complaint(one)
        seen.setdefault((complaint.path, complaint.what), complaint)
    return list(seen.values())
