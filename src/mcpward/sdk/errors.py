"""The errors that a tool author meets: one to raise, the others to mend."""


class ToolError(Exception):
    """Raise this to tell the caller what went wrong. The message is shown (after redaction); nothing else is."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class AuthoringError(TypeError):
    """A tool, resource or prompt is written in a way that cannot be served. Raised at import, in one clear line.

    ``where`` is ``file:line`` of the function, where it can be known.
    """

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where


class MissingSecret(AttributeError):
    """A secret was asked for by name and is set nowhere. Names the variable and nothing else."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the secret {name} is not set, neither in the vault nor in the environment")
        self.variable = name


class StatementRefused(ValueError):
    """SQL that cannot be run safely: several statements, another verb, parameters that do not match."""


class DatabaseFailed(Exception):
    """The database said no, or took too long. Never shown to the caller: the tool fails with an error id."""
