"""The pytest plug-in: a fixture that opens the project's server, and ``async def`` tests that need no other plug-in.

Loaded in every run of pytest if mcpward is installed, so it imports nothing that takes time before it is asked.
"""

import asyncio
import inspect
from pathlib import Path
from typing import Any, Final

import pytest

_OPTIONS: Final = {
    "mcpward_server": "what the fixture mcpward_client opens: tools.py, tools.py:server or package.module:server",
    "mcpward_config": "an mcpward.toml whose limits, budgets and pools hold in tests",
}
#: The runner of a test that has one of these marks. Other plug-ins' own automatic modes come before this one as well.
_OTHERS: Final = ("asyncio", "anyio", "trio", "twisted")
_FIXTURE: Final = "mcpward_client"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the settings of an author's project."""
    for name, text in _OPTIONS.items():
        parser.addini(name, text, type="string", default="")


@pytest.fixture
def mcpward_client(pytestconfig: pytest.Config) -> Any:
    """Opens the server that pytest's settings name, or one that is given, as :func:`mcpward.testing.client` does.

    ``async with mcpward_client(caller="ann") as server: …``
    """
    server, config = (_path(pytestconfig, str(pytestconfig.getini(name))) for name in _OPTIONS)

    def opened(given: Any = None, /, **options: Any) -> Any:
        options.setdefault("config", config)
        if given is None and server is None and options["config"] is None:
            raise pytest.UsageError(
                'which server? write mcpward_server = "tools.py" below [tool.pytest.ini_options] in pyproject.toml, '
                "or give one: mcpward_client(server)"
            )
        from mcpward.testing import client

        return client(server if given is None else given, **options)

    return opened


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an ``async def`` test that asks for the fixture, if no other plug-in has taken it."""
    function = pyfuncitem.obj
    if _FIXTURE not in pyfuncitem.fixturenames or not inspect.iscoroutinefunction(function):
        return None
    if any(pyfuncitem.get_closest_marker(name) is not None for name in _OTHERS):
        return None
    wanted = inspect.signature(function).parameters
    asyncio.run(function(**{name: value for name, value in pyfuncitem.funcargs.items() if name in wanted}))
    return True


def _path(config: pytest.Config, said: str) -> str | None:
    """Return a source or a file as it is found from any folder: relative ones begin where pytest's settings are."""
    path, colon, attribute = said.partition(":")
    if not said or not (path.endswith((".py", ".toml")) or "/" in path):
        return said or None
    return f"{Path(config.rootpath, path)}{colon}{attribute}"
