"""Who runs a command of mcpward's, where, and which one: what an act on record is attributed to."""

from msgspec import Struct


class Operator(Struct, frozen=True, kw_only=True):
    """The account that the operating system knows (not what the environment claims), and the machine.

    ``command`` is the command's own words without what was given to it (``key revoke``). ``terminal`` is its device,
    None where there is none, as in a service. ``on_behalf`` is the account that sudo or doas says it was asked by, and
    ``address`` the client that SSH says the session came from: whoever runs the command can set both.
    """

    user: str
    host: str
    command: str
    terminal: str | None = None
    on_behalf: str | None = None
    address: str | None = None
