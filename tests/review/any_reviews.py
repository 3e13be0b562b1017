"""Reviews with anything in their texts, for tests of reports: what a stranger could write, and random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hypothesis import strategies as st

from ctpolicy.language.diagnostics import Place
from ctpolicy.packetspace.packet import Packet, parse_packet
from ctpolicy.review.codes import BY_CODE
from ctpolicy.review.review import (
    Change,
    Check,
    Covered,
    Direction,
    EntrySummary,
    EntryTurn,
    Level,
    Move,
    Remark,
    Result,
    Review,
    Risk,
    Subject,
    Turn,
)
from review.reviews import METRICS, MOVES, SERVICE, SSH, VXLAN, everything

HOSTILE: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</td></table></details><h1>passed</h1>",
    "]]></failure><testcase/>",
    "&lt;b&gt; &amp; &#60;b&#62;",
    "@network-team please see #1, GH-2, org/repo#3, !4, ~bug and %5",
    "![x](https://evil.example/x.png) [click](javascript:alert(1)) [x]: https://evil.example",
    "www.evil.example https://evil.example someone@evil.example mailto:someone@evil.example",
    "a | b \\| c \\\\| d || e",
    "`one` ``two`` ```three",
    "``` not closed",
    "\n\n# a heading\n\n- a list\n\n/close\n",
    "\r\n| a | table |\r\n|---|---|\r\n",
    "\x1b[31mred\x1b[0m \x07\x00\x7f\x9b2J",
    "right to left \u202e override \u2066 isolate \u200b nothing",
    "\ud800 alone, \ufffe and \uffff",
    "*bold* _it_ ~~gone~~ $math$ $`x`$ :tada: {+ added +} [^1] [[_TOC_]] ==mark==",
    "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    "{0} {1} {{x}} {html} [in](1) [out](sarif:/runs/0)",
    "1. one 2) two\t- three + four > five === ---",
    "\\",
    "   ",
    "",
    "x" * 20_000,
    "\U0001f600" * 3_000,
)
"""What a stranger could write where text is free, and what could not be read as it is meant."""


def hostile(text: str) -> Review:
    """The same text wherever text may be."""
    return with_texts(everything(), lambda _: text)


def with_texts(review: Review, text: Callable[[str], str]) -> Review:
    """A review, each text of it replaced by another one that is made from it."""

    def of_place(there: Place | None) -> Place | None:
        return there and replace(there, file=text(there.file), text=text(there.text))

    def of_remark(remark: Remark) -> Remark:
        message, remedy, entry = text(remark.message), text(remark.remedy), text(remark.entry)
        return replace(remark, message=message, remedy=remedy, entry=entry, place=of_place(remark.place))

    def of_check(check: Check) -> Check:
        remarks = tuple(map(of_remark, check.remarks))
        return replace(check, name=text(check.name), told=text(check.told), remarks=remarks)

    def of_move(move: Move) -> Move:
        why, packets, size = text(move.why), text(move.packets), text(move.size)
        return replace(move, entry=text(move.entry), why=why, packets=packets, size=size, place=of_place(move.place))

    def of_entry(entry: EntrySummary) -> EntrySummary:
        covers = tuple(replace(one, packets=tuple(map(text, one.packets))) for one in entry.covers)
        words = {"name": text(entry.name), "kind": text(entry.kind), "description": text(entry.description)}
        acknowledge = None if entry.acknowledge is None else text(entry.acknowledge)
        return replace(entry, **words, acknowledge=acknowledge, place=of_place(entry.place), covers=covers)

    def of_turn(turn: EntryTurn) -> EntryTurn:
        return replace(turn, name=text(turn.name), was=turn.was and text(turn.was))

    def of_change(change: Change) -> Change:
        moves, entries = tuple(map(of_move, change.moves)), tuple(map(of_turn, change.entries))
        return replace(
            change, base=text(change.base), moves=moves, entries=entries, unread=change.unread and text(change.unread)
        )

    return Review(
        tuple(map(text, review.files)),
        text(review.policy),
        tuple(map(of_entry, review.entries)),
        tuple(map(of_check, review.checks)),
        review.change and of_change(review.change),
    )


def packets() -> st.SearchStrategy[Packet]:
    """Packets as reports show them."""
    return st.sampled_from([SSH, METRICS, VXLAN, SERVICE, parse_packet("forward gre 10.0.0.1 -> 10.0.0.2")])


def reviews(text: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Review]:
    """Random reviews, with anything in their texts unless told."""
    words = st.text(max_size=40) | st.sampled_from(HOSTILE[:-2]) if text is None else text
    numbers = st.integers(0, 2000)
    places = st.none() | st.builds(Place, words, numbers, numbers, st.integers(1, 200), words)
    remarks = st.builds(
        Remark,
        st.sampled_from(sorted(BY_CODE)),
        st.sampled_from(Level),
        words,
        places,
        words,
        st.none() | packets(),
        words,
    )
    some_remarks = st.lists(remarks, max_size=2).map(tuple)
    checks = st.builds(
        Check, st.sampled_from(Subject), words, st.sampled_from(Result), words, some_remarks, st.floats(0, 1e6)
    )
    roles = st.sampled_from(["bypass", "track"])
    moves = st.builds(
        Move,
        st.sampled_from(Direction),
        words,
        roles,
        words,
        words,
        st.sampled_from([move.box for move in MOVES]),
        words,
        packets(),
        st.sampled_from(Risk),
        places,
    )
    turns = st.builds(EntryTurn, roles, words, st.sampled_from(Turn), st.booleans(), words)
    changes = st.builds(
        Change,
        words,
        st.lists(moves, max_size=3).map(lambda some: tuple(sorted(some, key=lambda move: move.risk))),
        st.lists(turns, max_size=2).map(tuple),
        st.booleans(),
        st.booleans(),
        st.just("") | words,
    )
    covers = st.builds(Covered, st.sampled_from(["in", "forward", "out"]), st.lists(words, max_size=2).map(tuple))
    entries = st.builds(
        EntrySummary, roles, words, words, words, st.none() | words, places, st.lists(covers, max_size=2).map(tuple)
    )
    return st.builds(
        Review,
        st.lists(words, min_size=1, max_size=2).map(tuple),
        words,
        st.lists(entries, max_size=2).map(tuple),
        st.lists(checks, max_size=4).map(tuple),
        st.none() | changes,
    )
