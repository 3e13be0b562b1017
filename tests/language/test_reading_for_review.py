"""Reading for a review: whatever is wrong is told and nothing is raised; what is expected is told one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.load import load_sources, read_files_for_review, read_for_review
from ctpolicy.language.source import Source

POLICY = """apiVersion: ctpolicy/v1
name: x
bypass:
  - {name: metrics, host-service: tcp/9100}
track:
  - {name: ssh, host-service: tcp/22}
expect:
  - untracked: in tcp 10.0.0.1:1 -> 10.0.0.2:9100
    by: metrics
  - tracked: in tcp 10.0.0.1:1 -> 10.0.0.2:22
    by: ssh
  - untracked: in tcp 10.0.0.1:1 -> 10.0.0.2:22
"""
MORE = "apiVersion: ctpolicy/v1\nname: other\nbypass:\n  - {name: dns, ports: udp/53}\n"


def test_each_expectation_is_told_and_none_is_a_mistake() -> None:
    found = read_for_review([Source("a.yaml", POLICY), Source("b.yaml", MORE)])
    assert found.policy is not None
    assert [entry.name for entry in found.policy.entries()] == ["dns", "metrics", "ssh"]
    assert found.mistakes == ()
    assert [(tried.text, tried.diagnostic is None) for tried in found.expectations] == [
        ("untracked: in tcp 10.0.0.1:1 -> 10.0.0.2:9100, by metrics", True),
        ("tracked: in tcp 10.0.0.1:1 -> 10.0.0.2:22, by ssh", True),
        ("untracked: in tcp 10.0.0.1:1 -> 10.0.0.2:22", False),
    ]
    failing = found.expectations[2]
    assert failing.diagnostic is not None and failing.diagnostic.place == failing.place
    assert (failing.place.line, failing.place.column) == (12, 16)


def test_for_all_else_an_expectation_that_fails_is_a_mistake() -> None:
    with pytest.raises(PolicyError) as caught:
        load_sources([Source("a.yaml", POLICY), Source("b.yaml", MORE)])
    failing = read_for_review([Source("a.yaml", POLICY), Source("b.yaml", MORE)]).expectations[2]
    assert caught.value.diagnostics == (failing.diagnostic,)


def test_places_are_where_the_names_of_entries_stand_in_all_files() -> None:
    found = read_for_review([Source("a.yaml", POLICY), Source("b.yaml", MORE)])
    assert {name: (place.file, place.line, place.column, place.length) for name, place in found.places.items()} == {
        "metrics": ("a.yaml", 4, 12, 7),
        "ssh": ("a.yaml", 6, 12, 3),
        "dns": ("b.yaml", 4, 12, 3),
    }


def test_a_mistake_is_told_and_the_places_are_still_known() -> None:
    faulty = MORE.replace("udp/53", "udp/70000")
    found = read_for_review([Source("a.yaml", POLICY), Source("b.yaml", faulty)])
    assert found.policy is None
    assert [str(told.place) for told in found.mistakes] == ["b.yaml:4:28"]
    assert found.expectations == ()
    assert set(found.places) == {"metrics", "ssh", "dns"}


def test_files_that_cannot_be_read_are_told_with_the_mistakes_of_the_others(tmp_path: Path) -> None:
    there, missing = tmp_path / "a.yaml", tmp_path / "b.yaml"
    there.write_text(MORE.replace("udp/53", "udp/70000"))
    found = read_files_for_review([there, missing])
    assert found.policy is None
    assert [(Path(told.file).name, told.line) for told in found.mistakes] == [("a.yaml", 4), ("b.yaml", 0)]


def test_an_entry_that_may_be_in_an_unreadable_file_may_decide() -> None:
    expecting = (
        "apiVersion: ctpolicy/v1\nname: other\nexpect:\n  - tracked: in gre 10.0.0.1 -> 10.0.0.2\n    by: tunnels\n"
    )
    found = read_for_review([Source("a.yaml", expecting), Source("b.yaml", "track: [\n")])
    assert {told.file for told in found.mistakes} == {"b.yaml"}
