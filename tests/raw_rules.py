"""Raw tables and ipsets for property tests: such as the kernel takes, as iptables-save and ipset list them."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from ctpolicy.iptables.ruleset import (
    Address,
    AddressRange,
    AddressType,
    Chain,
    End,
    InSet,
    Interface,
    IpSet,
    Joined,
    Match,
    Multiport,
    Notrack,
    Port,
    Protocol,
    RawTable,
    Rule,
    Target,
    UnmodelledMatch,
    UnmodelledTarget,
    Verdict,
    VerdictKind,
)
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.interface_values import pattern_interval
from ctpolicy.packetspace.intervals import Interval, IntervalSet

CHAINS: Final = ("CTPOLICY-A", "CTPOLICY-B", "CTPOLICY-C")
"""Each leads to later ones alone."""

MODULES: Final = {"tcp": 6, "udp": 17, "sctp": 132}
PORTLESS: Final = {Family.IPV4: (1, 50, 51), Family.IPV6: (58, 50)}
SETS: Final = {"nets": ("hash:net", 1), "ports": ("bitmap:port", 1), "pairs": ("hash:ip,port", 2)}
TYPES: Final = {
    Family.IPV4: ("UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "UNREACHABLE"),
    Family.IPV6: ("UNICAST", "LOCAL", "ANYCAST", "MULTICAST", "UNREACHABLE"),
}

port_numbers: Final = st.integers(0, 65535)
port_intervals: Final = st.tuples(port_numbers, port_numbers).map(lambda ends: (min(ends), max(ends)))
comments: Final = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
names: Final = st.from_regex(r"[a-z][a-z0-9.@_-]{0,13}", fullmatch=True)
ends: Final = st.sampled_from([End.SOURCE, End.DESTINATION])


def prefix_intervals(family: Family, shortest: int = 1) -> st.SearchStrategy[Interval]:
    """Prefixes, but the one that holds all."""

    def prefix(length: int, address: int) -> Interval:
        size = 1 << (family.bits - length)
        return address & -size, (address & -size) + size - 1

    return st.builds(prefix, st.integers(shortest, family.bits), addresses(family))


def addresses(family: Family) -> st.SearchStrategy[int]:
    """Any address; half of them near each other."""
    largest = (1 << family.bits) - 1
    return st.one_of(st.integers(0, largest), st.integers(10 << 24, (10 << 24) + 300))


@st.composite
def rules(draw: st.DrawFn, family: Family, built_in: str | None, later: tuple[str, ...]) -> Rule:
    """A rule as the kernel takes it and iptables-save prints it."""
    matches: list[Match] = []
    for end in (End.SOURCE, End.DESTINATION):
        if draw(st.booleans()):
            matches.append(Address(end, draw(prefix_intervals(family)), draw(st.booleans())))
    if built_in and draw(st.booleans()):
        end = End.SOURCE if built_in == "PREROUTING" else End.DESTINATION
        matches.append(Interface(end, draw(names) + draw(st.sampled_from(["", "+"])), draw(st.booleans())))
    matches += draw(protocol_matches(family))
    matches += draw(module_matches(family))
    comment = draw(st.none() | comments)
    return Rule(tuple(matches), draw(targets(later)), comment)


@st.composite
def protocol_matches(draw: st.DrawFn, family: Family) -> list[Match]:
    """A protocol, and what can be asked of its packets alone."""
    number = draw(st.sampled_from([None, *MODULES.values(), 136, *PORTLESS[family]]))
    if number is None:
        return []
    if number in PORTLESS[family]:
        return [Protocol(number, draw(st.booleans()))]
    found: list[Match] = [Protocol(number)]
    module = next((word for word, its in MODULES.items() if its == number), None)
    for end in (End.SOURCE, End.DESTINATION):
        if module and draw(st.booleans()):
            interval = draw(port_intervals.filter(lambda interval: interval != (0, 65535)))
            # iptables-nft prints `! --dport 0:99` as `--dport 100:65535`.
            negated = draw(st.booleans()) and interval[0] > 0 and interval[1] < 65535
            found.append(Port(module, end, interval, negated))
    if number == 6 and draw(st.booleans()):
        found.append(UnmodelledMatch("-m tcp --tcp-flags FIN,SYN,RST,ACK SYN"))
    if draw(st.booleans()):
        intervals = tuple(draw(st.lists(port_intervals, min_size=1, max_size=7)))
        found.append(Multiport(draw(st.sampled_from(End)), intervals, draw(st.booleans())))
    return found


@st.composite
def module_matches(draw: st.DrawFn, family: Family) -> list[Match]:
    """What modules ask of packets of any protocol."""
    found: list[Match] = []
    if draw(st.booleans()):
        first, last = sorted(draw(st.tuples(addresses(family), addresses(family))))
        found.append(AddressRange(draw(ends), (first, last), draw(st.booleans())))
    if draw(st.booleans()):
        types = draw(st.frozensets(st.sampled_from(TYPES[family]), min_size=1))
        found.append(AddressType(draw(ends), types, draw(st.booleans())))
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(SETS)))
        asked = draw(st.lists(ends, min_size=SETS[name][1], max_size=SETS[name][1]))
        found.append(InSet(f"{name}-{family.value}", tuple(asked), draw(st.booleans())))
    if draw(st.booleans()):
        found.append(UnmodelledMatch("-m mark --mark 0x1/0xff"))
    return found


def targets(later: tuple[str, ...]) -> st.SearchStrategy[Target | None]:
    """Targets; jumps and gotos lead to later chains."""
    plain = [Verdict(VerdictKind.ACCEPT), Verdict(VerdictKind.DROP), Verdict(VerdictKind.RETURN)]
    leading = [Verdict(kind, chain) for kind in (VerdictKind.JUMP, VerdictKind.GOTO) for chain in later]
    unmodelled = [UnmodelledTarget("-j CT --zone 1"), UnmodelledTarget('-j LOG --log-prefix "a b: "')]
    return st.sampled_from([None, Notrack(), Notrack(), *plain, *leading, *unmodelled])


@st.composite
def raw_tables(draw: st.DrawFn, family: Family) -> RawTable:
    """A raw table."""
    made = [
        Chain(name, tuple(draw(st.lists(rules(family, name, CHAINS), max_size=4))), draw(policies))
        for name in ("PREROUTING", "OUTPUT")
    ]
    for place, name in enumerate(CHAINS, start=1):
        made.append(Chain(name, tuple(draw(st.lists(rules(family, None, CHAINS[place:]), max_size=4)))))
    return RawTable(tuple(sorted(made, key=lambda chain: chain.name)))


policies: Final = st.sampled_from(["ACCEPT", "ACCEPT", "DROP"])


@st.composite
def ipsets(draw: st.DrawFn, family: Family) -> tuple[IpSet, ...]:
    """The sets that rules name, and others."""
    word = family.value
    nets = IntervalSet.of(draw(st.lists(prefix_intervals(family, 0), max_size=8)))
    ports = IntervalSet.of(draw(st.lists(st.integers(0, 65000).map(lambda port: (port, port + 3)), max_size=5)))
    pairs = draw(st.lists(joined(family, "ip,port"), max_size=5))
    # A name that a wildcard of the same network covers is refused, as one that is there already.
    more = draw(st.lists(joined(family, "net,iface"), max_size=5, unique_by=lambda element: element.parts[0]))
    services = draw(st.lists(joined(family, "net,port"), max_size=5))
    return (
        IpSet(f"devices-{word}", "hash:net,iface", family, elements=tuple(sorted(set(more))), most=100),
        IpSet(f"nets-{word}", "hash:net", family, nets, most=100_000),
        IpSet(f"pairs-{word}", "hash:ip,port", family, elements=tuple(sorted(set(pairs))), most=65_536),
        IpSet(f"ports-{word}", "bitmap:port", None, ports, most=65_536),
        IpSet(f"services-{word}", "hash:net,port", family, elements=tuple(sorted(set(services))), most=65_536),
    )


def joined(family: Family, kinds: str) -> st.SearchStrategy[Joined]:
    """An element of several dimensions, as ipset lists it."""
    parts = {
        "ip": addresses(family).filter(bool).map(lambda value: ((value, value), None)),
        "net": prefix_intervals(family, 1).map(lambda prefix: (prefix, None)),
        "iface": st.tuples(names, st.sampled_from(["", "*"])).map(lambda pair: (pattern_interval("".join(pair)), None)),
        "port": st.one_of(
            st.tuples(port_numbers.map(lambda port: (port, port)), st.sampled_from([6, 17, 132, 136])),
            st.tuples(st.just((0, 0)), st.sampled_from([33, 47, 50])),
        ),
    }
    whole = st.tuples(*(parts[kind] for kind in kinds.split(",")))
    return whole.map(lambda pairs: Joined(tuple(part for part, _ in pairs), tuple(protocol for _, protocol in pairs)))
