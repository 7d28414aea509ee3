"""Logs the line of ``mcpward.toml`` that would allow a refused host or origin.

The text goes into the traffic record, and into the log at a bounded rate: strangers choose these values. Only what
could stand in the settings is quoted, so nothing else of a request gets into either (attack 110).
"""

import json
import logging
from collections.abc import Callable, Sequence
from typing import Final

from mcpward.config.address import parse_allowed_host, parse_origin
from mcpward.core.clock import Clock

_log: Final = logging.getLogger("mcpward.ingress")
_MOST_A_MINUTE: Final = 6
_MINUTE_S: Final = 60.0
#: A value that was logged is not logged again before this time has passed; so many values are remembered.
_AGAIN_S: Final = 600.0
_KEPT: Final = 64
_LONGEST: Final = 300
_LONGEST_LINE: Final = 400


class Advice:
    """``hosts`` and ``origins`` are what the settings allow already: the line to write has them too."""

    def __init__(self, clock: Clock, hosts: Sequence[str] = (), origins: Sequence[str] = ()) -> None:
        self._monotonic = clock.monotonic
        self._hosts = tuple(hosts)
        self._origins = tuple(origins)
        self._logged: dict[str, float] = {}
        self._minute = clock.monotonic()
        self._count = 0

    def on_host(self, host: bytes) -> str:
        """Return what a refusal of this Host means to the operator, and log it if that is due."""
        return self._said("Host", host, parse_allowed_host, "allowed_hosts", self._hosts)

    def on_origin(self, origin: bytes) -> str:
        """Return what a refusal of this Origin means to the operator, and log it if that is due."""
        if origin.lower() == b"null":
            return 'Origin "null" cannot be allowed: every sandboxed page and local file sends it'
        return self._said("Origin", origin, parse_origin, "allowed_origins", self._origins)

    def _said(self, field: str, value: bytes, parse: Callable[[str], str], key: str, present: Sequence[str]) -> str:
        try:
            known = parse(value.decode("ascii")) if len(value) <= _LONGEST else None
        except ValueError:
            known = None
        if known is None:
            return f"the {field} field has no value that can be allowed"
        text = f'{field} "{known}" is not allowed; if it is yours, write in mcpward.toml: {_line(key, present, known)}'
        if self._is_due(text):
            _log.warning("request refused: %s", text)
        return text

    def _is_due(self, text: str) -> bool:
        now = self._monotonic()
        if now - self._minute >= _MINUTE_S:
            self._minute, self._count = now, 0
        if self._count >= _MOST_A_MINUTE or now - self._logged.get(text, float("-inf")) < _AGAIN_S:
            return False
        self._count += 1
        self._logged.pop(text, None)
        if len(self._logged) >= _KEPT:
            del self._logged[next(iter(self._logged))]
        self._logged[text] = now
        return True


def _line(key: str, present: Sequence[str], value: str) -> str:
    line = f"[site] {key} = {json.dumps([*present, value], ensure_ascii=False)}"
    return line if len(line) <= _LONGEST_LINE else f'[site] {key}, one more entry: "{value}"'
