from pathlib import Path

import pytest

from mcpward.config.explain import explain_all, markdown

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_of_settings_is_current():
    assert PAGE.read_text(encoding="utf-8") == markdown().rstrip("\n") + "\n", (
        "mcpward config explain --markdown > docs/configuration.md"
    )


@pytest.mark.parametrize("one", explain_all(), ids=lambda one: one.key)
def test_every_setting_is_on_the_page(one):
    table, _, name = one.key.rpartition(".")
    section = PAGE.read_text(encoding="utf-8").partition(f"## [{table}]\n")[2].partition("\n## ")[0]
    assert f"| `{name}` |" in section
    assert one.help in section
