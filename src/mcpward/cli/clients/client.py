"""One kind of MCP client: its file, the form of a server there, and the person's next step.

Only files of the user get a credential. Files of a project are committed sooner or later: they name an environment
variable, or let the client ask for the key. A secret URL has no such stand-in and is not for them.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from mcpward.cli.edit import Format, Item
from mcpward.cli.edit import Path as Steps
from mcpward.core.secret import Secret

VARIABLE: Final = "MCPWARD_KEY"
"""The variable that a key is read from if the server has none of its own."""
TOKEN: Final = "ACCESS_TOKEN"  # noqa: S105 - the name of a variable
"""The variable of an access token, for clients that cannot get one by themselves."""
PLACEHOLDER: Final = "<your key>"
Scope = Literal["user", "project"]


def variable_of(server: str) -> str:
    """Return the name of a server's own variable: two servers in one client have two keys."""
    return f"{VARIABLE}_{server.upper().replace('-', '_')}"


class Entry(Struct, frozen=True):
    """One server as a client must know it. ``key`` is None if none is needed or it is not available.

    ``is_unlisted`` if the URL is the credential. ``has_login`` if the client gets a token from the server's identity
    provider, which it finds by itself (RFC 9728). ``variable`` is the name that was asked for, if any.
    """

    server: str
    url: str
    needs_key: bool
    is_unlisted: bool = False
    key: Secret | None = None
    has_login: bool = False
    variable: str = ""
    scope: Scope = "user"

    @property
    def named(self) -> str:
        """The name of the variable that holds the key."""
        return self.variable or variable_of(self.server)


class Place(Struct, frozen=True):
    """The machine of the client: platform, home, current folder and environment."""

    platform: str
    home: Path
    here: Path
    env: Mapping[str, str]

    def config(self) -> Path:
        """Return the folder for settings of programs, as the platform has it."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        if self.platform == "win32":
            return Path(self.env.get("APPDATA") or self.home / "AppData" / "Roaming")
        return self.xdg()

    def xdg(self) -> Path:
        """Return the folder that the XDG Base Directory Specification names, which some programs use everywhere."""
        return Path(self.env.get("XDG_CONFIG_HOME") or self.home / ".config")


class Client(Struct, frozen=True, kw_only=True):
    """One kind of client.

    ``files`` has the default scope first. ``reference`` is how a file names a variable (``{}`` is its name); empty if
    the client does not fill any in; ``variables`` is where it looks for one. ``member`` makes a server's member from
    the entry and the value of the header ``Authorization``, which is None if no key is sent. ``item`` is the field that
    names a server if the table is a list, ``asks`` if the client asks for the key. ``after`` is the person's next step,
    ``keyless`` the same if the server takes no key. ``login`` is how to log in, and ``approval`` the step that the
    client requires for a server of a project. ``preamble`` is the content of a new file beside servers.
    """

    name: str
    title: str
    table: str
    files: Mapping[Scope, Callable[[Place], Path]]
    member: Callable[[Entry, str | None], dict[str, Any]]
    after: str
    format: Format = "json"
    keyless: str = ""
    login: str = ""
    reference: str = ""
    item: str = ""
    asks: bool = False
    preamble: Mapping[str, str] = {}
    variables: str = "the environment from which it starts"
    approval: str = ""

    @property
    def is_toml(self) -> bool:
        """Whether its file is TOML."""
        return self.format == "toml"

    @property
    def scope(self) -> Scope | None:
        """The scope that is meant if none is named; None if it has no file."""
        return next(iter(self.files), None)

    def file(self, place: Place, scope: Scope | None = None) -> Path | None:
        """Return the place of its file; None if it has none."""
        at = self.files.get(scope or self.scope or "user")
        return at(place) if at else None

    def authorization(self, entry: Entry) -> str | None:
        """Return the value of the header ``Authorization`` as the file has it: a key, or the name of one."""
        if not entry.needs_key:
            return None
        if self.asks:
            return f"Bearer ${{input:{input_of(entry)}}}"
        is_named = self.reference and (entry.variable or entry.key is None or entry.scope == "project")
        if is_named:
            return f"Bearer {self.reference.replace('{}', entry.named)}"
        return f"Bearer {entry.key.reveal() if entry.key else PLACEHOLDER}"

    def holds_key(self, entry: Entry) -> bool:
        """Whether the key itself would stand in the file."""
        key = entry.key.reveal() if entry.key else PLACEHOLDER
        return entry.needs_key and key in str(self.member(entry, self.authorization(entry)))

    def needs_variable(self, entry: Entry) -> bool:
        """Whether the client will read the key from a variable of its environment."""
        return entry.needs_key and bool(self.reference) and not self.holds_key(entry)

    def path(self, server: str, content: Any = None) -> Steps:
        """Return the place of a server in a file with this content."""
        if self.item:
            return (self.table, Item(self.item, server))
        table = content.get(self.table) if isinstance(content, dict) else None
        inner = table.get("servers") if isinstance(table, dict) and self.name == "opencode" else None
        # The native form of opencode 2; both versions read the older one, which has servers right in the table.
        if isinstance(inner, dict) and "type" not in inner:
            return (self.table, "servers", server)
        return (self.table, server)

    def parts(self, entry: Entry, content: Any = None) -> list[tuple[Steps, dict[str, Any]]]:
        """Return the place of a server in the file, and its content."""
        parts = [(self.path(entry.server, content), self.member(entry, self.authorization(entry)))]
        if self.asks and entry.needs_key:
            described = {"description": f"mcpward key for {entry.server}", "password": True}
            asked = {"type": "promptString", "id": input_of(entry), **described}
            parts.insert(0, (("inputs", Item("id", input_of(entry))), asked))
        return parts

    def block(self, entry: Entry) -> dict[str, Any]:
        """Return the content of a file that has this server and nothing else."""
        from mcpward.cli.edit.path import with_value

        content: dict[str, Any] = dict(self.preamble)
        for path, value in self.parts(entry):
            content = with_value(content, path, value)
        return content

    def after_for(self, entry: Entry) -> str:
        """Return what a person does when the block of ``entry`` is in the file."""
        then = [self.after if entry.needs_key else self.keyless or self.after]
        if self.needs_variable(entry):
            then.insert(0, f"set {entry.named} in {self.variables}")
        if entry.has_login:
            then.append(self.login or "a browser opens to log in")
        if entry.scope == "project" and self.approval:
            then.append(self.approval)
        return "; ".join(then).replace("{server}", entry.server)


def input_of(entry: Entry) -> str:
    """Return the id under which VS Code asks for a server's key."""
    return f"mcpward-{entry.server}-key"
