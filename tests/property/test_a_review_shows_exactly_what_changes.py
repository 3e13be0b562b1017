"""The moves of a review are the change: every packet that changes is in one, and no other packet is in any."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from ctpolicy.language.policy import Entry, Policy
from ctpolicy.meaning import decide
from ctpolicy.meaning_space import bypass_space
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.review.change import change_between
from ctpolicy.review.review import Change, Direction, EntryTurn, Move, Turn
from ctpolicy.testing.strategies import policies


def change(base: Policy, head: Policy) -> Change:
    return change_between(base, head, sensitive=None, places={}, base_name="base")


def moved(change: Change, direction: Direction) -> PacketSpace:
    return PacketSpace.of_boxes(move.box for move in change.moves if move.direction is direction)


@st.composite
def edited(draw: st.DrawFn) -> tuple[Policy, Policy]:
    """A policy, and one of which a few entries are gone, of the other kind, or somebody else's."""
    base, other = draw(policies()), draw(policies())
    bypass, track = list(base.bypass), list(base.track)
    for _ in range(draw(st.integers(1, 3))):
        edit = draw(st.sampled_from(["drop", "drop-track", "swap", "take", "take-track"]))
        if edit == "drop" and bypass:
            bypass.pop(draw(st.integers(0, len(bypass) - 1)))
        elif edit == "drop-track" and track:
            track.pop(draw(st.integers(0, len(track) - 1)))
        elif edit == "swap" and bypass and track:
            bypass[0], track[0] = track[0], bypass[0]
        elif edit == "take" and other.bypass:
            bypass.append(renamed(draw(st.sampled_from(other.bypass)), bypass, track))
        elif edit == "take-track" and other.bypass:
            track.append(renamed(draw(st.sampled_from(other.bypass)), bypass, track))
    return base, replace(base, bypass=sorted_by_name(bypass), track=sorted_by_name(track))


def renamed(entry: Entry, *lists: list[Entry]) -> Entry:
    return replace(entry, name=f"taken-{sum(map(len, lists))}")


def sorted_by_name(entries: list[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.name))


def check(base: Policy, head: Policy) -> None:
    found = change(base, head)
    was, now = bypass_space(base), bypass_space(head)
    for direction, packets in ((Direction.UNTRACKED, now - was), (Direction.TRACKED, was - now)):
        told = moved(found, direction)
        assert told <= packets
        assert not found.is_complete or told == packets
        assert bool(told) is bool(packets)
    for move in found.moves:
        check_cause(move, base, head)
        is_untracked = move.direction is Direction.UNTRACKED
        assert decide(head, move.witness).untracked is is_untracked
        assert decide(base, move.witness).untracked is not is_untracked
        assert move.witness in PacketSpace.of_boxes([move.box])


def check_cause(move: Move, base: Policy, head: Policy) -> None:
    """The entry of a move is why its packets change."""
    gaining, losing = (head, base) if move.direction is Direction.UNTRACKED else (base, head)
    with_it, without = decide(gaining, move.witness), decide(losing, move.witness)
    if move.role == "bypass":
        assert move.entry in with_it.bypassed_by
        assert not without.bypassed_by
    else:
        assert move.entry in without.tracked_by
        assert without.bypassed_by


@given(st.one_of(edited(), st.tuples(policies(), policies())))
def test_the_moves_are_the_change(pair: tuple[Policy, Policy]) -> None:
    check(*pair)


@given(policies())
def test_a_policy_does_not_differ_from_itself(policy: Policy) -> None:
    assert change(policy, policy) == Change("base")


@given(edited())
def test_the_way_back_is_the_same_with_signs_exchanged(pair: tuple[Policy, Policy]) -> None:
    there, back = change(*pair), change(*reversed(pair))
    assume(there.is_complete and back.is_complete)
    for one, other in ((Direction.UNTRACKED, Direction.TRACKED), (Direction.TRACKED, Direction.UNTRACKED)):
        assert moved(there, one) == moved(back, other)
    opposite = {Turn.ADDED: Turn.REMOVED, Turn.REMOVED: Turn.ADDED}
    assert {(turn.role, turn.name, opposite.get(turn.turn, turn.turn)) for turn in kept(there)} == {
        (turn.role, turn.name, turn.turn) for turn in kept(back)
    }


def kept(found: Change) -> list[EntryTurn]:
    return [turn for turn in found.entries if turn.turn is not Turn.RENAMED]
