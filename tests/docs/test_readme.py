"""The README and the tour do what they say: their marked blocks run in order against what `make serve` starts."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ports import free_port
from support.sources import ROOT

TEXT = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("docs/tour.md", "README.md"))
BLOCK = re.compile(r'<!-- run: shows "([^"]+)" -->\n```bash\n(.*?)```', re.DOTALL)
VERB = re.compile(r"\bmake ([a-z]+)\b")
SEPARATOR = "=== next block ==="
PARTS = ["Makefile", ".ci", "requirements", "pyproject.toml", "examples"]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what `make serve` needs, with the environment of this one, so that no data of a person is touched."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns(".mcpward", "__pycache__", "*.db*"))
        else:
            shutil.copy(source, folder / part)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a terminal, with a free port in place of 8000."""
    # No word of the make that may have started the tests either: an inner make would say where it is, on stdout.
    alien = ("MCPWARD_", "PYTEST_", "MAKE", "MFLAGS")
    own = {name: value for name, value in os.environ.items() if not name.startswith(alien)}
    return own | {
        "MCPWARD_SITE__LISTEN": f"127.0.0.1:{free_port()}",
        "MCPWARD_SITE__METRICS_LISTEN": "",
        "MCPWARD_SITE__SHUTDOWN_DELAY_S": "0",
        "NO_COLOR": "1",
    }


@pytest.fixture
def key(clone: Path, environment: dict[str, str]) -> Iterator[str]:
    """The key that `make serve` makes; it serves until the test ends."""
    with (clone / "serve.log").open("w") as log:
        process = subprocess.Popen(
            ["make", "serve"],
            cwd=clone,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        path = process.stdout.readline().strip()  # no terminal is here: the key is in a file
        assert path.endswith("first-key-orders"), (clone / "serve.log").read_text()
        printed = (clone / "examples" / "orders" / path).read_text().strip()
        assert printed.startswith("sk-mcpward-")
        yield printed
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=40)


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_the_readme_and_the_tour_show_what_they_say(clone: Path, environment: dict[str, str], key: str):
    blocks = BLOCK.findall(TEXT)
    assert len(blocks) >= 11
    address = environment["MCPWARD_SITE__LISTEN"]
    here = f"cd {clone / 'examples' / 'orders'}"
    script = "\n".join(
        f"{here}\n{code.replace('127.0.0.1:8000', address)}\necho; echo '{SEPARATOR}'" for _, code in blocks
    )
    run = subprocess.run(
        ["bash", "-uo", "pipefail", "-c", f"source ../../.venv/bin/activate\nexec 2>&1\n{script}"],
        cwd=clone / "examples" / "orders",
        env=environment | {"MCPWARD_KEY": key},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    printed = run.stdout.split(SEPARATOR)
    assert run.returncode == 0, run.stdout
    for (expected, code), output in zip(blocks, printed, strict=False):
        assert expected in output, f"{code}\n{output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_verb_that_a_page_names_is_in_the_makefile(page: Path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    # A verb stands in code: in a block or between backticks.
    code = re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    verbs = {verb for part in code for verb in VERB.findall(part)}
    assert not {verb for verb in verbs if not re.search(rf"^{verb}:", makefile, re.MULTILINE)}
