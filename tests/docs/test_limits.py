"""docs/limits.md: what it writes as settings is taken, and what it says of defaults is so."""

import re
import tomllib

import pytest

from mcpward.config.load import load
from mcpward.config.rate import rate_text
from support.sources import ROOT

PAGE = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
SERVED = '\n[servers.orders]\nsource = "tools.py"\n'


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0])
def test_what_the_page_writes_is_taken(block, tmp_path):
    named = set(re.findall(r"\b(stripe)\b", block)) - set(tomllib.loads(block).get("budgets", ()))
    more = "".join(f'[budgets.{name}]\nrate = "1/second"\n' for name in named)
    (tmp_path / "mcpward.toml").write_text(block + SERVED + more)
    assert load(tmp_path / "mcpward.toml", {})


def test_the_defaults_of_the_page_are_those_of_the_house():
    settings = load(None, {}, {"servers.a.source": "m:a"})
    site, limits = settings.limits, settings.servers["a"].limits
    cells = {row[0]: row[-1] for row in (line.strip("| ").split(" | ") for line in PAGE.splitlines() if "| `" in line)}
    assert cells["`requests`"] == rate_text(site.requests.rate)
    assert cells["`auth_failures`"] == rate_text(site.auth_failures.rate)
    rates = [limits.read, limits.write, limits.destructive]
    assert cells["`read`, `write`, `destructive`"] == _together(rates)
    assert (
        cells["`discovery`, `lifecycle`"] == f"{rate_text(limits.discovery.rate)}, {rate_text(limits.lifecycle.rate)}"
    )
    assert cells["`repeat`"] == _together([limits.repeat_read, limits.repeat_write, limits.repeat_destructive])
    assert [site.caller, limits.quota, limits.total] == [None, None, None]
    assert f"(`concurrency`, {limits.concurrency})" in PAGE
    assert f"(`caller_concurrency`, {limits.caller_concurrency})" in PAGE


def _together(limits):
    return ", ".join(str(limit.rate.count) for limit in limits) + "/minute"
