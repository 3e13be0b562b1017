"""Numbers and plurals as the page writes them."""

from __future__ import annotations

from math import log2
from typing import Final

_SUPERSCRIPT: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST_DIGITS: Final = 10**9


def counted(number: int, one: str, many: str = "") -> str:
    """`1 entry`, `12,000 entries`; a number that nobody reads digit by digit as a power of two."""
    return f"{number_text(number)} {one if number == 1 else many or f'{one}s'}"


def number_text(number: int) -> str:
    """A number with its thousands apart, or about what power of two it is."""
    if number < _MOST_DIGITS:
        return f"{number:,}"
    power = number.bit_length() - 1 if number & (number - 1) == 0 else round(log2(number))
    exactly = number == 1 << power
    return f"{'' if exactly else 'about '}2{str(power).translate(_SUPERSCRIPT)}"


def share_of_doublings(number: int, bits: int) -> float:
    """How far a number is from one value (0) to all values of a field (1), where each step doubles it."""
    return log2(number) / bits
