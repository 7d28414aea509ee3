import pytest

from mcpward import Audio, EmbeddedResource, Image, Text


def test_blocks_have_the_shape_of_the_specification():
    assert Text("a").block() == {"type": "text", "text": "a"}
    assert Image(b"\x00\xff").block() == {"type": "image", "data": "AP8=", "mimeType": "image/png"}
    assert Image(b"", "jpg").block()["mimeType"] == "image/jpeg"
    assert Image(b"", "image/webp").block()["mimeType"] == "image/webp"
    assert Audio(b"a", "mp3").block() == {"type": "audio", "data": "YQ==", "mimeType": "audio/mpeg"}
    assert EmbeddedResource("test://a", text="x").block() == {
        "type": "resource",
        "resource": {"uri": "test://a", "mimeType": "text/plain", "text": "x"},
    }
    assert EmbeddedResource("test://a", blob=b"x", mime_type="image/png").block() == {
        "type": "resource",
        "resource": {"uri": "test://a", "mimeType": "image/png", "blob": "eA=="},
    }


def test_an_embedded_resource_is_text_or_blob():
    with pytest.raises(ValueError, match="either"):
        EmbeddedResource("test://a")
    with pytest.raises(ValueError, match="either"):
        EmbeddedResource("test://a", text="x", blob=b"x")
