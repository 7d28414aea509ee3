"""The report of a file that cannot be loaded holds nothing of a secret: neither in the error nor in the hint."""

import sys

import pytest

from mcpward.config.load import load
from mcpward.core.errors import Misconfigured
from mcpward.operations.sources import load_sources

VALUE = "hunter2 correct horse"


@pytest.fixture(autouse=True)
def _own_path(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def told(tmp_path):
    """Load a file as ``mcpward serve`` does, and return all that is reported of it."""

    def tell(text):
        (tmp_path / "tools.py").write_text(f"from mcpward import Server\n{text}\n")
        config = tmp_path / "mcpward.toml"
        config.write_text('[servers.shop]\nsource = "tools.py"\nmode = "public"\n')
        with pytest.raises(Misconfigured) as wrong:
            load_sources(load(config, {}, {"site.data": str(tmp_path / "data")}), {})
        (found,) = wrong.value.findings
        assert "\n" not in found.what + found.hint
        return found

    return tell


@pytest.mark.parametrize(
    "text",
    [
        "SHOP_LOGIN = 'hunter2",
        "SHOP_LOGIN = f'hunter2 {'",
        "login('hunter2' 'x'",
        "x = 5hunter2",
        "x = (  # hunter2",
        "import ast\nast.literal_eval('{hunter2')",
        "import os, ast\nast.literal_eval(os.environ['SHOP_LOGIN'])",
        "open('token=hunter2/hunter2')",
        "import os\nopen('/nowhere/' + os.environ['SHOP_LOGIN'] + '/' + 'x')",
    ],
)
def test_no_part_of_a_secret_is_in_the_hint(told, monkeypatch, text):
    monkeypatch.setenv("SHOP_LOGIN", VALUE)
    found = told(text)
    assert "hunter2" not in found.hint + found.what
    assert found.where.rpartition("/")[2].startswith("tools.py:")


@pytest.mark.parametrize(
    "url",
    ["postgres://u:hunter2@h/x", "postgres://u:a/hunter2@h/x", "redis://:a@hunter2@h/x", "amqp://u:a:/b?hunter2@h/x"],
)
def test_a_password_in_a_url_goes_up_to_the_last_at_sign(told, url):
    assert (
        told(f"raise OSError('no way to {url}')").what == f"OSError: no way to {url.partition(':')[0]}://[redacted]@h/x"
    )


def test_a_value_that_pydantic_quotes_is_not_shown(told):
    kinds = "".join(f"class {n}(BaseModel):\n    kind: Literal['{n}']\n" for n in "AB")
    union = "TypeAdapter(Annotated[A | B, Field(discriminator='kind')]).validate_python({'kind': 'hunter2'})"
    imports = "from typing import *\nfrom pydantic import *\n"
    found = told(f"{imports}{kinds}{union}")
    assert "union_tag_invalid" in found.what
    assert "hunter2" not in found.what
    assert told(f"{imports}{kinds}A()").what == "A.kind: is missing"


def test_the_end_of_a_path_that_is_a_secret_is_not_in_the_hint(told, monkeypatch):
    monkeypatch.setenv("SHOP_LOGIN", "nowhere/hunter2")
    found = told("import os\nopen(os.environ['SHOP_LOGIN'])")
    assert (found.what, "hunter2" in found.hint) == ("there is no file '[redacted]'", False)


def test_a_line_without_a_text_and_the_name_of_a_variable_are_shown(told):
    assert told("def f(:").hint == "correct the line, or the one before it: def f(:"
    assert told("import os\nos.environ['NOT_SET_TOKEN']").hint.startswith("export NOT_SET_TOKEN=…; for a secret")


@pytest.mark.parametrize("raised", ["raise ValueError({})", "import sys\nsys.exit({})"])
@pytest.mark.parametrize("value, before", [(VALUE * 2, 260), (VALUE.replace(" ", "\n"), 0)])
def test_a_secret_across_the_end_of_what_is_shown_leaves_nothing(told, monkeypatch, raised, value, before):
    monkeypatch.setenv("SHOP_LOGIN", value)
    found = told("import os\n" + raised.format(f"'x' * {before} + os.environ['SHOP_LOGIN']"))
    assert "hunter2" not in found.what
    assert "[redacted]" in found.what
