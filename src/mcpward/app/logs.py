"""The process's own log: one line per event on stderr, for people on a terminal and JSON elsewhere.

No line is written per request: that is the traffic record's duty. Every line goes through the redactor, uvicorn's and
asyncio's own included, and control characters can neither break a line nor reach a terminal (attack 110).
"""

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import structlog

from mcpward.app.log_rate import LogRate
from mcpward.config.model import Log

_FOREIGN: Final = ("uvicorn.error", "uvicorn", "asyncio", "aiosqlite", "httpcore2", "sqlalchemy")
Redact = Callable[[str], str]


class Voice:
    """Where lines get their redaction from; set once the secrets are known, and changed when they change."""

    def __init__(self) -> None:
        self.redact: Redact = str

    def __call__(self, _logger: Any, _name: str, line: Any) -> str:
        """Redact a rendered line (structlog's processor protocol)."""
        return self.redact(line)


def set_up(settings: Log, voice: Voice) -> None:
    """Send all logging of this process through one formatter to stderr."""
    as_console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = _console if as_console else structlog.processors.JSONRenderer(serializer=_json)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, voice],
        )
    )
    handler.addFilter(LogRate())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name in _FOREIGN:
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(logging.WARNING if settings.level != "debug" else logging.INFO)


def _json(event: Any, **_: Any) -> str:
    return json.dumps(event, default=repr)


def _console(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> str:
    """``12:00:00 warning  what happened  key=value``, every value as JSON so that no byte of it acts on a terminal."""
    at = str(event.pop("timestamp", ""))[11:19]
    level = str(event.pop("level", ""))
    message = json.dumps(str(event.pop("event", "")))[1:-1].replace('\\"', '"')
    trace = event.pop("exception", None)
    facts = "  ".join(f"{name}={json.dumps(value, default=repr)}" for name, value in event.items())
    line = f"{at} {level:<7}  {message}" + (f"  {facts}" if facts else "")
    return f"{line}\n{_safe(str(trace))}" if trace else line


def _safe(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)
