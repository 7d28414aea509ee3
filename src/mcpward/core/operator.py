"""The person who runs a command of mcpward's, the machine, and the command: the author of a recorded act."""

from msgspec import Struct


class Operator(Struct, frozen=True, kw_only=True):
    """The account that the operating system knows (not the one that the environment claims), and the machine.

    ``command`` is the command's own words without its arguments (``key revoke``). ``terminal`` is its device, None if
    there is none, as in a service. ``on_behalf`` is the account that sudo or doas names as its caller, and ``address``
    the client that SSH names as the session's origin. The person who runs the command can set both.
    """

    user: str
    host: str
    command: str
    terminal: str | None = None
    on_behalf: str | None = None
    address: str | None = None
