r"""Code points that are not seen, by property in the Unicode Character Database; each set is the inside of a ``[…]``.

Does not decide what becomes of them. ``unicodedata`` has none of these properties but the general category, and each
Python has another edition; the properties are stable, and what they hold in reserve is listed, so that a code point
that is assigned later is in here already. Edition 17.0, UAX #44.
"""

import re
from collections.abc import Iterator
from typing import Final

_RANGE: Final = re.compile(r"\\[xuU]([0-9a-f]+)(?:-\\[xuU]([0-9a-f]+))?")

IGNORED: Final = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    r"\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
"""``Default_Ignorable_Code_Point`` and ``Cf``, but for :data:`PLACED`.

Nor ``Prepended_Concatenation_Mark`` (U+0600-0605, U+06DD, U+070F, U+0890, U+0891, U+08E2, U+110BD, U+110CD): Cf by
category, and each is a sign that is printed, such as the Arabic end of a verse.
"""

PLACED: Final = r"\u180b-\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Those that change what is seen of a neighbour, and nothing anywhere else: joiners and ``Variation_Selector``."""

PICTOGRAPHS: Final = (
    r"\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa"
    r"\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2604\u260e\u2611\u2614\u2615\u2618\u261d\u2620\u2622\u2623"
    r"\u2626\u262a\u262e\u262f\u2638-\u263a\u2640\u2642\u2648-\u2653\u265f\u2660\u2663\u2665\u2666\u2668\u267b\u267e"
    r"\u267f\u2692-\u2697\u2699\u269b\u269c\u26a0\u26a1\u26a7\u26aa\u26ab\u26b0\u26b1\u26bd\u26be\u26c4\u26c5\u26c8"
    r"\u26ce\u26cf\u26d1\u26d3\u26d4\u26e9\u26ea\u26f0-\u26f5\u26f7-\u26fa\u26fd\u2702\u2705\u2708-\u270d\u270f\u2712"
    r"\u2714\u2716\u271d\u2721\u2728\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763\u2764\u2795-\u2797"
    r"\u27a1\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299\U0001f004"
    r"\U0001f02c-\U0001f02f\U0001f094-\U0001f09f\U0001f0af\U0001f0b0\U0001f0c0\U0001f0cf\U0001f0d0\U0001f0f6-\U0001f0ff"
    r"\U0001f170\U0001f171\U0001f17e\U0001f17f\U0001f18e\U0001f191-\U0001f19a\U0001f1ae-\U0001f1e5\U0001f201-\U0001f20f"
    r"\U0001f21a\U0001f22f\U0001f232-\U0001f23a\U0001f23c-\U0001f23f\U0001f249-\U0001f25f\U0001f266-\U0001f321"
    r"\U0001f324-\U0001f393\U0001f396\U0001f397\U0001f399-\U0001f39b\U0001f39e-\U0001f3f0\U0001f3f3-\U0001f3f5"
    r"\U0001f3f7-\U0001f3fa\U0001f400-\U0001f4fd\U0001f4ff-\U0001f53d\U0001f549-\U0001f54e\U0001f550-\U0001f567"
    r"\U0001f56f\U0001f570\U0001f573-\U0001f57a\U0001f587\U0001f58a-\U0001f58d\U0001f590\U0001f595\U0001f596\U0001f5a4"
    r"\U0001f5a5\U0001f5a8\U0001f5b1\U0001f5b2\U0001f5bc\U0001f5c2-\U0001f5c4\U0001f5d1-\U0001f5d3\U0001f5dc-\U0001f5de"
    r"\U0001f5e1\U0001f5e3\U0001f5e8\U0001f5ef\U0001f5f3\U0001f5fa-\U0001f64f\U0001f680-\U0001f6c5\U0001f6cb-\U0001f6d2"
    r"\U0001f6d5-\U0001f6e5\U0001f6e9\U0001f6eb-\U0001f6f0\U0001f6f3-\U0001f6ff\U0001f7da-\U0001f7ff"
    r"\U0001f80c-\U0001f80f\U0001f848-\U0001f84f\U0001f85a-\U0001f85f\U0001f888-\U0001f88f\U0001f8ae\U0001f8af"
    r"\U0001f8bc-\U0001f8bf\U0001f8c2-\U0001f8cf\U0001f8d9-\U0001f8ff\U0001f90c-\U0001f93a\U0001f93c-\U0001f945"
    r"\U0001f947-\U0001f9ff\U0001fa58-\U0001fa5f\U0001fa6e-\U0001faff\U0001fc00-\U0001fffd"
)
"""``Extended_Pictographic``: the parts of an emoji (UTS #51)."""

