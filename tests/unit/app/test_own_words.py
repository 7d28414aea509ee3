"""log.level is for what mcpward and the authors say: a library's messages are logged from warnings on."""

import logging
import sysconfig

import pytest

from mcpward.app.logs import OwnWords

LIBRARY = f"{sysconfig.get_path('purelib')}/chatty/client.py"
AUTHOR = "/srv/shop/tools.py"


@pytest.mark.parametrize(
    "name,path,level,passes",
    [
        ("mcpward.traffic", LIBRARY, logging.DEBUG, True),
        ("shop", AUTHOR, logging.DEBUG, True),
        ("chatty", LIBRARY, logging.DEBUG, False),
        ("chatty", LIBRARY, logging.INFO, False),
        ("chatty", LIBRARY, logging.WARNING, True),
        ("asyncio", f"{sysconfig.get_path('stdlib')}/asyncio/selector_events.py", logging.DEBUG, False),
        ("mcpwardish", LIBRARY, logging.DEBUG, False),
        ("orders_tools.queries", LIBRARY, logging.DEBUG, True),  # an author's package, installed
    ],
)
def test_who_is_heard(name, path, level, passes):
    words = OwnWords(["orders_tools.server:server", "tools.py"])
    record = logging.LogRecord(name, level, path, 1, "text", None, None)
    assert words.filter(record) is passes
