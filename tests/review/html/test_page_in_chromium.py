"""The page of a review as a browser shows it: opened from a file, in a real Chromium, with no network to reach."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any, Final

import pytest

from ctpolicy.review.reports.html import html_report
from review.any_reviews import HOSTILE, with_texts
from review.html.conftest import Open, Opened
from review.html.sizes import MOVES, middle
from review.reviews import REVIEWS, everything

CONTRAST: Final = (Path(__file__).parent / "contrast.js").read_text()
STRUCTURE: Final = (Path(__file__).parent / "structure.js").read_text()

AXIS: Final = """([move, field, kind]) => {
  const row = [...document.querySelectorAll(`.move:nth-of-type(n)`)][move].querySelectorAll(".extents tbody tr")[field];
  const axis = row.querySelector("svg.axis").getBoundingClientRect();
  return [...row.querySelectorAll(`svg.axis .${kind}`)].map((shape) => {
    const box = shape.getBoundingClientRect();
    return [(box.left - axis.left) / axis.width, box.width / axis.width, box.top - axis.top, box.height];
  });
}"""
"""From where and how wide shapes are, as shares of their axis, and how far down and how high, in pixels."""


def alone(shown: Opened) -> bool:
    """Whether nothing but the page itself was asked for, and nothing went wrong."""
    return shown.complaints == [] and [url.partition("?")[0] for url in shown.requests] == [shown.page.url]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_shown_in_the_scheme_that_is_preferred(opened: Open, scheme: str) -> None:
    shown = opened(middle(), color_scheme=scheme)
    brightness = shown.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (min(brightness) > 200) if scheme == "light" else (max(brightness) < 50)
    assert shown.page.locator("h1").inner_text() == "Broken worker"
    assert alone(shown)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_can_be_read(opened: Open, scheme: str) -> None:
    shown = opened(everything(), color_scheme=scheme)
    shown.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found: list[dict[str, Any]] = shown.evaluate(CONTRAST)
    assert len(found) > 100
    assert [one for one in found if one["ratio"] < 4.5] == []


def test_too_little_contrast_is_found(opened: Open) -> None:
    shown = opened("<body style='background: #fff'><p style='color: #999'>pale</p><p>dark</p>")
    assert [one["text"] for one in shown.evaluate(CONTRAST) if one["ratio"] < 4.5] == ["pale"]


@pytest.mark.parametrize("name", REVIEWS)
def test_page_of_every_kind_is_well_made(opened: Open, name: str) -> None:
    shown = opened(REVIEWS[name]())
    assert shown.evaluate(STRUCTURE) == []
    assert alone(shown)


def test_what_is_badly_made_is_found(opened: Open) -> None:
    shown = opened(
        "<h1>a</h1><h3>b</h3><svg></svg><table><tr><td>c</td></tr></table><a href='#none'>d</a><p id=e><p id=e>"
    )
    assert len(shown.evaluate(STRUCTURE)) >= 7


def test_every_move_is_seen(shown_middle: Opened) -> None:
    shown = shown_middle
    cards = shown.page.locator(".move")
    assert cards.count() == len(MOVES)
    for at, move in enumerate(MOVES):
        card = cards.nth(at)
        card.scroll_into_view_if_needed()
        box = card.bounding_box()
        assert box is not None
        assert box["width"] > 900
        assert box["height"] > 100
        text = card.inner_text()
        for words in (move.direction.words, move.packets, move.size, move.entry, move.why, str(move.witness)):
            assert words in text
        filled = card.locator("svg.axis .filled").first.bounding_box()
        assert filled is not None
        assert filled["width"] >= 2
        assert shown.evaluate(
            f"document.elementFromPoint({filled['x'] + 1}, {filled['y'] + 3}).classList.contains('filled')"
        )


def test_directions_are_told_apart_without_colour(shown_middle: Opened) -> None:
    shown = shown_middle
    for kind, sign, words in (("untracked", "+", "newly untracked"), ("tracked", "\N{MINUS SIGN}", "tracked again")):
        heading = shown.page.locator(f".move.{kind} h4").first.inner_text()
        assert heading.startswith(sign)
        assert words in heading
    paint = "(kind) => getComputedStyle(document.querySelector(`.axis.${kind} .filled`)).fill"
    assert "#hatch" in shown.page.evaluate(paint, "tracked")
    assert "url" not in shown.page.evaluate(paint, "untracked")


def test_a_widened_port_range_shows_the_port_that_was_there_before_as_a_hole(shown_middle: Opened) -> None:
    shown = shown_middle
    destination_port = 3
    ((start, width, top, height),) = shown.page.evaluate(AXIS, [3, destination_port, "hole"])
    assert start == pytest.approx((4789 - 4780) / 21, abs=0.002)
    assert width == pytest.approx(1 / 21, abs=0.002)
    assert top > 12
    assert height > 10
    whole, closer = shown.page.evaluate(AXIS, [3, destination_port, "filled"])
    assert whole[0] == pytest.approx(4780 / 65536, abs=0.01)
    assert closer[:2] == pytest.approx([0, 1], abs=0.002)


def test_a_widened_prefix_shows_the_old_one_as_a_hole(shown_middle: Opened) -> None:
    shown = shown_middle
    ((start, width, *_),) = shown.page.evaluate(AXIS, [2, 0, "hole"])
    assert start == pytest.approx(7 / 256, abs=0.003)
    assert width == pytest.approx(1 / 128, abs=0.003)  # a /24 of a /16 is drawn a little wider than it is
    ends = shown.page.locator(".move").nth(2).locator(".ends").inner_text().split()
    assert ends == ["10.1.0.0", "10.1.255.255"]


def test_one_more_port_is_drawn_beside_the_one_that_was_there(shown_middle: Opened) -> None:
    destination_port = 3
    *_, closer = shown_middle.page.evaluate(AXIS, [5, destination_port, "filled"])
    assert closer[:2] == pytest.approx([0.5, 0.5], abs=0.002)
    *_, beside = shown_middle.page.evaluate(AXIS, [5, destination_port, "beside"])
    assert beside[:2] == pytest.approx([0, 0.5], abs=0.002)
    assert beside[3] < closer[3] / 2
    assert "4790 of 4789-4790" in shown_middle.page.locator(".move").nth(5).inner_text()


def test_what_may_be_anything_fills_its_axis(shown_middle: Opened) -> None:
    shown = shown_middle
    for row in range(4):
        ((start, width, *_),) = shown.page.evaluate(AXIS, [0, row, "filled"])
        assert (start, width) == pytest.approx((0, 1), abs=0.001)


def rows(shown: Opened, column: int) -> list[str]:
    found: list[str] = shown.evaluate(
        f"[...document.querySelectorAll('table.entries tbody tr')].map((row) => row.cells[{column}].textContent)"
    )
    return found


def test_tables_sort_up_and_down_and_back(opened: Open) -> None:
    shown = opened(middle())
    written = rows(shown, 0)
    head = shown.page.locator("table.entries thead th").nth(2)
    head.get_by_role("button", name="Kind").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert rows(shown, 2) == sorted(rows(shown, 2))
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert rows(shown, 2) == sorted(rows(shown, 2), reverse=True)
    head.get_by_role("button").press("Space")
    assert head.get_attribute("aria-sort") is None
    assert rows(shown, 0) == written


def test_only_the_column_that_is_sorted_says_so(opened: Open) -> None:
    shown = opened(middle())
    heads = shown.page.locator("table.checks thead th")
    heads.nth(0).get_by_role("button").click()
    heads.nth(4).get_by_role("button").click()
    assert [heads.nth(at).get_attribute("aria-sort") for at in range(5)] == [None] * 4 + ["ascending"]
    seconds = shown.evaluate("[...document.querySelectorAll('table.checks td.amount')].map((c) => +c.dataset.key)")
    assert seconds == sorted(seconds)


def test_without_scripts_the_page_says_the_same(opened: Open) -> None:
    with_scripts, without = opened(everything()), opened(everything(), java_script_enabled=False)
    assert without.page.locator("button").count() == 0
    assert with_scripts.page.locator("button").count() > 10
    assert without.page.locator("main").inner_text() == with_scripts.page.locator("main").inner_text()
    assert without.complaints == []


@pytest.mark.parametrize("width", [320, 768])
def test_narrow_screens_scroll_only_down(opened: Open, width: int) -> None:
    texts = cycle(HOSTILE)
    for review in (middle(), with_texts(everything(), lambda _: next(texts))):
        shown = opened(review, width=width)
        assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_wide_things_scroll_in_a_frame_that_the_keyboard_reaches(opened: Open) -> None:
    shown = opened(middle(), width=360)
    figure = shown.page.locator(".figure")
    figure.focus()
    assert shown.evaluate("document.activeElement.classList.contains('figure')")
    assert shown.evaluate("(({scrollWidth, clientWidth}) => scrollWidth > clientWidth)(document.activeElement)")


@pytest.mark.parametrize("scripts", [True, False])
def test_paper_has_everything_unfolded_and_uncut(opened: Open, scripts: bool) -> None:
    shown = opened(everything(), width=718, color_scheme="dark", java_script_enabled=scripts)
    assert not shown.page.get_by_text("bypasses protected traffic, acknowledged").is_visible()
    shown.page.emulate_media(media="print", color_scheme="dark")
    if scripts:
        shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.page.get_by_text("bypasses protected traffic, acknowledged").is_visible()
    assert shown.evaluate("document.documentElement.scrollWidth") <= 718
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    cut = "[...document.querySelectorAll('.frame')].filter((one) => one.scrollWidth > one.clientWidth + 1).length"
    assert shown.evaluate(cut) == 0


def test_heads_of_tables_were_not_repeated_on_each_printed_page(opened: Open) -> None:
    """Chromium 156 leaves them out where there is a button in them: on paper they are none."""
    shown = opened(everything(), width=718)
    shown.page.emulate_media(media="print")
    assert shown.evaluate("getComputedStyle(document.querySelector('.sorts button')).display") == "contents"


def test_page_is_printed(opened: Open) -> None:
    shown = opened(middle())
    printed = shown.page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") > 5
    assert not shown.page.locator("details").first.get_attribute("open")


def test_hostile_text_stays_text(opened: Open) -> None:
    texts = cycle(HOSTILE)
    hostile = opened(with_texts(everything(), lambda _: f"{next(texts)}x"))
    plain = opened(with_texts(everything(), lambda _: "plain"))
    marked = {"pre", "mark", "code"}  # where the text of a line is long enough for a mark
    tags = "[...document.querySelectorAll('*')].map((one) => one.localName)"
    found = [[tag for tag in sorted(shown.evaluate(tags)) if tag not in marked] for shown in (hostile, plain)]
    assert found[0] == found[1]
    assert alone(hostile)
    assert "<script>alert(1)</script>x" in hostile.page.locator("main").inner_text()


def test_policy_of_the_page_forbids_what_is_not_its_own(opened: Open) -> None:
    page = html_report(everything())
    intruder = "<script>alert(1)</script><img src='https://evil.example/x.png'><p style='color: red'>x</p>"
    shown = opened(page.replace("</main>", f"{intruder}</main>"))
    shown.page.wait_for_timeout(50)
    assert sum("Content Security Policy" in complaint for complaint in shown.complaints) == 3
    assert shown.requests == [shown.page.url, "https://evil.example/x.png"]
    assert shown.failed == [("https://evil.example/x.png", "csp")]
