"""``Argv``: a text that becomes one argument of a program, and never an option of it.

``mcpward.run`` starts programs without a shell, so that quotes, semicolons and ``$(…)`` are plain characters. What is
left to a caller is a text that the program itself reads as an option: ``--output=/etc/passwd`` (CWE-88).
"""

import re
from typing import Any, Final

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.parameter_guard import ParameterGuard
from mcpward.sdk.options import options

#: A NUL ends the argument for the system; a line break ends it for programs that read lists of lines.
_BROKEN: Final = re.compile("[\0\n\r\v\f\x85\u2028\u2029]")


class Argv(ParameterGuard):
    """One argument of a program: ``Annotated[str, Argv()]``. It does not begin with a hyphen and is one line.

    ``not_first`` are the characters that it must not begin with, ``max`` its greatest length.

    Raises:
        AuthoringError: ``not_first`` is no text that contains the hyphen, or ``max`` no whole number above 0.
    """

    kinds: frozenset[str] = frozenset({"string"})

    @options("Argv")
    def __init__(self, *, max: int = 1000, not_first: str = "-") -> None:  # noqa: A002  what authors write
        if type(max) is not int or not 0 < max <= 100_000:
            raise AuthoringError("Argv: max is a whole number of characters", hint="write Argv(max=1000)")
        said: Any = not_first
        if not isinstance(said, str) or "-" not in not_first:
            raise AuthoringError("Argv: not_first contains the hyphen", hint='write Argv(not_first="-@+")')
        self.max = max
        self.not_first = not_first

    def check(self, value: Any) -> str | None:
        """Refuse an option, several lines, and nothing at all."""
        if not isinstance(value, str) or not 0 < len(value) <= self.max:
            return f"a text of 1 to {self.max} characters"
        if value[0] in self.not_first:
            return f"a text that does not begin with {' or '.join(self.not_first)}"
        if _BROKEN.search(value):
            return "one line, without a NUL"
        try:
            value.encode()
        except UnicodeEncodeError:
            return "text without lone surrogates"
        return None

    def describe(self) -> str:
        """Return the rule for the model."""
        return f"One line, taken literally, that does not begin with {' or '.join(self.not_first)}."

    def keywords(self) -> dict[str, Any]:
        """Return the length."""
        return {"minLength": 1, "maxLength": self.max}

    def __repr__(self) -> str:
        return f"Argv(max={self.max})"
