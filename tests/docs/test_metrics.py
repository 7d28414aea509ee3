"""The page of metrics names every one that there is, and none besides; and every thing that health may wait for."""

import re
from pathlib import Path

from mcpward.traffic.metrics import Metrics
from mcpward.traffic.prometheus import COUNTERS, GAUGES, MetricsCollector
from support.sources import PACKAGE, ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \|(?: (\w+) \|)?", re.MULTILINE)
PROBE = re.compile(r'Probe\(\s*"(\w+)"')


def test_every_metric_is_on_the_page_with_its_kind():
    metrics = Metrics()
    metrics.gauges |= dict.fromkeys(GAUGES, lambda: 0.0)
    metrics.counters |= dict.fromkeys(COUNTERS, lambda: 0.0)
    made = {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in MetricsCollector(metrics).collect()
    }
    assert {name: kind for name, kind in ROW.findall(PAGE) if name.startswith("mcp")} == made


def test_everything_that_readiness_waits_for_is_on_the_page():
    texts = [path.read_text(encoding="utf-8") for path in Path(PACKAGE, "app").glob("*.py")]
    probes = {name for text in texts for name in PROBE.findall(text)}
    health = PAGE.partition("## Health")[2].partition("## Metrics")[0]
    assert probes == {name for name, _ in ROW.findall(health)}
