"""No property fails because the machine is slow."""

import re

from hypothesis import settings

from support.sources import tracked_texts

PLACE = "tests/conftest.py"


def test_no_property_has_a_deadline_and_one_place_says_so():
    assert settings.default is not None
    assert settings.default.deadline is None
    named = {
        name: re.findall(r"\bdeadline\s*=\s*\S+", text)
        for name, text in tracked_texts().items()
        if name.startswith("tests/") and "hypothesis" in text and name != "tests/architecture/test_speed.py"
    }
    assert [found for found in named[PLACE] if found != "deadline=None)"] == []
    settled = {name: [one for one in found if "None" in one or "timedelta" in one] for name, found in named.items()}
    assert {name for name, found in settled.items() if found} == {PLACE}
