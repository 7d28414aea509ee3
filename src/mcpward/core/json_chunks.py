"""A large JSON text, read chunk by chunk as strictly as ``core.jsonio`` reads a small one.

msgspec decodes a text in one call into C, which holds the interpreter's lock. 4 MiB of a stranger's choice would stop
the event loop for 20 ms to 8 s, on any thread (attack 119). Here each step decodes some 8 KiB, and the caller does
other work between the steps. A text is cut behind commas that stand outside of strings. A chunk gets the brackets that
were open before it and those that close it, and is judged like a text of its own. Then it is merged into the earlier
ones. A string that is longer than a chunk is decoded piece by piece.
"""

import re
import secrets
from collections.abc import Iterator
from time import perf_counter
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from mcpward.core.json_cost import Cost
from mcpward.core.jsonio import Bounds, JsonRefused, read

CHUNK: Final = 8 * 1024
"""Bytes that one step decodes. A text up to this size is as well read at once."""

#: A long string, the cheapest of texts, is decoded by so many chunks in a step.
_PIECE: Final = 4
#: The comma may stand behind a chunk. So many chunks without one are blank space, or one number.
_GAP: Final = 8
#: Strings and what is between them, for each level that a text without a comma may have.
_MOST_PIECES: Final = 8
_BLANKS: Final = b" \t\r\n"
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_OPENED: Final = {ord("]"): ord("["), ord("}"): ord("{")}
_OBJECT: Final = ord("{")
_CLOSING: Final = {ord("["): b"]", _OBJECT: b"}"}
#: Stands for a missing part of a chunk. It cannot be known from outside, so no text has it.
_TOKEN: Final = secrets.token_hex(12)
_HOLDER: Final = b'"%b"' % _TOKEN.encode()
_OUTER: Final = b'{"params":{"arguments":'
_ESCAPE_BYTES: Final = 6
_is_first_half: Final = re.compile(rb"\\u[dD][89abAB]").match
_NOT_JSON: Final = "not valid JSON"


class _Envelope(Struct, gc=False):
    params: Raw | UnsetType = UNSET


class _Params(Struct, gc=False):
    arguments: Raw | UnsetType = UNSET


_envelope = msgspec.json.Decoder(_Envelope).decode
_params = msgspec.json.Decoder(_Params).decode
_string = msgspec.json.Decoder(str).decode


