"""Numbers of payment cards, bank accounts (IBAN) and e-mail addresses, by form and check digit.

Which of them are looked for, and what becomes of them, is a setting: none by default.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec import Struct

#: ISO 13616: the length of an IBAN by its country (the registry of SWIFT, release 99).
_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD FK", 19: "MK SI", 20: "AT BA EE KZ LT LU XK MN",
        21: "CH CR HR LI LV", 22: "BG BH DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL OM SO",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
#: Digits in groups, with a blank or a dash between two. No letter or decimal point before the first, and what comes
#: after the last is looked at later: else a long run would be read again from each of its groups on.
_DIGITS: Final = re.compile(r"(?<![\w.,+-])\d(?:[ \u00a0-]?\d){12,}+")
_GOES_ON: Final = re.compile(r"\w|[.,]\d")
_GROUP: Final = re.compile(r"\d+")
_SHORTEST, _LONGEST = 13, 19
_MOST_GROUPS: Final = 5
#: ISO/IEC 7812: issuers by their first digits, with the lengths of their numbers.
_ISSUERS: Final = (
    (r"4", {13, 16, 19}),  # Visa
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", {16}),  # Mastercard
    (r"3[47]", {15}),  # American Express
    (r"6011|64[4-9]|65", {16, 17, 18, 19}),  # Discover
    (r"30[0-5]|3095|3[689]", {14, 15, 16, 17, 18, 19}),  # Diners Club
    (r"352[89]|35[3-8]", {16, 17, 18, 19}),  # JCB
    (r"62|81", {16, 17, 18, 19}),  # UnionPay
    (r"5018|5020|5038|5893|6304|6759|676[1-3]", {13, 14, 15, 16, 17, 18, 19}),  # Maestro
    (r"220[0-4]", {16, 17, 18, 19}),  # Mir
)
_LENGTHS: Final = tuple(frozenset(lengths) for _, lengths in _ISSUERS)
_ISSUER: Final = re.compile("|".join(f"({begins})" for begins, _ in _ISSUERS)).match
_DOUBLED: Final = bytes.maketrans(b"0123456789", b"0246813579")
#: Looked for at the begin of each word: one that is none must not hide the next.
_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])(?=([A-Z]{2}[0-9]{2}(?:[ \u00a0-]?[A-Z0-9]){11,30}|[a-z]{2}[0-9]{2}[a-z0-9]{11,30}))"
)
_EMAIL: Final = re.compile(
    r"(?<![\w.!#$%&'*+/=?^`{|}~-])[\w!#$%&'*+/=?^`{|}~.-]{1,64}+@(?:\w(?:[\w-]{0,61}\w)?\.){1,8}([^\W\d_]{2,63})(?![\w-])"
)
#: Ends of file names, such as ``logo@2x.png``, and of masks.
_NO_DOMAIN: Final = frozenset(
    {"css", "gif", "html", "invalid", "jpeg", "jpg", "js", "json", "png", "svg", "txt", "webp"}
)
_AS_DIGITS: Final = {ord(letter): str(int(letter, 36)) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_SEPARATORS: Final = str.maketrans("", "", " \u00a0-")
MASKED_EMAIL: Final = "redacted@email.invalid"


class NumberForm(Struct, frozen=True):
    """One form of numbers: ``anchor`` stands in every text that has one, if anything does; ``find`` returns its places,
    ``mask`` what is written instead.
    """

    name: str
    anchor: str
    find: Callable[[str], Iterator[tuple[int, int]]]
    mask: Callable[[str], str]


def cards(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of card numbers. A number may stand beside others: those of its own groups are looked at."""
    for found in _DIGITS.finditer(text):
        groups = [group.span() for group in _GROUP.finditer(text, *found.span())]
        if _GOES_ON.match(text, found.end()):
            groups.pop()
        at = 0
        while at < len(groups):
            last = _card_end(text, groups, at)
            if last:
                yield groups[at][0], groups[last - 1][1]
            at = max(at + 1, last)


def _card_end(text: str, groups: list[tuple[int, int]], first: int) -> int:
    """Return the group after a card that begins with group ``first``, 0 if none does."""
    digits, found = "", 0
    for at in range(first, min(first + _MOST_GROUPS, len(groups))):
        start, end = groups[at]
        if len(digits) + end - start > _LONGEST:
            break
        digits += text[start:end]
        if len(digits) >= _SHORTEST and is_card(digits):
            found = at + 1
    return found


def is_card(digits: str) -> bool:
    """Return whether digits are a card's: of an issuer's range and length, with the right check digit (Luhn)."""
    issuer = _ISSUER(digits)
    if issuer is None or len(digits) not in _LENGTHS[(issuer.lastindex or 1) - 1]:
        return False
    octets = digits.encode()[::-1]
    total = sum(octets[::2]) + sum(octets[1::2].translate(_DOUBLED)) - ord("0") * len(octets)
    return total % 10 == 0 and len(set(octets)) > 1


def ibans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of IBANs. What follows after a blank may be another word: the country says how long it is."""
    for found in _IBAN.finditer(text):
        end = _iban_end(found[1])
        start = found.start()
        if end and not text[start + end : start + end + 1].isalnum():
            yield start, start + end


def emails(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of e-mail addresses (RFC 5321)."""
    for found in _EMAIL.finditer(text):
        if found[1].lower() not in _NO_DOMAIN:
            yield found.span()


def _iban_end(text: str) -> int:
    length, seen = _IBAN_LENGTHS.get(text[:2].upper(), 0), 0
    for at, letter in enumerate(text, 1):
        seen += letter.isalnum()
        if seen == length:
            whole = text[:at].translate(_SEPARATORS).upper()
            # ISO 7064: letters as two digits, the country and the check digits last
            return at if int((whole[4:] + whole[:4]).translate(_AS_DIGITS)) % 97 == 1 else 0
    return 0


def _card_mask(number: str) -> str:
    return f"[card ending {number.translate(_SEPARATORS)[-4:]}]"


KINDS: Final[Mapping[str, NumberForm]] = {
    "cards": NumberForm("card number", "", cards, _card_mask),
    "ibans": NumberForm("IBAN", "", ibans, lambda _: "[iban]"),
    "emails": NumberForm("e-mail address", "@", emails, lambda _: MASKED_EMAIL),
}
"""By the name of the setting."""
