"""Strategies for Hypothesis: rules of hosts in the form of hazards/rules.py, and packets that they tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import count
from random import Random
from typing import Final

from hypothesis import strategies as st

from ctpolicy.hazards.rules import (
    About,
    Action,
    Asked,
    Base,
    Chain,
    Decision,
    Hook,
    HostRules,
    Nat,
    Open,
    Rule,
    Service,
    Step,
    Table,
    Translation,
    Use,
    Values,
    Verdict,
    Within,
    policy_step,
)
from ctpolicy.hazards.situations import (
    ALWAYS,
    OF_AN_ENTRY,
    in_direction,
    in_state,
    with_status,
)
from ctpolicy.packetspace.fields import LOOPBACK, PROTOCOLS_WITH_PORTS, Family, Path
from ctpolicy.packetspace.interface_values import interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet

_ADDRESSES: Final = ("10.0.0.1", "10.0.0.2", "192.0.2.9", "fd00::1", "fd00::2")
_PORTS: Final = (22, 53, 80, 40000)
_PROTOCOLS: Final = (1, 6, 17, 47, 58)
_INTERFACES: Final = ("", "eth0", "eth1", LOOPBACK)

_POOL: Final[dict[Asked, tuple[int, ...]]] = {
    Asked.FAMILY: (0, 1),
    Asked.PROTOCOL: _PROTOCOLS,
    Asked.SOURCE: tuple(int(ip_address(one)) for one in _ADDRESSES),
    Asked.DESTINATION: tuple(int(ip_address(one)) for one in _ADDRESSES),
    Asked.SOURCE_PORT: _PORTS,
    Asked.DESTINATION_PORT: _PORTS,
    Asked.INCOMING: tuple(map(interface_value, _INTERFACES)),
    Asked.OUTGOING: tuple(map(interface_value, _INTERFACES)),
    Asked.DESTINATION_TYPE: (0, 1, 4, 5),
    Asked.ICMP_TYPE: (3, 8, 128),
}
"""Values near which packets are."""

LEAF_CHAINS: Final = ("c1", "c2", "c3")
"""Chains that are jumped to, each by those before it."""


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    """A packet on any route."""
    path = draw(st.sampled_from(Path))
    source = ip_address(draw(st.sampled_from(_ADDRESSES)))
    destination = ip_address(
        draw(st.sampled_from([one for one in _ADDRESSES if (":" in one) is (source.version == 6)]))
    )
    protocol = draw(st.sampled_from(_PROTOCOLS))
    ports = [draw(st.sampled_from(_PORTS)) if protocol in PROTOCOLS_WITH_PORTS else None for _ in range(2)]
    interface = draw(st.sampled_from(_INTERFACES if path is Path.OUT else _INTERFACES[:-1]))
    return Packet(path, protocol, source, destination, ports[0], ports[1], interface)


def _questions() -> Iterator[Within]:
    """Questions about one field, and about two."""
    random = Random(8)
    for asked in Asked:
        for _ in range(3):
            values = random.sample(_POOL[asked], random.randint(1, 2))
            yield Within.of(asked, IntervalSet.of((one, one) for one in values), negated=random.random() < 0.3)
    for _ in range(15):
        pair = random.sample(list(Asked), 2)
        boxes: list[Values] = []
        for _ in range(random.randint(1, 3)):
            boxes.append({asked: IntervalSet.single(random.choice(_POOL[asked])) for asked in pair})
        yield Within(tuple(boxes), random.random() < 0.3)


QUESTIONS: Final = tuple(_questions())

TRACKINGS: Final = (
    *(in_state(state) for state in ("new", "established", "related", "untracked", "invalid")),
    in_state("established", "related"),
    in_state("new", "untracked", negated=True),
    in_direction("reply"),
    in_direction("original", negated=True),
    with_status(["seen-reply"]),
    with_status(["assured", "dnat"], negated=True),
    OF_AN_ENTRY,
)


def _actions(targets: tuple[str, ...], is_nat: bool) -> list[Action]:
    plain = [Decision(one) for one in (Verdict.ACCEPT, Verdict.DROP, Verdict.REJECT, Verdict.RETURN, Verdict.QUEUE)]
    ways: list[Action] = [
        *plain,
        *(Decision(verdict, target) for target in targets for verdict in (Verdict.JUMP, Verdict.JUMP, Verdict.GOTO)),
        *(Use(one) for one in (Service.CT_MARK, Service.MARK, Service.NOTRACK)),
    ]
    if is_nat:
        ways += [Translation(Nat.DESTINATION, "10.0.0.1", 80), Translation(Nat.MASQUERADE)] * 2
    return ways


_OPEN: Final = (*[()] * 9, *((Open("something", about),) for about in About))

_numbers = count(1)


@st.composite
def _steps(draw: st.DrawFn, chain: str, targets: tuple[str, ...], is_nat: bool) -> tuple[Step, ...]:
    found = []
    actions, tracked = _actions(targets, is_nat), (*[ALWAYS] * len(TRACKINGS), *TRACKINGS)
    for number in range(1, draw(st.integers(0, 5)) + 1):
        fields = tuple(draw(st.sampled_from(QUESTIONS)) for _ in range(draw(st.integers(0, 2))))
        questions = draw(st.sampled_from(_OPEN))
        action = draw(st.sampled_from(actions))
        rule = Rule(f"{action} #{next(_numbers)}", chain=chain, number=number)
        found.append(Step(rule, fields, draw(st.sampled_from(tracked)), questions, action))
    return tuple(found)


@st.composite
def _tables(draw: st.DrawFn, name: str) -> Table:
    is_nat = draw(st.booleans())
    chains = {
        chain: Chain(chain, draw(_steps(chain, LEAF_CHAINS[at + 1 :], is_nat))) for at, chain in enumerate(LEAF_CHAINS)
    }
    for number in range(draw(st.integers(1, 3))):
        chain = f"b{number}"
        hook = draw(st.sampled_from([one for one in Hook if not is_nat or one is not Hook.FORWARD]))
        priority = draw(st.sampled_from([-300, -200, -150, 0, 50, 150]))
        rule = Rule("policy", table=name, chain=chain)
        base = Base(hook, priority, is_nat, policy_step(rule, drops=draw(st.booleans()) and not is_nat))
        chains[chain] = Chain(chain, draw(_steps(chain, LEAF_CHAINS, is_nat)), base)
    families = frozenset(draw(st.sampled_from([tuple(Family), tuple(Family), (Family.IPV4,), (Family.IPV6,)])))
    return Table(name, families, chains, may_sleep=draw(st.integers(0, 7)) == 0)


@st.composite
def hosts(draw: st.DrawFn) -> HostRules:
    """A host with a few tables."""
    return HostRules(tuple(draw(_tables(f"t{number}")) for number in range(draw(st.integers(1, 2)))))
