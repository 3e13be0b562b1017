"""Law: what diff says becomes untracked, the kernel tracks before and not after; what is tracked again, the reverse.

Each witness of a random pair of policies is sent twice, once under each compiled table. The law must be able to fail:
comparisons that are wrong on purpose are found out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_text import text
from ctpolicy.oracle.sendable import can_be_sent
from ctpolicy.oracle.worlds import Oracle
from ctpolicy.packetspace.packet import Packet
from ctpolicy.plan.side import compare, policy_side
from ctpolicy.plan.traffic import Shift, Traffic
from ctpolicy.testing.strategies import dump, policy_documents
from policies import policy

pytestmark = pytest.mark.kernel

PAIRS = 25

BEFORE = policy("""
bypass:
  - {name: vxlan, overlay: vxlan, peers: [192.168.7.0/24, "fd00:7::/64"]}
  - {name: metrics, host-service: tcp/9100-9110, interfaces: [eth0, "bond*"]}
track:
  - {name: one-node, match: {source: 192.168.7.9, both-ways: true}}
""")
AFTER = policy("""
bypass:
  - {name: vxlan, overlay: vxlan, peers: [192.168.7.0/25, "fd00:7::/64"]}
  - {name: metrics, host-service: tcp/9100-9109}
  - {name: memcached, forward: tcp/11211, clients: 10.128.0.0/14}
""")


@dataclass(slots=True)
class Tally:
    """How many witnesses were sent, and how many cannot be."""

    untracked: int = 0
    tracked: int = 0
    unsent: int = 0


def disagreements(oracle: Oracle, before: Policy, after: Policy, traffic: Traffic, tally: Tally) -> list[str]:
    """The witnesses of which the kernel says anything else than diff does, on either side."""
    said: list[tuple[Packet, bool]] = []
    for shifts, is_untracked_after in ((traffic.untracked, True), (traffic.tracked, False)):
        said += [(shift.witness, is_untracked_after) for shift in shifts if can_be_sent(shift.witness)]
    packets = [packet for packet, _ in said]
    answers = [_asked(oracle, side, packets) for side in (before, after)]
    sent_after = sum(is_untracked_after for _, is_untracked_after in said)
    tally.untracked += sent_after
    tally.tracked += len(said) - sent_after
    tally.unsent += len(traffic.untracked) + len(traffic.tracked) - len(said)
    return [
        f"{packet}: diff says untracked {'after' if expected else 'before'}, the kernel says {earlier}, then {later}"
        for (packet, expected), earlier, later in zip(said, *answers, strict=True)
        if (earlier, later) != (not expected, expected)
    ]


def _asked(oracle: Oracle, loaded: Policy, packets: list[Packet]) -> list[bool]:
    oracle.load(text(compile_policy(loaded)))
    return oracle.untracked(packets)


def difference(before: Policy, after: Policy) -> Traffic:
    return compare(policy_side(before), policy_side(after))


def test_the_kernel_does_what_diff_says(oracle: Oracle) -> None:
    tally = Tally()

    @settings(max_examples=PAIRS)
    @given(policy_documents(), policy_documents(), st.booleans())
    def law(one: dict[str, object], other: dict[str, object], is_added: bool) -> None:
        before, added = load_text(dump(one)), load_text(dump(other))
        # Half of the pairs are one policy and what it becomes with the bypass entries of another, as edits are.
        # Names are unique in a policy, and sets are named after entries.
        renamed = (replace(entry, name=f"added-{at}") for at, entry in enumerate(added.bypass))
        after = replace(before, bypass=(*before.bypass, *renamed)) if is_added else added
        found = disagreements(oracle, before, after, difference(before, after), tally)
        assert not found, "\n".join([*found[:10], dump(one), dump(other), str(is_added)])

    law()
    print(tally)
    assert tally.untracked >= 30
    assert tally.tracked >= 30
    assert tally.unsent < (tally.untracked + tally.tracked) / 4


def test_the_pair_for_wrong_comparisons_is_compared_rightly(oracle: Oracle) -> None:
    tally = Tally()
    assert disagreements(oracle, BEFORE, AFTER, difference(BEFORE, AFTER), tally) == []
    assert tally.untracked
    assert tally.tracked


def with_sides_exchanged() -> Traffic:
    return difference(AFTER, BEFORE)


def with_tracks_forgotten() -> Traffic:
    return difference(replace(BEFORE, track=()), replace(AFTER, bypass=()))


def with_an_entry_forgotten() -> Traffic:
    return difference(BEFORE, replace(AFTER, bypass=AFTER.bypass[::2]))


def with_a_port_too_many() -> Traffic:
    wider = load_text("apiVersion: ctpolicy/v1\nname: w\nbypass: [{name: metrics, host-service: tcp/9100-9111}]\n")
    return difference(BEFORE, replace(AFTER, bypass=(*AFTER.bypass, *wider.bypass)))


def with_answers_as_witnesses() -> Traffic:
    """Each witness with its ends exchanged, on the same path."""

    def turned(shift: Shift) -> Shift:
        packet = shift.witness
        ports = {"source_port": packet.destination_port, "destination_port": packet.source_port}
        return replace(
            shift,
            witness=replace(packet, source=packet.destination, destination=packet.source, **ports),  # type: ignore[arg-type]
        )

    right = difference(BEFORE, AFTER)
    return replace(right, untracked=tuple(map(turned, right.untracked)), tracked=tuple(map(turned, right.tracked)))


@pytest.mark.parametrize(
    "wrong",
    [
        with_sides_exchanged,
        with_tracks_forgotten,
        with_an_entry_forgotten,
        with_a_port_too_many,
        with_answers_as_witnesses,
    ],
)
def test_a_wrong_comparison_is_seen(oracle: Oracle, wrong: Callable[[], Traffic]) -> None:
    found = disagreements(oracle, BEFORE, AFTER, wrong(), Tally())
    print(f"{len(found)} witnesses disagree")
    assert found
