"""Display data beside a name: nothing that a client should not load, nothing reserved, nothing that changes later."""

import pytest

from mcpward import Icon
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.labels import read_annotations, read_meta


def test_an_icon_has_the_specifications_shape():
    icon = Icon("https://x.example/i.svg", mime_type="image/svg+xml", sizes=["any"], theme="dark")
    assert icon.block() == {
        "src": "https://x.example/i.svg", "mimeType": "image/svg+xml", "sizes": ["any"], "theme": "dark",
    }  # fmt: skip
    assert Icon("data:image/png;base64,aGFsbG8=").block() == {"src": "data:image/png;base64,aGFsbG8="}


@pytest.mark.parametrize(
    "options",
    [
        {"src": "javascript:alert(1)"},
        {"src": "http://x.example/i.png"},
        {"src": "file:///etc/passwd"},
        {"src": "data:text/html;base64,aGFsbG8="},
        {"src": "data:image/svg+xml,<svg/>"},
        {"src": "https://x.example/\n"},
        {"src": "data:image/png;base64," + "A" * 65_536},
        {"src": ""},
        {"src": "https://x/i", "mime_type": "text/html"},
        {"src": "https://x/i", "sizes": "48x48"},
        {"src": "https://x/i", "sizes": ["large"]},
        {"src": "https://x/i", "theme": "blue"},
    ],
)
def test_an_icon_that_a_client_should_not_load_is_refused(options):
    with pytest.raises(AuthoringError):
        Icon(**options)


@pytest.mark.parametrize(
    "key", ["io.modelcontextprotocol/x", "dev.mcp/x", "com.mcp.tools/x", "", "a b", "com.example/", "/x", "x" * 200]
)
def test_a_meta_key_that_is_reserved_or_none_is_refused(key):
    with pytest.raises(AuthoringError, match="reserved or not a key"):
        read_meta({key: 1}, "tool 'a'")


@pytest.mark.parametrize("key", ["ui", "com.example/x", "com.example.mcp/x", "a.b"])
def test_an_authors_own_meta_is_kept(key):
    assert read_meta({key: {"a": [1, None]}}, "tool 'a'") == {key: {"a": [1, None]}}


@pytest.mark.parametrize("meta", [{"a": object()}, {"a": "x" * 20_000}, [1], "text"])
def test_meta_is_a_small_mapping_of_json(meta):
    with pytest.raises(AuthoringError):
        read_meta(meta, "tool 'a'")


def test_what_was_checked_is_what_is_shown():
    given = {"ui": {"a": 1}}
    shown = read_meta(given, "tool 'a'")
    given["ui"]["a"] = 2
    assert shown == {"ui": {"a": 1}}


def test_annotations_are_the_three_of_the_specification():
    good = {"audience": ["user", "assistant"], "priority": 0.5, "lastModified": "2026-01-12T15:00:58Z"}
    assert read_annotations(good, "resource 'a'") == good


@pytest.mark.parametrize(
    "annotations",
    [
        {"audience": ["everybody"]},
        {"audience": "user"},
        {"priority": 1.5},
        {"priority": True},
        {"priority": "high"},
        {"lastModified": "yesterday"},
        {"last_modified": "2026-01-12"},
    ],
)
def test_an_annotation_that_no_client_knows_is_refused(annotations):
    with pytest.raises(AuthoringError, match="annotation"):
        read_annotations(annotations, "resource 'a'")
