"""Errors of a use case that does nothing: the operation is refused, or the input makes no sense."""


class Denied(Exception):
    """The operation is refused, and nothing was changed. ``hint`` says what to do about it."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Invalid(Denied):
    """The input makes no sense: a mistake in the words of the operator or command."""
