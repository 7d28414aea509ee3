"""Settings of what must never leave in a result: of a server, and of one of its tools."""

from typing import Final, Literal, Self

from mcpward.config.fields import MemberPatterns
from mcpward.config.section import Section, key

Masking = Literal["mask", "allow"]
Screened = Literal["allow", "mask", "drop", "refuse"]

_CREDENTIALS: Final = (
    "credentials that mcpward does not know, found by their published forms (cloud keys, tokens, private keys, URLs "
    "with a password, JWTs): `mask` writes [redacted] in their place, `allow` lets them leave"
)
_DROP: Final = (
    "members that never leave, by name: removed from structured results at every depth, from text that is JSON and "
    "from the published output schema. `*` and `?` stand for characters, capitals make no difference"
)
_CARDS: Final = (
    "numbers of payment cards (issuer, length and Luhn digit): `mask` keeps the last four digits, `drop` removes them, "
    "`refuse` withholds the result"
)
_IBANS: Final = "bank account numbers (IBAN, by country, length and check digits)"
_EMAILS: Final = "e-mail addresses"


class ServerOutput(Section):
    """[servers.<name>.output]: the screens of everything that leaves this server ([secrets.md](secrets.md))."""

    credentials: Masking = key("mask", _CREDENTIALS, '"allow"')
    drop: MemberPatterns = key((), _DROP, '["password", "*_token", "internal_*"]')
    cards: Screened = key("allow", _CARDS, '"mask"')
    ibans: Screened = key("allow", f"{_IBANS}: as `cards`; `mask` writes [iban]", '"mask"')
    emails: Screened = key("allow", f"{_EMAILS}: as `cards`; `mask` writes redacted@email.invalid", '"refuse"')

    def with_tool(self, tool: "ToolOutput") -> Self:
        """Return what applies to a tool: its own values replace these, its dropped members are added."""
        own = {name: value for name, value in tool if name != "drop" and value is not None}
        return self.model_copy(update={**own, "drop": (*self.drop, *tool.drop)})


class ToolOutput(Section):
    """[servers.<name>.tools.<name>.output]: the screens of one tool; unset values are those of its server."""

    credentials: Masking | None = key(None, "credentials in its results; replaces the server's value", '"allow"')
    drop: MemberPatterns = key((), "members that never leave; added to the server's", '["note"]')
    cards: Screened | None = key(None, "numbers of cards; replaces the server's value", '"allow"')
    ibans: Screened | None = key(None, "bank account numbers; replaces the server's value", '"drop"')
    emails: Screened | None = key(None, "e-mail addresses; replaces the server's value", '"mask"')