SKIN_TONES: Final = r"\U0001f3fb-\U0001f3ff"
"""``Emoji_Modifier``: stands between an emoji and a joiner."""

HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff\ufa0e-\ufa29\U00020000-\U0003fffd"
"""``Unified_Ideograph``, with the rest of its two planes."""

MONGOLIAN: Final = r"\u1820-\u18aa"
"""Letters of the script ``Mongolian``."""

VARYING: Final = (
    r"\u1000\u1002\u1004\u1010\u1011\u1015\u1019\u101a\u101c\u101d\u1022\u1031\u1075\u1078\u107a\u1080\u2018\u2019"
    r"\u201c\u201d\u2205\u2229\u222a\u2268\u2269\u2272\u2273\u228a\u228b\u2293-\u2295\u2297\u229c\u22da\u22db\u2a3c"
    r"\u2a3d\u2a9d\u2a9e\u2aac\u2aad\u2acb\u2acc\u3001\u3002\ua856\ua85c\ua85e-\ua860\ua868\uaa60-\uaa66\uaa6b\uaa6c"
    r"\uaa6f\uaa7a\uff01\uff0c\uff0e\uff10\uff1a\uff1b\uff1f\U00010ac5\U00010ac6\U00010ad6\U00010ad7\U00010ae1"
)
"""Listed in ``StandardizedVariants.txt`` before U+FE00 or U+FE01: mathematical signs, East Asian punctuation, letters.

The digit zero, which it lists too, is not here: no ASCII character carries what is not seen.
"""

HIEROGLYPHS: Final = r"\U00013000-\U0001342f\U00013460-\U000143fa"
"""Signs of the script ``Egyptian_Hieroglyphs``, which variation selectors turn round."""

JOINING_ON: Final = (
    r"\u0620\u0626\u0628\u062a-\u062e\u0633-\u063f\u0641-\u0647\u0649\u064a\u066e\u066f\u0678-\u0687\u069a-\u06bf\u06c1"
    r"\u06c2\u06cc\u06ce\u06d0\u06d1\u06fa-\u06fc\u06ff\u0712-\u0714\u071a-\u071d\u071f-\u0727\u0729\u072b\u072d\u072e"
    r"\u074e-\u0758\u075c-\u076a\u076d-\u0770\u0772\u0775-\u0777\u077a-\u077f\u07ca-\u07ea\u0841-\u0845\u0848"
    r"\u084a-\u0853\u0855\u0860\u0862-\u0865\u0868\u0886\u0889-\u088d\u088f\u08a0-\u08a9\u08af\u08b0\u08b3-\u08b8"
    r"\u08ba-\u08c8"
)
"""``Joining_Type`` D of U+0600-08FF (Arabic, Syriac, N'Ko, Mandaic): letters that join the letter after them."""

JOINED_BACK: Final = JOINING_ON + (
    r"\u0622-\u0625\u0627\u0629\u062f-\u0632\u0648\u0671-\u0673\u0675-\u0677\u0688-\u0699\u06c0\u06c3-\u06cb\u06cd"
    r"\u06cf\u06d2\u06d3\u06d5\u06ee\u06ef\u0710\u0715-\u0719\u071e\u0728\u072a\u072c\u072f\u074d\u0759-\u075b\u076b"
    r"\u076c\u0771\u0773\u0774\u0778\u0779\u0840\u0846\u0847\u0849\u0854\u0856-\u0858\u0867\u0869\u086a\u0870-\u0882"
    r"\u088e\u08aa-\u08ac\u08ae\u08b1\u08b2\u08b9"
)
"""``Joining_Type`` D or R of the same: letters that join the letter before them."""

JOINED_OVER: Final = r"\u064b-\u065f\u0670"
"""Arabic vowel marks, over which letters join."""

