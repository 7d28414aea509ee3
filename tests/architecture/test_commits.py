"""Subjects of commits are checked where commits are made: by the hook that ``make hooks`` sets up."""

import subprocess

import pytest


@pytest.fixture
def checked(root, tmp_path):
    def checked(message: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "message").write_text(message, encoding="utf-8")
        command = [root / ".ci/hooks/commit-msg", tmp_path / "message"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)

    return checked


@pytest.mark.parametrize(
    "subject",
    [
        "limits: a burst is counted once",
        "docs, tests: what is true",
        "Merge branch 'x'",
        'Revert "limits: a"',
        "a: " + "é" * 69,
    ],
)
def test_a_subject_that_says_what_is_now_true_is_taken(checked, subject):
    assert checked(f"{subject}\n\nWhy.\n").returncode == 0


@pytest.mark.parametrize(
    "subject, said",
    [
        ("limits: " + "x" * 65, "has 73 characters, 72 is the most"),
        ("fixed it", "names no part of the project"),
        ("Limits: a burst", "names no part of the project"),
        ("limits: a burst.", "ends in a full stop"),
        ("", "names no part of the project"),
    ],
)
def test_any_other_is_refused_with_the_reason(checked, subject, said):
    done = checked(f"{subject}\n")
    assert done.returncode == 1
    assert f"error: the subject {said}" in done.stderr
