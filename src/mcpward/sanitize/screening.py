"""What must never leave in a result though it is no secret of this site: credentials of others, members that the
operator drops, personal numbers. One :class:`Screening` for each server, and for each tool that differs.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from mcpward.config.model import Server
from mcpward.config.output import ServerOutput
from mcpward.core.effort import LARGE
from mcpward.core.ids import error_id
from mcpward.core.name_patterns import NamePatterns
from mcpward.core.values import Call, Kind, RawResult
from mcpward.core.withheld import withheld
from mcpward.sanitize import json_text
from mcpward.sanitize.data_marks import Rewriting
from mcpward.sanitize.rewrite import Rewrite, rewritten
from mcpward.sanitize.screens import known_credentials, personal_numbers
from mcpward.sanitize.screens.caps import ResultCaps
from mcpward.sanitize.screens.dropped import DroppedMembers
from mcpward.sanitize.screens.invisible import strip

_decode: Final = msgspec.json.Decoder().decode
_ADVICE: Final = "it contains personal data: ask for less of it"
#: Stands for what is dropped until the member that held it is known. Private, and another one in each process.
_GONE: Final = f"\ue000{error_id()}"
_Misfit = Callable[[Any], str | None]


class Screening:
    """The screens of one server or tool, as its settings say."""

    def __init__(self, output: ServerOutput) -> None:
        self.masks_credentials = output.credentials == "mask"
        names = NamePatterns(output.drop)
        self._members = DroppedMembers(names) if names else None
        actions = {name: getattr(output, name) for name in personal_numbers.KINDS}
        self.rewriting = Rewriting(output.links == "text", output.formulas == "text")
        caps = ResultCaps(output.max_bytes, output.max_items, output.max_depth)
        self.caps = None if caps == ResultCaps() else caps
        self._numbers = {name: action for name, action in actions.items() if action != "allow"}

        #: A result of so many bytes, and no more, may be screened on the event loop.
        is_slow = names or self._numbers or self.rewriting.is_any or self.caps is not None
        self.at_once = LARGE // 16 if is_slow else LARGE

    @property
    def drops(self) -> bool:
        """Whether members are dropped by their names."""
        return self._members is not None

    def suspects(self, body: bytes) -> bool:
        """Return whether encoded JSON must be looked at closely: rarely, unless personal numbers are looked for."""
        return bool(self._numbers) or (self.masks_credentials and known_credentials.suspects(body))

    @property
    def prepares(self) -> bool:
        """Whether a tool's result is looked at before it is encoded."""
        return self._members is not None or self.caps is not None

    def prepared(self, raw: RawResult) -> RawResult:
        """Return a tool's result without dropped members.

        Raises:
            Refusal: output-refused; the rest breaks the published schema, or is larger than the settings allow.
        """
        if self._members is not None:
            raw = self._members.result(raw)
        if self.caps is not None:
            self.caps.require(raw)
        return raw

    def message(self, value: Any) -> Any:
        """Return a message of ours without dropped members."""
        return value if self._members is None else self._members.message(value)

    def result(self, encoded: bytes, misfit: _Misfit | None) -> tuple[Any, tuple[str, ...]]:
        """Return an encoded result, decoded, as it may leave, and the kind of each thing that was taken out.

        Raises:
            Refusal: output-refused; a number is there that refuses the result, or the rest breaks the published schema.
        """
        body, work = _decode(encoded), self._work(encoded, self._numbers)
        clean = work.of(body)
        self._require_whole(clean, work)
        if not work.kinds or misfit is None:
            return clean, tuple(work.kinds)
        problem = misfit(clean.get("structuredContent"))
        if problem is not None and work.has_dropped:  # a member that must be there stays, with nothing in it
            clean = self._work(encoded, self._numbers, keeps_members=True).of(body)
            problem = misfit(clean.get("structuredContent"))
        if problem is not None:
            kinds = ", ".join(dict.fromkeys(work.kinds))
            raise withheld(f"without {kinds} the result breaks its output schema: {problem}", _ADVICE)
        return clean, tuple(work.kinds)

    def other(self, encoded: bytes, *, is_listing: bool) -> tuple[Any, tuple[str, ...]]:
        """Do the same for a message or a result that is no tool's. A list has its author's words, and no one's data."""
        work = self._work(encoded, {} if is_listing else self._numbers)
        clean = work.of(_decode(encoded))
        self._require_whole(clean, work)
        return clean, tuple(work.kinds)

    def _work(self, encoded: bytes, numbers: Mapping[str, str], *, keeps_members: bool = False) -> "_Work":
        masks = self.masks_credentials and known_credentials.suspects(encoded)
        return _Work(masks, numbers, keeps_members=keeps_members)

    def _require_whole(self, clean: Any, work: "_Work") -> None:
        """A private key may come as a list of its lines, of which none is a credential."""
        encoded = known_credentials.encoded(clean) if work.credentials else b""
        if known_credentials.suspects(encoded) and known_credentials.finds_across(encoded.decode()):
            raise withheld("a credential stands across several members of the result")


