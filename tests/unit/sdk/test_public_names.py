"""What ``from mcpward import …`` gives: nothing of it may be lost, and editors, Python and type checkers agree."""

import ast

import pytest

import mcpward
from support.sources import PACKAGE

#: Names that authors import today. One may be added; none may go.
NAMES = (
    "Audio", "Caller", "Changed", "ConstraintViolated", "Context", "Database", "DatabaseFailed", "DateRange",
    "Elicit", "ElicitUrl", "Elicited", "EmbeddedResource", "ExchangeRefused", "ExchangeUnavailable", "Header",
    "Icon", "Image", "Limit", "Message", "Root", "Roots", "Sample", "Sampled", "Server", "Text", "Titles",
    "ToolError", "ToolResult", "ToolUse", "ToolUsed", "UniqueViolated", "env", "http", "run",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_exported_and_stands_for_what_its_room_has(name):
    assert name in mcpward.__all__
    assert getattr(mcpward, name).__class__ is not type(None)


def test_what_is_exported_type_checkers_see_too():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    typed = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {name.name for line in typed.body if isinstance(line, ast.ImportFrom) for name in line.names}
    assert seen == {*mcpward._HOMES, *mcpward._MODULES} == set(mcpward.__all__) - {"__version__"}
    assert set(NAMES) <= seen
