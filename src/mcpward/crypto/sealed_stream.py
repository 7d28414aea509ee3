"""A stream sealed in frames, for files larger than memory: each frame is an envelope bound to its stream and its place.

Form: a random id of 16 bytes, then frames of a length (4 bytes, big endian) and an envelope. The associated data of a
frame hold the id, its number and whether it is the last one. So no frame can be changed, moved, taken away, or come
from another stream. A truncated stream is noticed (as in STREAM, Hoang et al., CRYPTO 2015).
"""

import io
import os
from typing import BinaryIO, Final

from mcpward.crypto.aead import SealRefused
from mcpward.crypto.envelope import Envelope
from mcpward.crypto.keyring import KeyRing

_FRAME: Final = 256 * 1024
_OVERHEAD: Final = 64
_ID: Final = 16
_LENGTH: Final = 4


class SealedWriter(io.RawIOBase):
    """Seals what is written with the newest key of the ring. ``close`` writes the last frame, not the file's end."""

    def __init__(self, file: BinaryIO, ring: KeyRing, purpose: str) -> None:
        super().__init__()
        self._file = file
        self._envelope = Envelope(ring, "stream/" + purpose)
        self._id = os.urandom(_ID)
        self._number = 0
        self._pending = bytearray()
        file.write(self._id)

    def writable(self) -> bool:
        """Return True: it can be written."""
        return True

    def write(self, data: object) -> int:
        """Take bytes, and seal those that fill a frame."""
        taken = bytes(memoryview(data))  # type: ignore[arg-type]  # whatever the protocol of buffers calls bytes
        self._pending += taken
        while len(self._pending) > _FRAME:  # one byte more at least: the last frame is written at the end
            self._put(bytes(self._pending[:_FRAME]), is_last=False)
            del self._pending[:_FRAME]
        return len(taken)

    def close(self) -> None:
        """Seal what is left as the last frame; a stream without one was cut off."""
        if not self.closed:
            self._put(bytes(self._pending), is_last=True)
            self._pending.clear()
        super().close()

    def _put(self, plain: bytes, *, is_last: bool) -> None:
        blob = self._envelope.seal(plain, _place(self._id, self._number, is_last=is_last))
        self._file.write(len(blob).to_bytes(_LENGTH) + blob)
        self._number += 1


class SealedReader(io.RawIOBase):
    """Opens a stream with any key of the ring.

    Raises :class:`SealRefused` while it is read, if it is not one that a holder of the ring sealed, whole.
    """

    def __init__(self, file: BinaryIO, ring: KeyRing, purpose: str) -> None:
        super().__init__()
        self._file = file
        self._envelope = Envelope(ring, "stream/" + purpose)
        self._id = file.read(_ID)
        self._number = 0
        self._plain = b""
        self._is_over = False

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer as far as the present frame goes; 0 at the end of the stream."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # as above
        while not self._plain and not self._is_over:
            self._plain = self._next()
        taken = min(len(view), len(self._plain))
        view[:taken] = self._plain[:taken]
        self._plain = self._plain[taken:]
        return taken

    def _next(self) -> bytes:
        size = int.from_bytes(self._file.read(_LENGTH))
        if not 0 < size <= _FRAME + _OVERHEAD:
            raise SealRefused
        blob = self._file.read(size)
        try:
            plain = self._envelope.open(blob, _place(self._id, self._number, is_last=False))
        except SealRefused:
            plain = self._envelope.open(blob, _place(self._id, self._number, is_last=True))
            self._is_over = True
            if self._file.read(1):  # nothing may follow: it would belong to no frame
                raise
        self._number += 1
        return plain


def _place(stream: bytes, number: int, *, is_last: bool) -> bytes:
    return b"stream/v1/" + stream + number.to_bytes(8) + (b"\x01" if is_last else b"\x00")
