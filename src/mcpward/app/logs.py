"""The process's own log: one line per event on stderr, for people on a terminal and JSON elsewhere.

No line is written per request: that is the traffic record's duty. Every line goes through the redactor, uvicorn's and
asyncio's own included. Control characters can neither break a line nor reach a terminal (attack 110).

``log.level`` applies to the lines of mcpward and of the authors' own code. Libraries below them log from warnings on:
their debug lines hold SQL with its values, URLs with their queries, and headers.
"""

import json
import logging
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Final

import structlog

from mcpward.app.log_rate import LogRate
from mcpward.config.model import Log

_FOREIGN: Final = ("uvicorn.error", "uvicorn", "asyncio", "aiosqlite", "httpcore2", "sqlalchemy")
_OURS: Final = "mcpward"
#: The folders of modules of Python and of the packages installed for it.
_LIBRARIES: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_FOREIGN_LEVEL: Final = logging.WARNING
_GROUP: Final = "Exception Group Traceback (most recent call last):"
_MARGIN: Final = re.compile(r"^ *\| ?", re.MULTILINE)
Redact = Callable[[str], str]


class OwnWords(logging.Filter):
    """Passes lines of libraries from warnings on. ``sources`` are the served ones: an author's package may be
    installed.

    A library is recognised by the file that logs, since any code may give a logger any name.
    """

    def __init__(self, sources: Iterable[str] = ()) -> None:
        super().__init__()
        packages = {source.partition(":")[0].partition(".")[0] for source in sources if not source.endswith(".py")}
        self._own = (_OURS, *packages)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is to be written."""
        if record.levelno >= _FOREIGN_LEVEL or record.name.partition(".")[0] in self._own:
            return True
        return not record.pathname.startswith(_LIBRARIES)


class LogRedaction:
    """The redaction of log lines; set once the secrets are known, and changed when they change."""

    def __init__(self) -> None:
        self.redact: Redact = str
        self.redact_json: Redact = str

    def text(self, text: str) -> str:
        """Redact a text."""
        return self.redact(text)

    def console(self, _logger: Any, _name: str, line: Any) -> str:
        """Redact a line for people (structlog's processor protocol)."""
        return self.redact(line)

    def json(self, _logger: Any, _name: str, line: Any) -> str:
        """Redact a line of JSON, which stays JSON (structlog's processor protocol)."""
        return self.redact_json(line)


def set_up(settings: Log, redaction: LogRedaction, sources: Iterable[str] = ()) -> None:
    """Send all logging of this process through one formatter to stderr. ``sources`` are the servers'."""
    as_console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_margins,
    ]
    renderer: Any = Console(redaction) if as_console else structlog.processors.JSONRenderer(serializer=_json)
    last = redaction.console if as_console else redaction.json
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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, last],
        )
    )
    handler.addFilter(OwnWords(sources))
    handler.addFilter(LogRate())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name in _FOREIGN:
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(max(_FOREIGN_LEVEL, root.level))  # not made at all: some are one for each statement


def _without_margins(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take the margin off the lines of exception groups: with it, a secret of several lines would not be recognized."""
    for name, value in event.items():
        if isinstance(value, str) and _GROUP in value:
            event[name] = _MARGIN.sub("", value)
    return event


def _json(event: Any, **_: Any) -> str:
    return json.dumps(event, default=repr)


class Console:
    """``12:00:00 warning  what happened  key=value``, every value as JSON so that no byte of it acts on a terminal.

    Values of several lines, such as tracebacks, stand below and are indented: none of their lines looks like one of the
    log. They are redacted first: with blanks in it, a secret of several lines would not be recognized.
    """

    def __init__(self, redaction: LogRedaction) -> None:
        self._redaction = redaction

    def __call__(self, _logger: Any, _name: str, event: MutableMapping[str, Any]) -> str:
        """Render an event (structlog's processor protocol)."""
        at = str(event.pop("timestamp", ""))[11:19]
        level = str(event.pop("level", ""))
        message = json.dumps(str(event.pop("event", "")))[1:-1].replace('\\"', '"')
        below = {name: value for name, value in event.items() if isinstance(value, str) and "\n" in value.strip()}
        facts = [f"{name}={json.dumps(value, default=repr)}" for name, value in event.items() if name not in below]
        blocks = [self._block(value) for value in below.values()]
        return "\n".join(["  ".join([f"{at} {level:<7}", message, *facts]), *blocks])

    def _block(self, text: str) -> str:
        return "\n".join(f"    {_safe(line)}".rstrip() for line in self._redaction.redact(text).strip().split("\n"))


def _safe(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
