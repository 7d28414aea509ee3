import io

import pytest

from mcpward.crypto.aead import SealRefused
from mcpward.crypto.keyring import KeyRing
from mcpward.crypto.sealed_stream import SealedReader, SealedWriter

OLD, NEW = b"o" * 32, b"n" * 32
RING = KeyRing([NEW, OLD])
FRAME = 256 * 1024
SIZES = [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 7]


def sealed(plain: bytes, ring: KeyRing = RING, purpose: str = "test") -> bytes:
    file = io.BytesIO()
    with SealedWriter(file, ring, purpose) as writer:
        for at in range(0, len(plain), 100_000):
            writer.write(plain[at : at + 100_000])
    return file.getvalue()


def opened(stream: bytes, ring: KeyRing = RING, purpose: str = "test") -> bytes:
    return SealedReader(io.BytesIO(stream), ring, purpose).readall() or b""


def frames(stream: bytes) -> list[bytes]:
    """The id of the stream, then each frame with its length."""
    found, at = [stream[:16]], 16
    while at < len(stream):
        size = 4 + int.from_bytes(stream[at : at + 4])
        found.append(stream[at : at + size])
        at += size
    return found


ROUND = bytes(n * 31 % 251 for n in range(251))


def plain(size: int) -> bytes:
    return (ROUND * (size // len(ROUND) + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_comes_back_and_is_nowhere_to_be_read(size: int) -> None:
    text = plain(size)
    stream = sealed(text)
    assert opened(stream) == text
    assert size < 16 or text[:16] not in stream
    assert sealed(text) != stream


def test_a_key_behind_the_newest_opens_and_a_stranger_s_does_not() -> None:
    stream = sealed(b"text", KeyRing([OLD]))
    assert opened(stream) == b"text"
    for ring, purpose in ((KeyRing([NEW]), "test"), (RING, "other")):
        with pytest.raises(SealRefused):
            opened(stream, ring, purpose)


HEAD, FIRST, SECOND, THIRD, LAST = range(5)
WRONG = {
    "cut off behind a frame": (HEAD, FIRST, SECOND, THIRD),
    "a frame left out": (HEAD, FIRST, THIRD, LAST),
    "frames in another order": (HEAD, SECOND, FIRST, THIRD, LAST),
    "a frame twice": (HEAD, FIRST, FIRST, SECOND, THIRD, LAST),
    "the last frame in front": (HEAD, LAST),
    "more behind the last frame": (HEAD, FIRST, SECOND, THIRD, LAST, LAST),
    "nothing but the id": (HEAD,),
}


@pytest.mark.parametrize("order", WRONG.values(), ids=WRONG)
def test_no_frame_can_be_taken_away_added_or_moved(order: tuple[int, ...]) -> None:
    parts = frames(sealed(plain(3 * FRAME + 7)))
    assert len(parts) == 5
    with pytest.raises(SealRefused):
        opened(b"".join(parts[number] for number in order))


def test_no_frame_opens_in_another_stream() -> None:
    one, two = frames(sealed(plain(FRAME + 7))), frames(sealed(plain(FRAME + 7)))
    with pytest.raises(SealRefused):
        opened(one[0] + one[1] + two[2])


@pytest.mark.parametrize("at", [0, 15, 16, 20, 30, -1])
def test_no_byte_can_be_changed(at: int) -> None:
    stream = bytearray(sealed(plain(100)))
    stream[at] ^= 1
    with pytest.raises(SealRefused):
        opened(bytes(stream))


def test_a_length_that_no_frame_has_is_not_read_into_memory() -> None:
    with pytest.raises(SealRefused):
        opened(bytes(16) + b"\xff\xff\xff\xff")
