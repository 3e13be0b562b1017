"""A test for each check, as CI systems list them."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from ctpolicy.review.reports.junit import MOST_MOVES, junit_report
from ctpolicy.review.review import Review, Subject
from review.reports.published import junit_faults
from review.reviews import changed, everything, large_change, mistaken, passed, too_large, unread_base, waived


def root(review: Review) -> ElementTree.Element:
    return ElementTree.fromstring(junit_report(review))


def test_a_suite_for_each_subject_and_a_test_for_each_check() -> None:
    review = everything()
    suites = root(review).findall("testsuite")
    assert [suite.get("name") for suite in suites] == [subject.value for subject in Subject]
    cases = [(case.get("classname"), case.get("name")) for suite in suites for case in suite.findall("testcase")]
    assert cases == [(f"ctpolicy.{check.subject.name.lower()}", check.name) for check in review.checks]


def test_a_subject_that_nobody_asked_about_has_no_suite() -> None:
    review = replace(passed(), checks=passed().checks[:2])
    assert [suite.get("name") for suite in root(review)] == ["Language", "Lints"]
    assert list(root(replace(passed(), checks=()))) == []


def test_counts_are_those_of_the_tests() -> None:
    for element in [root(everything()), *root(everything())]:
        assert element.get("tests") == str(len(element.findall(".//testcase")))
        assert element.get("failures") == str(len(element.findall(".//failure")))
        if element.tag == "testsuite":
            assert element.get("skipped") == str(len(element.findall(".//skipped")))
    assert (root(everything()).get("tests"), root(everything()).get("failures")) == ("13", "8")
    assert root(passed()).get("time") == "1.546"


def test_a_failure_says_where_and_what_to_do() -> None:
    failure = root(everything()).find(".//testcase[@name='ssh-is-tracked']/failure")
    assert failure is not None
    assert failure.get("type") == "RV003"
    assert failure.get("message") == (
        "`node-metrics` bypasses what the invariant `ssh-is-tracked` says is never bypassed"
    )
    assert failure.text == (
        "policies/worker.yaml:12:11: error: RV003 `node-metrics` bypasses what the invariant `ssh-is-tracked` says is"
        " never bypassed\n  entry: node-metrics\n  remedy: leave 10.0.0.0/8 out, or ask @network-team for a waiver\n"
        "  such as: in tcp 10.9.9.9:5555 -> 192.168.7.71:22\ninv.yaml:3:5: note: RV003 the invariant is here"
    )


def test_what_is_waived_or_not_asked_is_skipped_and_says_why() -> None:
    (skipped,) = root(waived()).findall(".//skipped")
    assert skipped.get("message") == "waived by network-team until 2027-01-31: the old cluster goes away"
    assert "there are 213 entries" in (skipped.text or "")
    told = {skipped.get("message") for skipped in root(mistaken()).findall(".//skipped")}
    assert told == {"the policies cannot be read"}


def test_properties_say_what_was_reviewed() -> None:
    for suite in root(changed()):
        properties = [(one.get("name"), one.get("value")) for one in suite.findall("properties/property")]
        assert properties == [
            ("policy", "worker"),
            ("file", "policies/worker.yaml"),
            ("file", "policies/site.yaml"),
            ("base", "revision 1a2b3c4 (main)"),
        ]


def output(review: Review) -> list[str]:
    """What the suites say beside their tests."""
    (told,) = [suite.findtext("system-out") for suite in root(review) if suite.find("system-out") is not None]
    assert told is not None
    return told.split("\n")


def test_the_change_is_told_once() -> None:
    told = output(changed())
    assert told[0] == "Packets that change since revision 1a2b3c4 (main):"
    assert (
        told[1]
        == "+ in tcp 10.0.0.0/8 -> any:22 (16,777,216 addresses, one port): node-metrics, it covers more than before"
    )
    assert len(told) == 6
    assert output(unread_base())[1] == "old.yaml:3:1: a policy has no `name`"
    assert output(too_large())[1] == "too many to tell exactly"
    assert len(output(large_change(MOST_MOVES + 5))) == MOST_MOVES + 2
    assert output(large_change(3))[-1] == "and more"


def test_no_character_that_xml_forbids_is_left() -> None:
    named = replace(passed(), policy="a\x00\x1b\ud800\ufffe<&>\"'\tb")
    value = root(named).find(".//property[@name='policy']")
    assert value is not None
    assert value.get("value") == "a␀␛\ufffd\ufffd<&>\"' b"


def test_a_fault_is_found() -> None:
    assert junit_faults(junit_report(passed()).replace('failures="0"', "", 2))
    assert junit_faults(junit_report(passed()).replace("<testcase", "<test").replace("</testcase", "</test"))
