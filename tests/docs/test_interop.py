from support.interop import ROOT, page

PAGE = ROOT / "docs" / "interop.md"


def test_the_page_of_clients_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/support/interop.py > docs/interop.md"