VIRAMAS: Final = (
    r"\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d3b\u0d3c\u0d4d\u0dca\u0e3a\u0eba\u0f84\u1039\u103a\u1714\u1715"
    r"\u1734\u17d2\u1a60\u1b44\u1baa\u1bab\u1bf2\u1bf3\u2d7f\ua806\ua82c\ua8c4\ua953\ua9c0\uaaf6\uabed\U00010a3f"
    r"\U00011046\U00011070\U0001107f\U000110b9\U00011133\U00011134\U000111c0\U00011235\U000112ea\U0001134d\U00011442"
    r"\U000114c2\U000115bf\U0001163f\U000116b6\U0001172b\U00011839\U0001193d\U0001193e\U000119e0\U00011a34\U00011a47"
    r"\U00011a99\U00011c3f\U00011d44\U00011d45\U00011d97"
)
"""``Canonical_Combining_Class`` 9: signs that kill a vowel, after which a joiner says how (RFC 5892, A.1 and A.2)."""

SHIFTERS: Final = r"\u17c9\u17ca"
"""``Indic_Syllabic_Category`` Register_Shifter of Khmer, which keep their form before a non-joiner."""


def others(inside: str) -> str:
    """Return the inside of a ``[…]`` that holds every code point that ``inside`` does not."""
    found: list[str] = []
    start = 0
    for first, last in sorted(_ranges(inside)):
        if first > start:
            found.append(f"\\U{start:08x}-\\U{first - 1:08x}")
        start = max(start, last + 1)
    return "".join((*found, f"\\U{start:08x}-\\U0010ffff"))


def points(inside: str) -> Iterator[int]:
    """Yield every code point of ``inside``."""
    for first, last in _ranges(inside):
        yield from range(first, last + 1)


def _ranges(inside: str) -> list[tuple[int, int]]:
    return [(int(first, 16), int(last or first, 16)) for first, last in _RANGE.findall(inside)]


def one_of(*insides: str) -> str:
    """Return a class of all of ``insides``, written as "none of the others".

    One look-up then decides of any of the first 65,536 characters, as most are.
    """
    return f"[^{others(''.join(insides))}]"


#: Of more than two in a row none but the first two has a place: an emoji's selector, and the joiner after it.
RUN: Final = re.compile(f"(?<=[{PLACED}]{{2}})[{PLACED}]+")
_ABUGIDAS: Final = r"\u0980-\u0dff"
_BEFORE_NON_JOINER: Final = one_of(JOINING_ON, JOINED_OVER, VIRAMAS, SHIFTERS)
_BEFORE_JOINER: Final = one_of(PICTOGRAPHS, SKIN_TONES, r"\ufe0f", VIRAMAS, _ABUGIDAS)
_JOINER_BETWEEN_EMOJI: Final = f"(?:(?<=[{PICTOGRAPHS}{SKIN_TONES}].)|(?<=[{PICTOGRAPHS}]\ufe0f.))[{PICTOGRAPHS}]"
#: Bengali, Kannada and their neighbours keep a character whole so: ra, joiner, virama, ya.
_JOINER_BEFORE_VIRAMA: Final = f"(?<=[{_ABUGIDAS}].)(?<![{VIRAMAS}].)[{VIRAMAS}]"
#: The character first, so that all others are passed over at once; then what would have to stand beside it. ``.`` is
#: the character itself. Of two of a kind in a row the second has no place. None has one beside ASCII but in a keycap,
#: which is seen.
OUT_OF_PLACE: Final = re.compile(
    "|".join(
        (
            f"\u200c(?:(?<!{_BEFORE_NON_JOINER}.)|(?<=[{JOINING_ON}{JOINED_OVER}].)(?![{JOINED_BACK}]))",
            f"\u200d(?:(?<!{_BEFORE_JOINER}.)|(?<![{VIRAMAS}].)(?!{_JOINER_BETWEEN_EMOJI})(?!{_JOINER_BEFORE_VIRAMA}))",
            f"[\ufe0e\ufe0f](?<![{PICTOGRAPHS}].)(?!(?<=[0-9#*]\ufe0f)\u20e3)",
            f"[\ufe00-\ufe0d](?<![{VARYING}][\ufe00\ufe01])(?<![{HAN}][\ufe00-\ufe02])(?<![{HIEROGLYPHS}][\ufe00-\ufe06])",
            f"[\U000e0100-\U000e01ef](?<![{HAN}].)",
            f"[\u180b-\u180d\u180f](?<![{MONGOLIAN}].)",
            f"\u180e(?!(?<=[{MONGOLIAN}].)[\u1820\u1821])",  # the vowel separator
        )
    )
)
