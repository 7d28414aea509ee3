"""The validator of schemas that were written by hand, held against the official tests of JSON Schema 2020-12."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcpward.sdk.schema.schema_validator import schema_validator


def wrong(corpora: Path, *, checks_formats: bool) -> list[tuple[str, str]]:
    """Return file and group of each test that is answered otherwise than its authors say, of all that there are."""
    files: dict[str, Any] = json.loads((corpora / "schema_tests.json").read_bytes())
    documents = json.loads((corpora / "schema_remotes.json").read_bytes())
    found, count = [], 0
    for name, groups in files.items():
        for group in groups:
            validator = schema_validator(group["schema"], documents=documents, checks_formats=checks_formats)
            for test in group["tests"]:
                count += 1
                if validator.is_valid(test["data"]) is not test["valid"]:
                    found.append((name, group["description"]))
    assert count == 1_299
    return found


def test_every_required_test_of_the_specification_is_answered_rightly(corpora: Path):
    assert wrong(corpora, checks_formats=False) == []


def test_formats_that_are_checked_change_the_tests_of_formats_and_no_others(corpora: Path):
    """For each format one test says that a wrong value is only annotated."""
    found = wrong(corpora, checks_formats=True)
    assert {name for name, _ in found} == {"format.json"}
    assert len(found) == 19


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/x.json", "file:///etc/passwd", "http://localhost:1234/no"])
def test_a_document_that_was_not_handed_in_is_an_error_and_is_not_fetched(corpora: Path, reference: str):
    documents = json.loads((corpora / "schema_remotes.json").read_bytes())
    with pytest.raises(ValueError, match=r"offline|unretrievable|not"):
        schema_validator({"$ref": reference}, documents=documents).is_valid(1)
