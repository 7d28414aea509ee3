"""What a use case raises when it does nothing: the answer is no, or what was asked makes no sense."""


class Denied(Exception):
    """The answer is no, and nothing was changed. ``hint`` says what to do about it."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Invalid(Denied):
    """What was asked for cannot be meant: a mistake in the words of whoever asked."""
