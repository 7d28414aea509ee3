"""docs/testing.md: its server is served, and its tests pass, as they are written there."""

import importlib.util
import inspect
import re

import pytest

from mcpward.testing import client
from support.sources import ROOT

PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TESTS = re.findall(r"^async def (test_\w+)", "\n".join(BLOCKS), re.MULTILINE)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools.py").write_text(BLOCKS[0])
    (tmp_path / "test_page.py").write_text("\n\n".join(BLOCKS[1:]))
    spec = importlib.util.spec_from_file_location("test_page_of_testing", tmp_path / "test_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", TESTS)
async def test_each_test_of_the_page_passes(project, name):
    await getattr(project, name)(lambda **options: client("tools.py", **options))


def test_every_option_and_every_word_of_a_result_is_on_the_page():
    from mcpward.testing import CallResult

    options = [name for name in inspect.signature(client).parameters if name != "server"]
    words = [name for name in (*CallResult.__struct_fields__, *vars(CallResult)) if not name.startswith("_")]
    hidden = {"request", "is_wrapped"}
    assert not [word for word in (*options, *words) if word not in hidden and f"`{word}`" not in PAGE]
