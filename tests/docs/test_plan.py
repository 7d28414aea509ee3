"""The plan in CONTRIBUTING names every package that the rules of imports name, on the same floor."""

import re
import tomllib


def test_the_plan_has_the_floors_of_the_rules(root):
    plan = (root / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## The plan")[2].split("```")[1]
    shown = [set(re.findall(r"[a-z]+", line.partition("  ")[0])) for line in plan.strip().splitlines()]
    rules = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"][0]
    there = {path.name for path in (root / "src/mcpward").iterdir() if path.is_dir()}
    floors = [set(re.findall(r"[a-z]+", layer)) & there for layer in rules["layers"]]
    assert shown == [*floors, {"sdk"}]
