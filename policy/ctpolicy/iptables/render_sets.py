"""ipsets to text, for `ipset restore`.

Ranges of addresses are sent as the prefixes that they are made of: of IPv6 ipset takes no ranges. A prefix of length 0
is sent as its two halves to the types that refuse it.
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

_WITHOUT_WHOLE: Final = frozenset({"hash:net", "hash:net,port", "hash:ip,port,net"})
"""Types whose networks may not have length 0."""

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
        # An empty one, which somebody else has made, shows no bounds here; any that it may have are as good.
        ends = (one.values.intervals[0][0], one.values.intervals[-1][1]) if one.values.intervals else (0, PORT_RANGE[1])
        words += ["range", "-".join(address_text(end, Family.IPV4) for end in ends)]
    else:
        words += ["family", _FAMILY_WORDS[one.family]] if one.family else []
        words += ["maxelem", str(one.most)] if one.most else []
    return " ".join(words)


def add_lines(one: IpSet, elements: IpSet | None = None) -> Iterator[str]:
    """The lines that add elements to a set: all of its own, or those of another set of its type."""
    yield from (f"add {one.name} {element}" for element in element_texts(elements or one))


def element_texts(one: IpSet) -> Iterator[str]:
    """The elements of a set, each as `ipset add`, `del` and `test` take it."""
    kinds = dimensions(one.type)
    if len(kinds) == 1:
        yield from _values(one, kinds[0])
        return
    for element in one.elements:
        yield from _joined(one, element, kinds)


def _values(one: IpSet, kind: str) -> Iterable[str]:
    if kind == "port":
        return (ports_text(interval, "-") for interval in one.values)
    return (text for interval in one.values for text in _addresses(one, interval, kind))


def _addresses(one: IpSet, interval: Interval, kind: str) -> Iterator[str]:
    family = one.family or Family.IPV4
    if kind == "ip" and family is Family.IPV6:  # one at a time; a prefix of IPv4 stands for all of its addresses
        yield from (address_text(value, family) for value in range(interval[0], interval[1] + 1))
        return
    blocks = [interval]
    if interval == (0, (1 << family.bits) - 1) and one.type in _WITHOUT_WHOLE:
        middle = 1 << (family.bits - 1)
        blocks = [(0, middle - 1), (middle, interval[1])]
    for block in blocks:
        for first, last in prefixes(IntervalSet((block,)), family.bits):
            yield address_text(first, family) if first == last else prefix_text((first, last), family)


def _joined(one: IpSet, element: Joined, kinds: tuple[str, ...]) -> Iterator[str]:
    parts = zip(element.parts, element.protocols, kinds, strict=True)
    texts = [list(_part(one, part, protocol, kind)) for part, protocol, kind in parts]
    wildcard = " wildcard" if "iface" in kinds and _pattern(element.parts[kinds.index("iface")]).endswith("*") else ""
    yield from (",".join(chosen) + wildcard for chosen in product(*texts))


def _part(one: IpSet, part: Interval, protocol: int | None, kind: str) -> Iterator[str]:
    if kind == "port":
        assert protocol is not None, "a port has a protocol"
        yield f"{_WITH_NAMED_PORTS.get(protocol, str(protocol))}:{ports_text(part, '-')}"
    elif kind == "iface":
        yield _pattern(part).removesuffix("*")
    else:
        yield from _addresses(one, part, kind)


def _pattern(part: Interval) -> str:
    pattern = interval_pattern(part)
    assert pattern is not None, f"{part} is no interface"
    return pattern
