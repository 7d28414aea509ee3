"""The README's pictures show what mcpward prints now: ``make pictures`` makes them anew."""

import pytest

from support.pictures import pictures
from support.sources import ROOT

FOLDER = ROOT / "docs/images"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_pictures_are_those_of_what_is_printed_now():
    made = pictures()
    kept = {file.name: file.read_text() for file in FOLDER.glob("*.svg")}
    assert {name for name, svg in made.items() if kept.get(name) != svg} == set(), "make pictures"
    assert kept.keys() == made.keys()


def test_no_picture_fetches_anything_and_every_one_is_shown():
    pages = "".join(page.read_text() for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")))
    for file in FOLDER.glob("*.svg"):
        assert "url(" not in file.read_text().replace("url(#", "")
        assert file.name in pages