class Screenings:
    """The screening of each call. ``servers`` are those of the settings."""

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self._others = Screening(ServerOutput())
        self._of_servers = {name: Screening(server.output) for name, server in servers.items()}
        self._of_tools = {
            (name, tool): Screening(server.output.with_tool(own.output))
            for name, server in servers.items()
            for tool, own in server.tools.items()
        }

    def of(self, server: str, tool: str = "") -> Screening:
        """Return that of a tool, or else of its server."""
        return self._of_tools.get((server, tool)) or self._of_servers.get(server) or self._others

    def of_call(self, call: Call | None) -> Screening:
        """Return that of what is sent for a call; without one, it is mcpward's own."""
        if call is None:
            return self._others
        return self.of(call.arrival.server, call.target if call.kind is Kind.TOOL else "")


class _Work:
    """One result on its way. ``kinds`` names each thing that was taken out."""

    def __init__(self, credentials: bool, numbers: Mapping[str, str], *, keeps_members: bool = False) -> None:
        self.kinds: list[str] = []
        self.has_dropped = False
        self.credentials = credentials
        self._numbers = numbers
        self._keeps = keeps_members
        self._change = Rewrite(self._texts, self._scalar, self._is_clean)

    def of(self, body: Mapping[str, Any]) -> Any:
        """Return a result or a message. Dropped members are its author's: those of the protocol stay, and are empty."""
        value = self._rewritten(body)
        if not self.has_dropped:
            return value
        for name, part in value.items():
            if name in {"structuredContent", "_meta"}:
                value[name] = _without(part, keeps_members=self._keeps)
        return _without(value, keeps_members=True)

    def _rewritten(self, value: Any) -> Any:
        if self.credentials:
            value = self._named(value)
        return rewritten(value, self._change)

    def _value(self, value: Any) -> Any:
        """Change the value of a text that is JSON; the same object if nothing is to be taken out."""
        before = len(self.kinds)
        clean = self._rewritten(value)
        if len(self.kinds) == before:
            return value
        return _without(clean, keeps_members=self._keeps) if self.has_dropped else clean

    def _texts(self, given: list[str]) -> list[str]:
        return [self._text(text) for text in given]

    def _text(self, text: str) -> str:
        clean = json_text.changed(text, self._value)
        if clean is not text:
            return clean
        if self.credentials:
            seen = strip(clean)  # within JSON, what is not seen may have been escaped
            masked = known_credentials.masked(seen, self.kinds)
            clean = clean if masked is seen else masked
        for name, action in self._numbers.items():
            clean = self._without_numbers(name, action, clean)
        return clean

    def _without_numbers(self, name: str, action: str, text: str) -> str:
        kind = personal_numbers.KINDS[name]
        if kind.anchor not in text:
            return text
        parts: list[str] = []
        at = 0
        for start, end in kind.find(text):
            if start < at:
                continue
            self._note(name, action)
            parts += (text[at:start], kind.mask(text[start:end]) if action == "mask" else "")
            at = end
        if not parts:
            return text
        clean = "".join([*parts, text[at:]])
        return clean if action == "mask" or clean.strip() else _GONE

    def _scalar(self, value: Any) -> Any:
        """A card's number may be a number of JSON, too."""
        action = self._numbers.get("cards")
        if action is None or type(value) is not int or not personal_numbers.is_card(str(value)):
            return value
        kind = personal_numbers.KINDS["cards"]
        self._note("cards", action)
        return kind.mask(str(value)) if action == "mask" else _GONE

    def _note(self, name: str, action: str) -> None:
        kind = personal_numbers.KINDS[name].name
        if action == "refuse":
            raise withheld(f"the result has personal data ({kind}), which output.{name} refuses", _ADVICE)
        self.kinds.append(kind)
        self.has_dropped = self.has_dropped or action == "drop"

    def _named(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._named(item) for item in value]
        if isinstance(value, dict):
            return {
                name: known_credentials.masked_member(name, item, self.kinds)
                if isinstance(item, str)
                else self._named(item)
                for name, item in value.items()
            }
        return value

    def _is_clean(self, part: Any) -> bool:
        return not self._numbers and not known_credentials.suspects(known_credentials.encoded(part))


def _without(value: Any, *, keeps_members: bool) -> Any:
    """Return ``value`` without what holds only what was dropped; or with it, and nothing in it."""
    if isinstance(value, str):
        return "" if value == _GONE else value
    if isinstance(value, list):
        return [_without(item, keeps_members=keeps_members) for item in value if keeps_members or item != _GONE]
    if isinstance(value, dict):
        return {
            name: _without(item, keeps_members=keeps_members)
            for name, item in value.items()
            if not name.startswith(_GONE) and (keeps_members or item != _GONE)
        }
    return value