class ChunkReader:
    """Reads one text. ``value`` and ``arguments`` are complete when :meth:`steps` has come to its end.

    ``arguments`` is the part of the text that is ``params.arguments``, byte for byte; None if there is none.
    """

    def __init__(self, text: bytes, bounds: Bounds, chunk: int = CHUNK) -> None:
        self.value: Any = None
        self.arguments: bytes | None = None
        self._text = text.strip(_BLANKS)  # some clients pad; within a text a run of blanks is bounded
        self._at = 0
        self._bounds = bounds
        self._chunk_size, self._gap, self._piece_size = chunk, _GAP * chunk, _PIECE * chunk
        self._cost = Cost(bounds)
        self._kinds = bytearray()  # the brackets that are open at ``_at``
        self._open: list[Any] = []  # and the arrays and objects that they are of, the outermost first
        self._is_first = True
        self._is_behind_string = False
        self._steps = self.steps()
        self._begun: int | None = None  # where the arguments begin, when they go on beyond a chunk

    def steps(self) -> Iterator[None]:
        """Read on, by one step for each item.

        Raises:
            JsonRefused: as ``core.jsonio.decode`` does, and for a text that costs more than its bounds allow.
        """
        while self._at < len(self._text):
            begins = self._begins()
            if begins:
                yield from self._chunk()
            yield
        if self._is_first or self._kinds:
            raise JsonRefused(_NOT_JSON)

    def read_for(self, seconds: float) -> bool:
        """Read on for so long, or for one step. Return whether the end is reached. Raises as :meth:`steps` does."""
        ends_at = perf_counter() + seconds
        return all(perf_counter() < ends_at for _ in self._steps)

    def _begins(self) -> bool:
        """Go to what comes next and look whether it may stand there. False if nothing does."""
        if self._is_first:
            return True
        byte = self._next_byte()
        if self._is_behind_string:
            if byte is None:
                return False
            if byte not in b",]}" or not self._kinds:
                raise JsonRefused(_NOT_JSON)
            self._is_behind_string = False
            if byte != ord(","):
                return True
            self._cost.add_value()
            self._at += 1
            byte = self._next_byte()
        # A value stands behind a comma. Between brackets that are not the text's own, the decoder would not miss it.
        if byte is None or byte in b",]}":
            raise JsonRefused(_NOT_JSON)
        return True

    def _next_byte(self) -> int | None:
        """Skip blanks, a bounded run of them; return the byte that follows, None at the end of the text."""
        window = self._text[self._at : self._at + self._gap]
        skipped = len(window) - len(window.lstrip(_BLANKS))
        self._at += skipped
        if skipped < len(window):
            return window[skipped]
        if self._at < len(self._text):
            raise JsonRefused("blank space without end")
        return None

    def _chunk(self) -> Iterator[None]:
        text, at = self._text, self._at
        for size in (self._chunk_size, self._gap):
            window = text[at : at + size]
            is_last = at + len(window) == len(text)
            masked = _masked(window)
            if masked.endswith(b"\\") and not is_last:  # half of an escape
                window, masked = window[:-1], masked[:-1]
            pieces = masked.split(b'"')
            # Behind a gap anything may follow, so it ends at the first comma.
            is_gap = size > self._chunk_size
            cut = _first_cut(pieces) if is_gap else None if is_last else _last_cut(masked, pieces)
            if cut is not None:
                end, outside = cut
                self._take(window[:end], outside)
                self._at = at + end + 1
                return
            outside = b"".join(pieces[::2])
            if is_last:
                self._take(window, outside, is_last=True)
                self._at = len(text)
                return
            if len(pieces) % 2 == 0:  # the window ends within a string
                yield from self._behind(window[: len(masked) - len(pieces[-1]) - 1], outside)
                return
            if len(pieces) > _MOST_PIECES * self._bounds.depth:  # without a comma each name is one level deeper
                raise JsonRefused("nested too deep")
        raise JsonRefused("blank space, or a number, without end")

    # ---- a chunk ----------------------------------------------------------------------------------------------------

    def _take(self, content: bytes, outside: bytes, *, is_last: bool = False, is_held: bool = False) -> None:
        """Decode a chunk and merge it. ``outside`` is what of it stands outside of strings; ``is_held``: it ends with
        a long string, for which a token stands.
        """
        brackets = outside.translate(None, _NOT_BRACKETS)
        self._cost.add_chunk(content, outside, len(brackets), is_cut=not is_last and not is_held)
        if not (is_last or is_held) and content.rstrip(_BLANKS).endswith((b"[", b"{")):
            raise JsonRefused(_NOT_JSON)  # a comma with nothing before it
        before = bytes(self._kinds)
        self._follow(brackets)
        if not (self._kinds or is_last or is_held):
            raise JsonRefused(_NOT_JSON)  # a comma behind the value
        named = self._names()
        prefix = _prefix(before, named)
        text = prefix + content + b"".join([_CLOSING[kind] for kind in reversed(self._kinds)])
        fragment, _ = read(text, self._bounds)
        if self._is_first:
            self.value = fragment
            self._is_first = False
        else:
            self._merge(fragment, before, named)
        self._descend()
        self._note_arguments(text, len(prefix), before, named)

    def _follow(self, brackets: bytes) -> None:
        """Follow the brackets of a chunk."""
        kinds, deepest = self._kinds, self._bounds.depth
        for bracket in brackets:
            opened = _OPENED.get(bracket)
            if opened is None:
                kinds.append(bracket)
                if len(kinds) > deepest:
                    raise JsonRefused("nested too deep")
            elif not kinds or kinds.pop() != opened:
                raise JsonRefused(_NOT_JSON)

    def _names(self) -> int:
        """Return how many of the two outermost open objects are open at ``params`` and at its ``arguments``."""
        stack = self._open
        if len(stack) < 2 or type(stack[0]) is not dict or next(reversed(stack[0]), None) != "params":
            return 0
        if len(stack) < 3 or type(stack[1]) is not dict or next(reversed(stack[1]), None) != "arguments":
            return 1
        return 2

    def _merge(self, fragment: Any, before: bytes, named: int) -> None:
        """Add the parts of a fragment to what was open before it."""
        innermost = len(before) - 1
        for level, known in enumerate(self._open):
            part = fragment
            if type(known) is list:
                if level < innermost:
                    fragment = part.pop(0)
                known.extend(part)
                continue
            if level < innermost:
                fragment = part.pop(_name(level, named))
            most = len(known) + len(part)
            known.update(part)
            if len(known) != most:
                raise JsonRefused("a name is repeated in an object")

    def _descend(self) -> None:
        """Find the arrays and objects that are open now: each is the last member of the one around it."""
        found: list[Any] = []
        part = self.value
        for level in range(len(self._kinds)):
            if level:
                part = part[-1] if type(part) is list else part[next(reversed(part))]
            found.append(part)
        self._open = found

    def _note_arguments(self, text: bytes, prefixed: int, before: bytes, named: int) -> None:
        """Note where ``params.arguments`` begin and end, or their value if all of it is in this chunk."""
        was_open, is_open = named == 2, self._names() == 2  # both names
        if (was_open and is_open) or (before and self.arguments is not None):
            return
        raw = _raw_arguments(text)
        if raw is None:
            return
        if was_open:
            if self._begun is not None:
                self.arguments = self._text[self._begun : self._at + len(_OUTER) + len(raw) - prefixed]
        elif is_open:
            self._begun = self._at + len(text) - len(b"}}") - len(raw) - prefixed
        else:
            self.arguments = bytes(raw)

    # ---- a long string ----------------------------------------------------------------------------------------------

    def _behind(self, head: bytes, outside: bytes) -> Iterator[None]:
        """Take what stands before a long string, and then the string."""
        if self._kinds_after(outside).endswith(b"{") and not head.rstrip(_BLANKS).endswith(b":"):
            raise JsonRefused("a name is too long")
        self._take(head + _HOLDER, outside, is_held=True)
        self._at += len(head) + 1
        parts: list[str] = []
        while not self._piece(parts):
            yield
        string = "".join(parts)
        if not self._open:
            self.value = string
        elif type(self._open[-1]) is list:
            self._open[-1][-1] = string
        else:
            last = self._open[-1]
            last[next(reversed(last))] = string
        self._is_behind_string = True

    def _kinds_after(self, outside: bytes) -> bytes:
        kinds = self._kinds[:]
        for bracket in outside.translate(None, _NOT_BRACKETS):
            if bracket in _OPENED:
                del kinds[-1:]
            else:
                kinds.append(bracket)
        return bytes(kinds)

    def _piece(self, parts: list[str]) -> bool:
        """Decode one piece of a long string. Return whether it was the last."""
        text, at = self._text, self._at
        piece = text[at : at + self._piece_size]
        masked = _masked(piece)
        end = masked.find(b'"')
        is_last = end >= 0
        if not is_last:
            if at + len(piece) == len(text):
                raise JsonRefused(_NOT_JSON)  # it never ends
            end = _whole(piece, masked)
        piece = piece[:end]
        self._cost.add_text(piece)
        try:
            parts.append(_string(b'"%b"' % piece))
        except (ValueError, msgspec.MsgspecError):
            raise JsonRefused(_NOT_JSON) from None
        self._at = at + end + is_last
        return is_last


