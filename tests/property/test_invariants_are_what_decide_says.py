"""Law: whether an invariant holds, with its waivers, is what `decide` says of every packet of a small universe.

The universe is made of few addresses, ports, protocols and interfaces on every path. All that policies and invariants
say here names nothing else, or blocks that no packet of the universe stands for, so what is so of its packets is so of
all: a packet outside of it is in the same entries as one inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from ipaddress import ip_address
from itertools import product
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.language.invariants import load_invariants
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Entry, Policy
from ctpolicy.language.rules import (
    AlwaysBypass,
    AtMostEntries,
    Invariant,
    NeverBypass,
    NoAcknowledged,
    OnlyBypassWithin,
    Packets,
    Waiver,
)
from ctpolicy.language.source import Source
from ctpolicy.meaning import Leg, Meaning, legs
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Path
from ctpolicy.packetspace.packet import Packet
from ctpolicy.review.invariants import check_invariants
from ctpolicy.review.review import Result
from ctpolicy.testing.documents import dump

Draw = Callable[[st.SearchStrategy[Any]], Any]

TODAY = date(2026, 11, 23)
ADDRESSES = ("10.0.0.1", "10.0.0.2", "192.0.2.1")
PORTS = (9100, 40000)
INTERFACES = ("eth0", "")
NAMED = st.lists(st.sampled_from(ADDRESSES[:2]), min_size=1, max_size=2, unique=True)
SERVICES = st.lists(st.sampled_from(("tcp/9100", "tcp/9100", "gre")), min_size=1, max_size=2)


KINDS: Final[tuple[tuple[int, int | None, int | None], ...]] = (
    *product((6,), PORTS, PORTS),
    *((PROTOCOL_NUMBERS[name], None, None) for name in ("gre", "icmp")),
)
"""Protocols and ports; icmp stands for all protocols that are named nowhere."""


def universe() -> Iterator[Packet]:
    """Every packet of it; what is named nowhere is there once: an address, a port, an interface without a name."""
    for path, source, destination in product(Path, ADDRESSES, ADDRESSES):
        interfaces = (*INTERFACES, "lo") if path is Path.OUT else INTERFACES
        for interface in interfaces:
            for protocol, source_port, destination_port in KINDS:
                ends = (ip_address(source), ip_address(destination))
                yield Packet(path, protocol, *ends, source_port, destination_port, interface)


UNIVERSE = tuple(universe())


def with_some(kind: str, values: st.SearchStrategy[Any], *keys: str) -> st.SearchStrategy[dict[str, Any]]:
    others = st.fixed_dictionaries({}, optional=dict.fromkeys(keys, NAMED))
    return st.builds(lambda value, more: {kind: value, "families": ["ipv4"], **more}, values, others)


MATCH = st.fixed_dictionaries(
    {},
    optional={
        "source": NAMED,
        "destination": NAMED,
        "paths": st.lists(st.sampled_from(["in", "forward", "out"]), min_size=1, max_size=3, unique=True),
        "interfaces": st.just(["eth0"]),
        "both-ways": st.booleans(),
        "destination-ports": st.just("tcp/9100"),
    },
)
TRAFFIC = st.one_of(
    with_some("host-service", SERVICES, "peers", "local"),
    with_some("host-client", SERVICES, "peers"),
    with_some("forward", SERVICES, "clients", "servers"),
    with_some("ports", SERVICES),
    with_some("match", MATCH),
)
PACKETS = st.lists(TRAFFIC, min_size=1, max_size=2)
MEETING = st.one_of(st.none(), PACKETS)
RULES = st.one_of(
    st.builds(lambda packets: {"never-bypass": packets}, PACKETS),
    st.builds(lambda packets: {"always-bypass": packets}, PACKETS),
    st.builds(lambda packets: {"only-bypass-within": packets}, PACKETS),
    st.builds(
        lambda limit, meeting: {"at-most-entries": {"limit": limit, **({"meeting": meeting} if meeting else {})}},
        st.integers(0, 2),
        MEETING,
    ),
    st.builds(lambda meeting: {"no-acknowledged": meeting or True}, MEETING),
)
NAMES = tuple("abcde")
WAIVERS = st.lists(
    st.fixed_dictionaries(
        {
            "owner": st.just("o"),
            "reason": st.just("r"),
            "expires": st.sampled_from(["2026-11-23", "2026-11-23", "2026-11-22"]),
        },
        optional={"entries": st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True), "packets": PACKETS},
    ),
    max_size=3,
)


@st.composite
def small_policies(draw: Draw) -> Policy:
    """Policies that tell the packets of the universe apart, and no others."""
    bypass, track = draw(st.lists(TRAFFIC, min_size=1, max_size=3)), draw(st.lists(TRAFFIC, max_size=2))
    for name, entry in zip(NAMES, [*bypass, *track], strict=False):
        entry["name"] = name
    for entry in bypass:
        entry["acknowledge"] = "a random policy"
    text = dump({"apiVersion": "ctpolicy/v1", "name": "x", "bypass": bypass, "track": track})
    policy = load_text(text)
    dropped = draw(st.sets(st.sampled_from(NAMES)))
    return Policy("x", tuple(map(_unacknowledged(dropped), policy.bypass)), policy.track)


def _unacknowledged(names: set[str]) -> Callable[[Entry], Entry]:
    return lambda entry: replace(entry, acknowledge=None) if entry.name in names else entry


class Brute:
    """The same questions, asked of each packet alone."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.meaning = Meaning.of(policy)
        self.decisions = [self.meaning.decide(packet) for packet in UNIVERSE]

    def holds(self, invariant: Invariant, waivers: list[Waiver]) -> bool:
        """Whether an invariant holds if these waivers are in force."""
        rule = invariant.rule
        pairs = {pair for pair in self.breaches(invariant) if not any(covers(waiver, *pair) for waiver in waivers)}
        if isinstance(rule, AtMostEntries):
            return len({entry for entry, _ in pairs}) <= rule.limit
        return not pairs

    def breaches(self, invariant: Invariant) -> Iterator[tuple[str | None, Packet]]:
        """Each entry, or none, and each packet with which it does what it should not."""
        for packet, decision in zip(UNIVERSE, self.decisions, strict=True):
            match invariant.rule:
                case NeverBypass(packets):
                    names = decision.bypassed_by if decision.untracked and among(packet, packets) else ()
                case OnlyBypassWithin(packets):
                    names = decision.bypassed_by if decision.untracked and not among(packet, packets) else ()
                case AlwaysBypass(packets):
                    wanted = among(packet, packets) and not decision.untracked
                    if wanted and not decision.bypassed_by:
                        yield None, packet
                    names = decision.tracked_by if wanted and decision.bypassed_by else ()
                case AtMostEntries(_, meeting):
                    names = decision.bypassed_by if meeting is None or among(packet, meeting) else ()
                case NoAcknowledged(meeting):
                    met = meeting is None or among(packet, meeting)
                    names = tuple(name for name in decision.bypassed_by if met and self.is_acknowledged(name))
            yield from ((name, packet) for name in names)

    def is_acknowledged(self, name: str) -> bool:
        return any(entry.name == name and entry.acknowledge is not None for entry in self.policy.bypass)


