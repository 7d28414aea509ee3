"""The official conformance suite, both eras. What it may fail is listed with its reason; anything else is a failure."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.clients import conformance, environment
from support.ward import Ward, serving

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

HERE = Path(__file__).parent
SERVER = """
[servers.everything]
source = "everything.py"
mode = "public"
[servers.everything.limits]
read = "100000/minute"
discovery = "100000/minute"
repeat = ""
"""


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory, node: Path) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("everything")
    shutil.copy(HERE / "everything.py", folder)
    with serving(folder, servers=SERVER, start=False) as ward:
        # The suite also wants to see a browser page of the site itself let in.
        ward.extra_env["MCPWARD_SITE__ALLOWED_ORIGINS"] = ward.base
        ward.start()
        yield ward


def judged(folder: Path, command: list[str]) -> str:
    """Run the suite: an exit code of 0 means that exactly the expected scenarios failed."""
    run = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=150, check=False
    )
    _, _, summary = run.stdout.partition("=== SUMMARY ===")
    assert run.returncode == 0, summary + run.stderr
    return summary


def test_the_released_suite_is_passed_up_to_2025_11_25(ward: Ward, tmp_path: Path):
    baseline = str(HERE / "expected_2025_11_25.yml")
    summary = judged(tmp_path, conformance("server", "--url", f"{ward.base}/mcp", "--expected-failures", baseline))
    assert "✓ server-initialize" in summary
    assert "✓ dns-rebinding-protection" in summary


def test_the_upcoming_suite_is_passed_for_2026_07_28(ward: Ward, tmp_path: Path):
    words = ["--requirements", "2026-07-28", "--expected-failures", str(HERE / "expected_2026_07_28.yml")]
    summary = judged(tmp_path, conformance("server", "--url", f"{ward.base}/mcp", *words, upcoming=True))
    assert "✓ http-header-validation" in summary
    assert "✓ caching" in summary