def _masked(text: bytes) -> bytes:
    """Write over escaped backslashes and quotes. Every backslash that remains begins an escape."""
    return text.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in text else text


def _last_cut(masked: bytes, pieces: list[bytes]) -> tuple[int, bytes] | None:
    """Return the position of the last comma outside of strings, and the text outside of strings before it."""
    end = len(masked)
    for at in range(len(pieces) - 1, -1, -1):
        begins = end - len(pieces[at])
        if at % 2 == 0 and (comma := pieces[at].rfind(b",")) >= 0:
            return begins + comma, b"".join(pieces[:at:2]) + pieces[at][:comma]
        end = begins - 1
    return None


def _first_cut(pieces: list[bytes]) -> tuple[int, bytes] | None:
    """Return the position of the first comma outside of strings, as :func:`_last_cut` does."""
    begins = 0
    for at, piece in enumerate(pieces):
        if at % 2 == 0 and (comma := piece.find(b",")) >= 0:
            return begins + comma, b"".join(pieces[:at:2]) + piece[:comma]
        begins += len(piece) + 1
    return None


def _whole(piece: bytes, masked: bytes) -> int:
    """Return how much of a string's piece ends neither within a character nor within an escape or a pair of them."""
    end = len(piece)
    while end > len(piece) - 4 and end and piece[end - 1] & 0xC0 == 0x80:  # RFC 3629: four bytes
        end -= 1
    if end and piece[end - 1] >= 0xC0:  # the first byte of a character
        end -= 1
    else:
        end = len(piece)
    # An escape that begins near the end goes with the rest of the string; so does the first half of a pair.
    escape = masked.rfind(b"\\", end - _ESCAPE_BYTES, end)
    if escape >= 0:
        end = escape
    if end >= _ESCAPE_BYTES and _is_first_half(masked, end - _ESCAPE_BYTES):
        end -= _ESCAPE_BYTES
    return end


def _name(level: int, named: int) -> str:
    return ("params", "arguments")[level] if level < named else _TOKEN


def _prefix(kinds: bytes, named: int) -> bytes:
    """Return the brackets that a chunk stands in, with the names of the objects around it."""
    inner = len(kinds) - 1
    opening = []
    for level, kind in enumerate(kinds):
        if kind != _OBJECT:
            opening.append(b"[")
        else:
            opening.append(b'{"%b":' % _name(level, named).encode() if level < inner else b"{")
    return b"".join(opening)


def _raw_arguments(text: bytes) -> Raw | None:
    """Return ``params.arguments`` of a text that is known to be an object; None if there are none."""
    try:
        params = _envelope(text).params
        raw = UNSET if params is UNSET else _params(params).arguments
    except (ValueError, msgspec.MsgspecError):
        return None  # params are no object
    return None if raw is UNSET else raw
