"""What the walk takes for granted of the kernel, each shown to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ctpolicy.packetspace.packet import parse_packet
from kernel.passing import Passage

pytestmark = pytest.mark.kernel

QUESTION = parse_packet("in udp 10.0.0.1:4000 -> 10.0.0.2:53 dev eth0")


@pytest.fixture(scope="module")
def passage() -> Iterator[Passage]:
    asked = Passage()
    yield asked
    asked.close()


def passes(passage: Passage, *chains: str, packet: str = str(QUESTION), untracked: bool = False) -> bool:
    passage.load("table inet walked {\n" + "\n".join(chains) + "\n}\n", untracked=untracked)
    (passed,) = passage.passed([parse_packet(packet)])
    return passed


TRANSLATE = "chain nat_ {{ type nat hook prerouting priority {}; udp dport 53 dnat ip to 10.0.0.9:5353; }}"
FILTER = "chain filter_ {{ type filter hook prerouting priority {}; udp dport 5353 drop; }}"


def test_nat_chains_are_asked_at_one_place_whatever_their_priority(passage: Passage) -> None:
    assert not passes(passage, TRANSLATE.format(300), FILTER.format(0))
    assert not passes(passage, TRANSLATE.format(-100), FILTER.format(-99))
    assert passes(passage, TRANSLATE.format(-150), FILTER.format(-140))


def test_untracked_packets_meet_no_nat_chain(passage: Passage) -> None:
    assert passes(passage, TRANSLATE.format(-100), FILTER.format(0), untracked=True)
    dropping = "chain nat_ { type nat hook prerouting priority -100; ct state new drop; }"
    assert not passes(passage, dropping)
    assert passes(passage, dropping, untracked=True)


def test_before_conntrack_every_packet_looks_invalid(passage: Passage) -> None:
    raw = "chain raw_ {{ type filter hook prerouting priority -300; ct state {} drop; }}"
    assert not passes(passage, raw.format("invalid"))
    assert passes(passage, raw.format("new"))
    assert passes(passage, raw.format("untracked"))


def test_notrack_is_seen_at_once(passage: Passage) -> None:
    raw = "chain raw_ { type filter hook prerouting priority -300; notrack; ct state untracked drop; }"
    assert not passes(passage, raw)


@pytest.mark.parametrize("question", ["ct mark 0", "ct mark != 7", "ct direction original", "ct direction != original"])
def test_question_about_an_entry_ends_the_rule_of_a_packet_without_one(passage: Passage, question: str) -> None:
    rules = f"chain filter_ {{ type filter hook input priority 0; {question} drop; }}"
    assert passes(passage, rules, untracked=True)


def test_mark_from_an_entry_ends_the_rule_of_a_packet_without_one(passage: Passage) -> None:
    rules = "chain filter_ { type filter hook input priority 0; meta mark set ct mark drop; }"
    assert not passes(passage, rules)
    assert passes(passage, rules, untracked=True)


def test_state_that_is_not_one_of_two_written_without_braces_always_is(passage: Passage) -> None:
    """`!=` compares one bit with two (nft 1.0.6): it never means neither of them, as `!` does."""
    assert not passes(passage, "chain f_ { type filter hook input priority 0; ct state != new,established drop; }")
    assert passes(passage, "chain f_ { type filter hook input priority 0; ct state ! new,established drop; }")


def test_entries_of_what_goes_through_lo_are_confirmed_when_it_comes_in(passage: Passage) -> None:
    packet = "out udp 10.0.0.1:4000 -> 10.0.0.2:53 dev lo"
    drop = "type filter hook {} priority 0; ct status confirmed drop;"
    assert passes(passage, f"chain f_ {{ {drop.format('output')} }}", packet=packet)
    assert not passes(passage, f"chain f_ {{ {drop.format('input')} }}", packet=packet)


def test_goto_returns_to_the_caller_of_its_chain(passage: Passage) -> None:
    chains = (
        "chain last_ { }",
        "chain middle_ { goto last_; drop; }",
        "chain base_ { type filter hook input priority 0; policy drop; jump middle_; accept; }",
    )
    assert passes(passage, *chains)
    assert not passes(
        passage, chains[0], "chain base_ { type filter hook input priority 0; policy drop; goto last_; accept; }"
    )
