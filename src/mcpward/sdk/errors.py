"""The errors that a tool author meets: one to raise, the others to mend."""


class ToolError(Exception):
    """Raise this to tell the caller what went wrong. The message is shown (after redaction); nothing else is."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ExchangeRefused(ToolError):
    """There is no token for the upstream, and a retry changes nothing. Not caught, its words go to the caller.

    ``why`` is ``nothing-to-exchange`` (a caller without an access token), ``in-task``, ``not-set-up`` or ``refused``;
    ``error`` is the identity provider's own word for it, or empty.
    """

    def __init__(self, message: str, why: str, error: str = "") -> None:
        super().__init__(message)
        self.why = why
        self.error = error


class ExchangeUnavailable(ToolError):
    """The identity provider issues no token at the moment. Not caught, its words go to the caller."""


class AuthoringError(TypeError):
    """A tool, resource or prompt is written in a way that cannot be served. Raised at import, in one clear line.

    ``where`` is ``file:line`` of the function, if it can be known; ``hint`` says what to write instead.
    """

    def __init__(self, what: str, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # Python prints it if the file is run by itself


class DatabaseMisuse(AuthoringError, ValueError):
    """A database that cannot be used as it is declared. Never quotes the URL."""


class MissingSecret(AttributeError):
    """A secret was asked for by name and is set nowhere. Names the variable and nothing else.

    ``server`` is the one that asks, if that is known. ``is_forbidden``: the environment has it, and may not be read.
    """

    def __init__(self, name: str, server: str | None = None, *, is_forbidden: bool = False) -> None:
        where = "neither in the vault nor in a file" if is_forbidden else "neither in vault, file nor environment"
        super().__init__(f"the secret {name} is not set, {where}")
        self.variable = name
        store = f"mcpward secret set {name}{f' --server {server}' if server else ''}"
        self.hint = f"{store}; [secrets] environment = false forbids the environment's" if is_forbidden else store
        if not is_forbidden:
            self.hint = f"{store}, or export {name}=…"


class SecretUnreadable(MissingSecret):
    """A secret is set, and its value cannot be had: its file is not fit for it, or no server asks for it."""

    def __init__(self, name: str, problem: str, hint: str) -> None:
        super().__init__(name)
        self.args = (f"the secret {name} cannot be read: {problem}",)
        self.problem = problem
        self.hint = hint


class MissingText(MissingSecret):
    """A setting that is no secret was asked for by name, without a default, and is not set."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.args = (f"{name} is not set in the environment",)
        self.hint = f'export {name}=… or set a default: env.text("{name}", "…")'


class StatementRefused(ValueError):
    """SQL that cannot be run safely: several statements, another verb, parameters that do not match."""


class DatabaseFailed(Exception):
    """The database refused a statement, took too long, or cannot be reached.

    Not caught, it fails the tool with an error id. Its text holds nothing of the SQL, the values and the database's own
    words. These stand in its notes, without values, for the log.
    """


class ConstraintViolated(DatabaseFailed):
    """A change breaks a constraint of the tables: NOT NULL, CHECK, a foreign key. Nothing was changed."""


class UniqueViolated(ConstraintViolated):
    """The value of a primary key or of a UNIQUE column is taken. Nothing was changed."""
