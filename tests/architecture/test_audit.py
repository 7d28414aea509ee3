"""`make audit` fails closed. The auditors and their databases are other people's, so programs that answer as they do
stand in for them here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

AUDITOR = """#!{python}
import json, sys
from pathlib import Path

listed = Path(sys.argv[sys.argv.index("-r") + 1])
report = Path(sys.argv[sys.argv.index("--output") + 1])
names = [line.split("==")[0] for line in listed.read_text().splitlines() if "==" in line]
answers = {answers!r}
answer = answers.get(listed.name, "nothing")
if answer == "away":
    sys.exit("ConnectionError: no route to host")
told = [{{"name": name, "version": "1", "vulns": []}} for name in names]
if answer == "vulnerable":
    told[0]["vulns"] = [{{"id": "CVE-2099-1"}}]
if answer == "unknown":
    told[0] = {{"name": names[0], "skip_reason": "not found"}}
report.write_text(json.dumps({{"dependencies": told}}))
sys.exit(answer == "vulnerable")
"""
NPM = "#!/bin/sh\ncat <<'END'\n{answer}\nEND\n"
NOTHING = '{"auditReportVersion": 2, "vulnerabilities": {}}'
VULNERABLE = '{"auditReportVersion": 2, "vulnerabilities": {"left-pad": {"severity": "high", "range": "<2"}}}'
AWAY = '{"message": "405 Method Not Allowed", "statusCode": 405}'
KNOWN = {"known.txt": "vulnerable"}


def audit(root: Path, folder: Path, answers: dict[str, str], npm: str = NOTHING) -> "subprocess.CompletedProcess[str]":
    for name, text in {
        "pip-audit": AUDITOR.format(python=sys.executable, answers=answers),
        "npm": NPM.format(answer=npm),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o700)
    env = {**os.environ, "PIP_AUDIT": f"{folder / 'pip-audit'}", "NPM": f"{folder / 'npm'}"}
    return subprocess.run([root / ".ci" / "audit"], env=env, capture_output=True, text=True, check=False, timeout=50)


def test_where_nothing_is_known_every_list_is_named_and_the_audit_passes(root: Path, tmp_path: Path):
    done = audit(root, tmp_path, KNOWN)
    assert done.returncode == 0, done.stderr
    lists = [f"{path.relative_to(root)}" for path in (root / "requirements").glob("*.txt")]
    for listed in [*lists, "tests/interop/package-lock.json", "bench/node/package-lock.json"]:
        assert f"{listed}: nothing known" in done.stdout


@pytest.mark.parametrize(
    "answers,npm,said",
    [
        (KNOWN | {"runtime.txt": "vulnerable"}, NOTHING, "requirements/runtime.txt: ahocorasick-rs 1: CVE-2099-1"),
        (KNOWN, VULNERABLE, "bench/node/package-lock.json: left-pad: high, <2"),
    ],
)
def test_a_known_vulnerability_fails_the_audit_and_is_named(
    root: Path, tmp_path: Path, answers: dict[str, str], npm: str, said: str
):
    done = audit(root, tmp_path, answers, npm)
    assert done.returncode == 1
    assert said in done.stdout


@pytest.mark.parametrize(
    "answers,npm,said",
    [
        (KNOWN | {"runtime.txt": "away"}, NOTHING, "requirements/runtime.txt: NOT JUDGED"),
        (KNOWN | {"runtime.txt": "unknown"}, NOTHING, "requirements/runtime.txt: NOT JUDGED"),
        (KNOWN, AWAY, "bench/node/package-lock.json: NOT JUDGED"),
        (KNOWN, "", "bench/node/package-lock.json: NOT JUDGED"),
        (KNOWN | {"runtime.txt": "away"}, VULNERABLE, "requirements/runtime.txt: NOT JUDGED"),
    ],
)
def test_what_cannot_be_judged_fails_the_audit(
    root: Path, tmp_path: Path, answers: dict[str, str], npm: str, said: str
):
    done = audit(root, tmp_path, answers, npm)
    assert done.returncode == 2
    assert said in done.stdout
    assert "not every locked dependency could be judged" in done.stderr


@pytest.mark.parametrize("answer", ["nothing", "away", "unknown"])
def test_a_database_that_does_not_know_what_is_known_is_believed_nothing(root: Path, tmp_path: Path, answer: str):
    done = audit(root, tmp_path, {"known.txt": answer})
    assert done.returncode == 2
    assert "the database does not answer as it must" in done.stderr
