"""The form of nearly all calls: a modern ``tools/call`` that says what each one must say, and nothing else.

It is read in one go. Nothing is refused here: at the first thing that is not plain the ladder of ``read.py`` decides,
which asks for the same and says what is wrong.
"""

from collections.abc import Mapping
from typing import Any, Final

from mcpward.core.jsonio import spell
from mcpward.core.values import Arrival, Call, Era, Kind, Principal
from mcpward.protocol.decode import NUMBERS, is_id
from mcpward.protocol.headers import is_modern_call
from mcpward.protocol.methods import CALL
from mcpward.protocol.versions import CAPABILITIES_KEY, CLIENT_KEY, MODERN, VERSION_KEY

_ERA: Final = Era.MODERN
_KIND: Final = Kind.TOOL
_NONE: Final[Mapping[str, Any]] = {}


class PlainCalls:
    """Reads plain calls. ``introductions`` are those of the servers that have tools."""

    def __init__(self, introductions: Mapping[str, bytes]) -> None:
        self._introductions = dict(introductions)

    def read(self, arrival: Arrival, principal: Principal, message: Any) -> Call | None:
        """Return the call of a message in our own spelling; None if it is not a plain one."""
        try:
            number = message["id"]
            params = message["params"]
            name = params["name"]
            arguments = params["arguments"]
            said = params["_meta"]
            declared = said[CAPABILITIES_KEY]
            introduction = self._introductions[arrival.server]
            if (
                message["method"] != CALL
                or message["jsonrpc"] != "2.0"
                or said[VERSION_KEY] != MODERN
                or type(said[CLIENT_KEY]) is not dict
            ):
                return None
        except (KeyError, TypeError):  # a name is missing, or it is no object that should have it
            return None
        if (
            # All names were found: with one more in any of the three there would be another.
            len(message) != 4
            or len(params) != 3
            or len(said) != 3
            or type(name) is not str
            or type(arguments) is not dict
            or type(declared) is not dict
            or ((type(number) is not int or number not in NUMBERS) and not is_id(number))
        ):
            return None
        visit = arrival.visit
        # The same head, byte for byte, agrees with the same name again.
        if visit is None or visit.tool != name:
            if not is_modern_call(arrival, name):
                return None
            if visit is not None:
                visit.tool = name
        raw = spell(arguments)
        return Call(
            arrival, principal, _ERA, MODERN, _KIND, CALL, number, name, raw, declared, introduction, said,
            _NONE, _NONE, _NONE,
        )  # fmt: skip
