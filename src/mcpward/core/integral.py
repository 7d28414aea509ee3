"""The integer value of a JSON number. JSON Schema looks at the value, not at its spelling: ``5.0`` and ``1e3`` are
integers (draft 2020-12, core §4.2.3).

Exact: nothing passes through a float, and no exponent is ever written out (attack 55).
"""

import re
from decimal import Decimal
from typing import Final

LEAST: Final = -(2**63)
MOST: Final = 2**63 - 1
_DIGITS: Final = 19
_EXACT: Final = 2**53
_PLAIN: Final = re.compile(r"-?[1-9][0-9]{0,18}|0", re.ASCII)


def integral(number: Decimal) -> int | None:
    """Return the integer that ``number`` equals; None if it has a fraction or does not fit in 64 bits."""
    if not number.is_finite():
        return None
    if number.is_zero():
        return 0
    if not 0 <= number.adjusted() < _DIGITS:
        return None
    whole = int(number)
    return whole if LEAST <= whole <= MOST and number == whole else None


def is_long(number: Decimal) -> bool:
    """Whether ``number`` is an integer of more than 64 bits."""
    if not number.is_finite() or number.adjusted() < _DIGITS - 1:
        return False
    exponent = number.as_tuple().exponent
    is_whole = (isinstance(exponent, int) and exponent >= 0) or number == number.to_integral_value()
    return is_whole and not LEAST <= number <= MOST


def exact(number: float) -> int | None:
    """Return the integer that a float stands for; None if there is none, or if the float may have been rounded."""
    return int(number) if number.is_integer() and abs(number) <= _EXACT else None


def whole_number(text: object) -> int | None:
    """Return the integer of 64 bits that a text spells in its one plain way; None for any other text."""
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        return None
    number = int(text)
    return number if LEAST <= number <= MOST else None