_LEGS: dict[Packets, tuple[Leg, ...]] = {}


def among(packet: Packet, packets: Packets) -> bool:
    if packets not in _LEGS:
        _LEGS[packets] = tuple(leg for entry in packets for leg in legs(entry))
    return any(packet in leg for leg in _LEGS[packets])


def covers(waiver: Waiver, name: str | None, packet: Packet) -> bool:
    """Whether a waiver lets an entry do this to a packet."""
    named = waiver.entries is None or name in waiver.entries
    return named and (waiver.packets is None or among(packet, waiver.packets))


@settings(max_examples=150)
@given(small_policies(), RULES, WAIVERS)
def test_an_invariant_holds_exactly_if_it_does_of_every_packet(
    policy: Policy, rule: dict[str, Any], waivers: list[dict[str, Any]]
) -> None:
    text = dump(
        {
            "apiVersion": "ctpolicy/invariants-v1",
            "name": "x",
            "invariants": [{"name": "it", **rule}],
            "waivers": [{"invariant": "it", **waiver} for waiver in waivers],
        }
    )
    invariants = load_invariants([Source("x.yaml", text)])
    (check,) = check_invariants(policy, invariants, TODAY)
    brute, (invariant,) = Brute(policy), invariants.invariants
    valid = [waiver for waiver in invariants.waivers if waiver.expires >= TODAY]
    expected = (
        Result.HELD if brute.holds(invariant, []) else Result.WAIVED if brute.holds(invariant, valid) else Result.BROKEN
    )
    assert check.result is expected, text
    for remark in check.remarks:
        if remark.witness is not None:
            packet, name = remark.witness, remark.entry or None
            assert not any(covers(waiver, name, packet) for waiver in valid), remark
            assert packet_is_a_breach(brute, invariant, name, packet), remark


def packet_is_a_breach(brute: Brute, invariant: Invariant, name: str | None, packet: Packet) -> bool:
    """Whether the witness is one, though it may be outside of the universe."""
    decision = brute.meaning.decide(packet)
    match invariant.rule:
        case NeverBypass(packets):
            return decision.untracked and among(packet, packets) and name in decision.bypassed_by
        case OnlyBypassWithin(packets):
            return decision.untracked and not among(packet, packets) and name in decision.bypassed_by
        case AlwaysBypass(packets):
            deciding = decision.tracked_by if decision.bypassed_by else (None,)
            return not decision.untracked and among(packet, packets) and name in deciding
        case NoAcknowledged(meeting):
            return name in decision.bypassed_by and (meeting is None or among(packet, meeting))
        case _:
            return False


def test_the_universe_is_small_and_has_all_kinds_of_packets() -> None:
    assert len(UNIVERSE) == len(set(UNIVERSE)) == 9 * (2 + 2 + 3) * 6
