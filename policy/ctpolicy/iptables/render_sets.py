"""ipsets to text, for `ipset restore`.

Ranges are sent as the prefixes and single ports that they are made of: of IPv6 ipset takes no ranges. A prefix of
length 0 is sent as its two halves, because most types refuse it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

from ctpolicy.iptables.prefixes import prefixes
from ctpolicy.iptables.ruleset import IpSet, Joined
from ctpolicy.iptables.values import address_text, ports_text, prefix_text
from ctpolicy.packetspace.fields import PORT_BITS, PROTOCOL_NUMBERS, Family
from ctpolicy.packetspace.interface_values import interval_pattern
from ctpolicy.packetspace.intervals import Interval, IntervalSet

PORT_RANGE: Final = (0, (1 << PORT_BITS) - 1)

_FAMILY_WORDS: Final = {Family.IPV4: "inet", Family.IPV6: "inet6"}

_WITH_NAMED_PORTS: Final = {PROTOCOL_NUMBERS[name]: name for name in ("tcp", "udp", "sctp", "udplite")}
"""The protocols whose ports ipset knows; of any other it takes port 0 alone."""


def dimensions(set_type: str) -> tuple[str, ...]:
    """What an element consists of, by ipset's words: `ip`, `net`, `port`, `iface` and others."""
    return tuple(set_type.partition(":")[2].split(","))


def ipset_lines(one: IpSet) -> Iterator[str]:
    """The lines that make a set and fill it.

    Raises:
        ValueError: it holds what ctpolicy does not model.
    """
    if one.unmodelled:
        raise ValueError(f"the ipset {one.name} holds what cannot be told: {one.unmodelled}")
    yield create_line(one)
    yield from add_lines(one)


def create_line(one: IpSet) -> str:
    """The line that makes a set, empty."""
    words = ["create", one.name, one.type]
    if one.type == "bitmap:port":
        words += ["range", ports_text(PORT_RANGE, "-")]
    elif one.type == "bitmap:ip":
        ends = (one.values.intervals[0][0], one.values.intervals[-1][1])
        words += ["range", "-".join(address_text(end, Family.IPV4) for end in ends)]
    else:
        words += ["family", _FAMILY_WORDS[one.family or Family.IPV4]]
        words += ["maxelem", str(one.most)] if one.most else []
    return " ".join(words)


def add_lines(one: IpSet, elements: IpSet | None = None) -> Iterator[str]:
    """The lines that add elements to a set: all of its own, or those of another set of its type."""
    yield from (f"add {one.name} {element}" for element in element_texts(elements or one))


def element_texts(one: IpSet) -> Iterator[str]:
    """The elements of a set, each as `ipset add`, `del` and `test` take it."""
    kinds = dimensions(one.type)
    if len(kinds) == 1:
        yield from _values(one.values, kinds[0], one.family or Family.IPV4)
        return
    for element in one.elements:
        yield from _joined(element, kinds, one.family or Family.IPV4)


def _values(values: IntervalSet, kind: str, family: Family) -> Iterable[str]:
    if kind == "port":
        return (ports_text(interval, "-") for interval in values)
    return (text for interval in values for text in _addresses(interval, kind, family))


def _addresses(interval: Interval, kind: str, family: Family) -> Iterator[str]:
    """`hash:ip` takes one address at a time of IPv6, and a prefix of IPv4 as all of its addresses."""
    if kind == "ip" and family is Family.IPV6:
        yield from (address_text(value, family) for value in range(interval[0], interval[1] + 1))
        return
    halves = [interval]
    if interval == (0, (1 << family.bits) - 1):
        middle = 1 << (family.bits - 1)
        halves = [(0, middle - 1), (middle, interval[1])]
    for half in halves:
        for first, last in prefixes(IntervalSet((half,)), family.bits):
            yield address_text(first, family) if first == last else prefix_text((first, last), family)


def _joined(element: Joined, kinds: tuple[str, ...], family: Family) -> Iterator[str]:
    parts = zip(element.parts, element.protocols, kinds, strict=True)
    texts = [list(_part(part, protocol, kind, family)) for part, protocol, kind in parts]
    wildcard = " wildcard" if "iface" in kinds and _pattern(element.parts[kinds.index("iface")]).endswith("*") else ""
    yield from (",".join(chosen) + wildcard for chosen in product(*texts))


def _part(part: Interval, protocol: int | None, kind: str, family: Family) -> Iterator[str]:
    if kind == "port":
        assert protocol is not None, "a port has a protocol"
        yield f"{_WITH_NAMED_PORTS.get(protocol, str(protocol))}:{ports_text(part, '-')}"
    elif kind == "iface":
        yield _pattern(part).removesuffix("*")
    else:
        yield from _addresses(part, kind, family)


def _pattern(part: Interval) -> str:
    pattern = interval_pattern(part)
    assert pattern is not None, f"{part} is no interface"
    return pattern
