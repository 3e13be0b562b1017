"""A catalogue of changes to policies, each with what a good reviewer would say; and of rewrites that mean the same.

A case is a file `NAME.yaml`: what a reviewer says, the policy before and after, and in `finds` packets of which
it must be told what becomes of them, by which entry, at what risk. `NAME.txt` beside it is all that the review says, as
people would read it; `--regenerate` writes it anew. In `same/` nothing may be said of packets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ctpolicy.language.load import load_sources
from ctpolicy.language.policy import Policy
from ctpolicy.language.source import Source, given_lists
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.review.change import change_between
from ctpolicy.review.review import Change, Direction, Move, Risk
from ctpolicy.testing.strategies import dump

CATALOGUE: Final = Path(__file__).parent / "catalogue"
CHANGES: Final = sorted((CATALOGUE / "changes").glob("*.yaml"))
SAME: Final = sorted((CATALOGUE / "same").glob("*.yaml"))

SIGNS: Final = {"untracked": Direction.UNTRACKED, "tracked": Direction.TRACKED}


def read(path: Path) -> dict[str, Any]:
    case = yaml.safe_load(path.read_text())
    assert isinstance(case, dict)
    return case


def policy(case: dict[str, Any], side: str) -> Policy:
    document = {"apiVersion": "ctpolicy/v1", "name": "worker", **(case[side] or {})}
    lists = document.pop("lists", {})
    given = given_lists({str(Path("/policies", name)): text for name, text in lists.items()})
    return load_sources([Source("worker.yaml", dump(document), Path("/policies"), given)])


def change(case: dict[str, Any]) -> Change:
    networks = PacketSpace.of_boxes([])
    return change_between(policy(case, "base"), policy(case, "head"), sensitive=networks, places={}, base_name="base")


def told(found: Change) -> str:
    lines = [f"{turn.turn.value} {turn.role} {turn.name}{_meaning(turn)}" for turn in found.entries]
    lines += [_line(move) for move in found.moves]
    return "".join(f"{line}\n" for line in [*lines, *([] if found.is_complete else ["... and more"])])


def _meaning(turn: Any) -> str:
    was = f", was {turn.was}" if turn.was else ""
    return was + (", which covers the same packets" if turn.means_the_same else "")


def _line(move: Move) -> str:
    risk = f"  [{move.risk.words}]" if move.risk.words else ""
    text = f"{move.direction.words}, {move.role} {move.entry}: {move.why}{risk}\n"
    return f"{text}    {move.packets}  ({move.size})\n    such as {move.witness}"


@pytest.mark.parametrize("path", CHANGES, ids=lambda path: path.stem)
def test_review_finds_what_a_reviewer_would(path: Path, pytestconfig: pytest.Config) -> None:
    case = read(path)
    found = change(case)
    expected = path.with_suffix(".txt")
    if pytestconfig.getoption("--regenerate"):
        expected.write_text(told(found))
    assert told(found) == expected.read_text()
    assert found.is_complete
    for finding in case.get("finds", []):
        assert_found(finding, found)
    directions = {SIGNS[finding.split()[0]] for finding in case.get("finds", [])}
    assert {move.direction for move in found.moves} == directions, "what else changes is not in the case"


def assert_found(finding: str, found: Change) -> None:
    direction, entry, risk, text = finding.split(" ", 3)
    packet = parse_packet(text)
    moves = [move for move in found.moves if packet in PacketSpace.of_boxes([move.box])]
    assert moves, f"nothing is said of {packet}"
    assert {move.direction for move in moves} == {SIGNS[direction]}
    by_entry = [move for move in moves if move.entry == entry]
    assert by_entry, f"{packet} is told of {[move.entry for move in moves]}"
    assert min(move.risk for move in by_entry) is Risk[risk.upper()]


@pytest.mark.parametrize("path", SAME, ids=lambda path: path.stem)
def test_rewrite_that_means_the_same_moves_nothing(path: Path) -> None:
    found = change(read(path))
    assert found.moves == ()
    assert found.is_complete
    assert not found.is_too_large


def test_catalogue_is_as_large_as_it_should_be() -> None:
    with_packets = [path for path in CHANGES if read(path).get("finds")]
    assert len(with_packets) >= 40
    assert len(SAME) >= 20
    assert {path.with_suffix(".txt") for path in CHANGES} == set((CATALOGUE / "changes").glob("*.txt"))


@pytest.mark.parametrize("path", SAME, ids=lambda path: path.stem)
def test_rewrites_are_rewrites(path: Path) -> None:
    """A case of which both sides are one text would prove nothing."""
    case = read(path)
    assert case["base"] != case["head"] or dump(case["base"]) != dump(case["head"])
