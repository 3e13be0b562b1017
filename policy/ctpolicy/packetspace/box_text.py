"""A box of packets in words, after the notation of packets: `in udp 192.0.2.0/24 -> any:4789 dev eth*`."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ctpolicy.packetspace.fields import PORT_BITS, Family, protocol_name
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interval_pattern, pattern_interval
from ctpolicy.packetspace.interfaces import is_interface_pattern
from ctpolicy.packetspace.intervals import Interval, IntervalSet, prefix_length
from ctpolicy.packetspace.universe import FAMILIES, PATHS, Box, Field, path_set

MOST_SHOWN: Final = 4
"""Of a list; of a longer one, the first few and how many more."""


def box_text(box: Box) -> str:
    """A box in one line. Fields that may be anything are left out or `any`."""
    words = [_paths(box), *_family(box), _protocols(box), _end(box, Field.SOURCE, Field.SOURCE_PORT), "->"]
    words.append(_end(box, Field.DESTINATION, Field.DESTINATION_PORT))
    if Field.INTERFACE in box:
        words += ["dev", _interfaces(box[Field.INTERFACE])]
    return " ".join(words)


def values_text(field: Field, values: IntervalSet, family: Family) -> str:
    """The values of one field in words, as they stand in a box; addresses are of this family."""
    texts: dict[Field, Callable[[Interval], str]] = {
        Field.PATH: lambda ends: _range(PATHS[ends[0]].value, PATHS[ends[1]].value),
        Field.FAMILY: lambda ends: _range(FAMILIES[ends[0]].value, FAMILIES[ends[1]].value),
        Field.PROTOCOL: _protocol_range,
    }
    if field is Field.INTERFACE:
        return _interfaces(values)
    if field in (Field.SOURCE, Field.DESTINATION):
        return _list(values, lambda interval: _address(interval, family))
    return _list(values, texts.get(field, _port_range))


def _paths(box: Box) -> str:
    paths = [path.value for value, path in enumerate(PATHS) if value in box.get(Field.PATH, path_set(*PATHS))]
    return ",".join(paths)


def _family(box: Box) -> list[str]:
    """The family, where no address tells it."""
    if Field.FAMILY not in box or Field.SOURCE in box or Field.DESTINATION in box:
        return []
    return [_of(box).value]


def _of(box: Box) -> Family:
    return FAMILIES[box[Field.FAMILY].intervals[0][0]]


def _protocols(box: Box) -> str:
    if Field.PROTOCOL not in box:
        return "any"
    return _list(box[Field.PROTOCOL], _protocol_range)


def _end(box: Box, address: Field, port: Field) -> str:
    addresses = "any"
    if address in box:
        family = _of(box)
        addresses = _shorter(box[address], family.bits, lambda interval: _address(interval, family))
    if port not in box:
        return addresses
    if not addresses.replace(".", "").isalnum():
        addresses = f"[{addresses}]"
    return f"{addresses}:{_shorter(box[port], PORT_BITS, _port_range)}"


def _shorter(values: IntervalSet, bits: int, text: Callable[[Interval], str]) -> str:
    """The values of a field, or those that are not among them if they are fewer to tell."""
    others = values.complement(bits)
    if others and len(others) < len(values):
        return f"not {_list(others, text)}"
    return _list(values, text)


def _address(interval: Interval, family: Family) -> str:
    kind = IPv4Address if family is Family.IPV4 else IPv6Address
    length = prefix_length(interval, family.bits)
    if length is None or length == family.bits:
        return _range(str(kind(interval[0])), str(kind(interval[1])))
    return f"{kind(interval[0])}/{length}"


def _interfaces(values: IntervalSet) -> str:
    """Names and patterns, or all but these; the bytes in hexadecimal for what is neither."""
    others = values.complement(INTERFACE_BITS)
    if 0 in values and all(interval_pattern(interval) for interval in others):
        return f"not {_list(others, _interface)}"
    if all(map(_is_told, values)):
        return _list(values, _interface)
    return _pattern_but(values) or _all_but(values) or _list(values, _interface)


def _all_but(values: IntervalSet) -> str:
    """All but some patterns, and a few names that are in these: `cali1234, not cali*,lo`; nothing if it is not that."""
    named = IntervalSet.of(filter(_is_told, values))
    left_out = values.complement(INTERFACE_BITS) | named
    if not left_out or not all(map(_is_told, left_out)):
        return ""
    several = [f"{_list(named, _interface)},"] if named else []
    return " ".join([*several, f"not {_list(left_out, _interface)}"])


def _is_told(interval: Interval) -> bool:
    """Whether it is one name or pattern, or that of what has none."""
    return interval == (0, 0) or interval_pattern(interval) is not None


def _pattern_but(values: IntervalSet) -> str:
    """What a pattern covers but for others in it: `eth1* but eth1`; nothing if it is not that."""
    beginning = values.intervals[-1][1].to_bytes(INTERFACE_BITS // 8).rstrip(b"\xff")
    if not beginning.isascii() or not is_interface_pattern(pattern := f"{beginning.decode('ascii')}*"):
        return ""
    others = IntervalSet((pattern_interval(pattern),)) & values.complement(INTERFACE_BITS)
    is_within = values & IntervalSet((pattern_interval(pattern),)) == values
    if not others or not is_within or not all(interval_pattern(interval) for interval in others):
        return ""
    return f"{pattern} but {_list(others, _interface)}"


def _interface(interval: Interval) -> str:
    if interval == (0, 0):
        return "unnamed"
    return interval_pattern(interval) or f"{interval[0]:#x}-{interval[1]:#x}"


def _port_range(ends: Interval) -> str:
    return _range(str(ends[0]), str(ends[1]))


def _protocol_range(ends: Interval) -> str:
    return _range(protocol_name(ends[0]), protocol_name(ends[1]))


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first}-{last}"


def _list(values: IntervalSet, text: Callable[[Interval], str]) -> str:
    """The first few in words: of 100,000 only those that are shown are put into words."""
    if len(values) <= MOST_SHOWN:
        return ",".join(map(text, values))
    shown = map(text, values.intervals[: MOST_SHOWN - 1])
    return ",".join([*shown, f"... {len(values) - MOST_SHOWN + 1:,} more"])
