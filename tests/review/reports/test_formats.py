"""Every format of every kind of review: valid, whole, and harmless whatever strangers wrote."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from ctpolicy.language.schema import misfit
from ctpolicy.review.reports.formats import FORMATS
from ctpolicy.review.review import Review
from review.any_reviews import HOSTILE, hostile, reviews
from review.html.outline import html_faults
from review.reports.published import junit_faults, sarif_faults
from review.reports.rendered import markdown_faults
from review.reviews import REVIEWS, large_change


def faults(review: Review, name: str) -> list[str]:
    """What is wrong with a review in a format, by those who publish the format."""
    text = FORMATS[name](review)
    assert text.endswith("\n")
    text.encode()  # no lone surrogate
    assert not [character for character in text if character != "\n" and not character.isprintable()]
    match name:
        case "markdown":
            return markdown_faults(text)
        case "json":
            return [fault for fault in [misfit(json.loads(text), "review")] if fault]
        case "sarif":
            return sarif_faults(text)
        case "junit":
            return junit_faults(text)
        case "html":
            return html_faults(text)
        case _:
            raise AssertionError(f"nobody says what is wrong with {name}")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", REVIEWS)
def test_each_kind_of_review_is_valid_in_each_format(kind: str, name: str) -> None:
    assert faults(REVIEWS[kind](), name) == []


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_hostile_text_is_text_in_each_format(text: str, name: str) -> None:
    assert faults(hostile(text), name) == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_large_change_is_valid_in_each_format(name: str) -> None:
    assert faults(large_change(200), name) == []


@given(reviews())
def test_any_review_is_valid_as_markdown(review: Review) -> None:
    assert faults(review, "markdown") == []


@given(reviews())
def test_any_review_is_valid_as_json(review: Review) -> None:
    assert faults(review, "json") == []


@given(reviews())
def test_any_review_is_valid_as_sarif(review: Review) -> None:
    assert faults(review, "sarif") == []


@given(reviews())
def test_any_review_is_valid_as_junit(review: Review) -> None:
    assert faults(review, "junit") == []
