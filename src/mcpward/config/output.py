"""Settings of what must never leave in a result: of a server, and of one of its tools."""

from typing import Final, Literal, Self

from mcpward.config.fields import Count, MemberPatterns, Size
from mcpward.config.section import Section, key

Masking = Literal["mask", "allow"]
Screened = Literal["allow", "mask", "drop", "refuse"]
Links = Literal["keep", "text"]

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
_LINKS: Final = (
    "links and images in results of tools and in resources (Markdown, HTML, data: and javascript: addresses): `text` "
    "leaves their words and addresses as plain text, without what an address carries, so that no client loads an image"
)
_FORMULAS: Final = (
    "cells of CSV that a spreadsheet would run, in texts of resources with that media type: `text` puts a quote before "
    "them"
)
_MAX_BYTES: Final = "largest result of one of its tools, at most `output.max_bytes`; its copy as text is not counted"
_MAX_ITEMS: Final = "longest list anywhere in a result of one of its tools; a result with a longer one is withheld"
_MAX_DEPTH: Final = "deepest nesting of a result of one of its tools; a deeper one is withheld"


class ServerOutput(Section):
    """[servers.<name>.output]: the screens of everything that leaves this server ([secrets.md](secrets.md))."""

    credentials: Masking = key("mask", _CREDENTIALS, '"allow"')
    drop: MemberPatterns = key((), _DROP, '["password", "*_token", "internal_*"]')
    cards: Screened = key("allow", _CARDS, '"mask"')
    ibans: Screened = key("allow", f"{_IBANS}: as `cards`; `mask` writes [iban]", '"mask"')
    emails: Screened = key("allow", f"{_EMAILS}: as `cards`; `mask` writes redacted@email.invalid", '"refuse"')
    links: Links = key("keep", _LINKS, '"text"')
    formulas: Links = key("keep", _FORMULAS, '"text"')
    max_bytes: Size | None = key(None, _MAX_BYTES, '"64 KiB"')
    max_items: Count | None = key(None, _MAX_ITEMS, "1000")
    max_depth: Count | None = key(None, _MAX_DEPTH, "12")

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
    links: Links | None = key(None, "links and images in its results; replaces the server's value", '"text"')
    formulas: Links | None = key(None, "cells of CSV in its results; replaces the server's value", '"text"')
    max_bytes: Size | None = key(None, "its largest result; replaces the server's value", '"16 KiB"')
    max_items: Count | None = key(None, "longest list in its results; replaces the server's value", "100")
    max_depth: Count | None = key(None, "deepest nesting of its results; replaces the server's value", "6")
