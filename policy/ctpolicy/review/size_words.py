"""How many packets a box holds, in words that people weigh: `256 addresses, 3 ports`, `all of udp`, `everything`.

A number is said where it means something: addresses of ipv4, ports, protocols. 2^64 addresses are a /64.
"""

from __future__ import annotations

from typing import Final

from ctpolicy.packetspace.fields import LOOPBACK, PORT_BITS, Family, protocol_name
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet, prefix_length
from ctpolicy.packetspace.universe import FAMILIES, PATHS, Box, Field

MOST_NAMED: Final = 3
"""Protocols that are called by their names; more are counted."""

MOST_COUNTED: Final = 1 << 32
"""Addresses; of more, the prefixes."""

_ON_LOOPBACK: Final = IntervalSet.single(interface_value(LOOPBACK))


def size_words(box: Box) -> str:
    """How much a box holds: addresses, ports or all of a protocol, interfaces; or all there is on its paths.

    Two ends that are both limited are told as `one address to 256 addresses`.
    """
    addresses = _ends(_addresses(box, Field.SOURCE), _addresses(box, Field.DESTINATION))
    ports = _ends(_ports(box, Field.SOURCE_PORT), _ports(box, Field.DESTINATION_PORT))
    interfaces = _interfaces(box[Field.INTERFACE]) if Field.INTERFACE in box else ""
    if addresses or ports:
        parts = [addresses or f"every {_family(box)}address", ports or _protocols(box)]
    else:
        parts = [_everything(box)]
    return ", ".join([*parts, *filter(None, [interfaces])])


def _ends(source: str, destination: str) -> str:
    return " to ".join(filter(None, (source, destination)))


def _addresses(box: Box, end: Field) -> str:
    if end not in box:
        return ""
    family = FAMILIES[box[Field.FAMILY].intervals[0][0]]
    others = box[end].complement(family.bits)
    if len(others) < len(box[end]):
        return f"all addresses but {_networks(others, family)}"
    return _networks(box[end], family)


def _networks(values: IntervalSet, family: Family) -> str:
    number = _members(values)
    if number > MOST_COUNTED:
        return _prefixes(values, family)
    length = prefix_length(values.intervals[0], family.bits) if len(values) == 1 else None
    is_network = length is not None and number > 256
    return f"a /{length} of addresses ({number:,})" if is_network else _number(number, "address", "addresses")


def _prefixes(values: IntervalSet, family: Family) -> str:
    """Of more addresses than a number says anything about: one prefix, or how many ranges."""
    length = prefix_length(values.intervals[0], family.bits) if len(values) == 1 else None
    if length is not None:
        return f"a /{length} of addresses"
    return _number(len(values), "range of addresses", "ranges of addresses")


def _ports(box: Box, end: Field) -> str:
    if end not in box:
        return ""
    values, others = box[end], box[end].complement(PORT_BITS)
    if len(others) < len(values):
        return f"all ports but {_number(_members(others), 'port', 'ports')}"
    return _number(_members(values), "port", "ports")


def _interfaces(values: IntervalSet) -> str:
    """Names are counted; nobody knows how many a pattern covers."""
    others = values.complement(INTERFACE_BITS)
    if _ON_LOOPBACK in (values, others):
        return "on lo" if values == _ON_LOOPBACK else "not on lo"
    return f"all interfaces but {_names_of_interfaces(others)}" if 0 in values else _names_of_interfaces(values)


def _names_of_interfaces(values: IntervalSet) -> str:
    are_names = all(first == last for first, last in values)
    return _number(len(values), "interface", "interfaces") if are_names else "some interfaces"


def _protocols(box: Box) -> str:
    """All of the protocols, where ports do not limit them."""
    if Field.PROTOCOL not in box:
        return "every protocol"
    values = box[Field.PROTOCOL]
    others = values.complement(8)
    if _members(others) <= MOST_NAMED:
        return f"every protocol but {_names(others)}"
    return f"all of {_names(values)}" if _members(values) <= MOST_NAMED else f"all of {_members(values)} protocols"


def _everything(box: Box) -> str:
    """All there is of some protocols, of a family, on some paths."""
    family = _family(box).strip()
    what = f"all of {family}" if family else "everything"
    if Field.PROTOCOL in box:
        what = _protocols(box) + (f" over {family}" if family else "")
    paths = [path.value for at, path in enumerate(PATHS) if Field.PATH in box and at in box[Field.PATH]]
    if not paths or len(paths) == len(PATHS):
        return what
    return f"{what} on {'path' if len(paths) == 1 else 'paths'} {' and '.join(paths)}"


def _family(box: Box) -> str:
    return f"{FAMILIES[box[Field.FAMILY].intervals[0][0]].value} " if Field.FAMILY in box else ""


def _names(values: IntervalSet) -> str:
    numbers = [number for first, last in values for number in range(first, last + 1)]
    return " and ".join(map(protocol_name, numbers))


def _members(values: IntervalSet) -> int:
    return sum(last - first + 1 for first, last in values)


def _number(number: int, one: str, several: str) -> str:
    return f"one {one}" if number == 1 else f"{number:,} {several}"
