"""Colours of the page, computed from its style: words can be read (WCAG 2.1, AA), and shapes are seen."""

from __future__ import annotations

import re
from typing import Final

import pytest

from ctpolicy.review.reports.html import shipped

WORDS: Final = [
    *((ink, ground) for ink in ("ink", "quiet", "link", "broken") for ground in ("page", "card")),
    *((kind, f"{kind}-tint") for kind in ("untracked", "tracked", "held", "broken", "waived")),
    *(("ink", ground) for ground in ("rest", "mark", "waived-tint", "untracked-tint")),
    ("quiet", "untracked-tint"),
    ("untracked", "card"),
]
"""What is written on what."""

SHAPES: Final = [
    *((fill, ground) for fill in ("untracked-fill", "tracked-fill") for ground in ("card", "page")),
    *((fill, "rest") for fill in ("untracked-fill", "tracked-fill", "fill")),
]
"""What is drawn on what, and has to be seen."""


def scheme(name: str) -> dict[str, str]:
    """The colours of a scheme, by the names of their variables."""
    blocks = re.findall(r":root \{(.*?)\}", shipped("style.css"), re.DOTALL)
    light, dark, paper = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    return {"light": light, "dark": light | dark, "print": light | paper}[name]


def luminance(colour: str) -> float:
    """WCAG 2.1's relative luminance."""
    shares = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 (the same) to 21 (black and white)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_as_it_is_defined() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", ["light", "dark", "print"])
def test_words_can_be_read(name: str) -> None:
    colours = scheme(name)
    ratios = {(ink, ground): contrast(colours[ink], colours[ground]) for ink, ground in WORDS}
    assert {pair: round(ratio, 2) for pair, ratio in ratios.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("name", ["light", "dark", "print"])
def test_shapes_are_seen(name: str) -> None:
    colours = scheme(name)
    ratios = {(fill, ground): contrast(colours[fill], colours[ground]) for fill, ground in SHAPES}
    assert {pair: round(ratio, 2) for pair, ratio in ratios.items() if ratio < 3} == {}


def test_dark_scheme_has_a_colour_for_each_of_the_light_one() -> None:
    blocks = re.findall(r":root \{(.*?)\}", shipped("style.css"), re.DOTALL)
    light, dark = (set(re.findall(r"--([\w-]+):", block)) for block in blocks[:2])
    assert light == dark


def test_every_colour_is_a_variable() -> None:
    rules = re.sub(r":root \{.*?\}", "", shipped("style.css"), flags=re.DOTALL)
    assert re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", rules) == []
