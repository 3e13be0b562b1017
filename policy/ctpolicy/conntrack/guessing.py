"""Which addresses are this host's, guessed from a table that was saved elsewhere.

Nearly every flow of a host that is no router has the host at one of its ends, and what is translated to an address of
its own is answered there. What it hides behind that address, or is behind a published port, is none of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from ctpolicy.conntrack.addresses import HostAddresses
from ctpolicy.conntrack.entry import Entry, address
from ctpolicy.packetspace.fields import Family

SAMPLE: Final = 20_000
"""Entries from the beginning of a table that a guess is made from. The kernel's order is that of a hash."""

MOST: Final = 8
"""Addresses that are guessed."""

_SHARE: Final = 0.2
"""The part of the flows not yet explained that one address has to be an end of."""

_End = tuple[Family, int]


def guessed_addresses(entries: Iterable[Entry]) -> tuple[HostAddresses, tuple[str, ...]]:
    """The host's addresses, and those that were guessed, as text."""
    flows: list[tuple[_End, _End]] = []
    found: dict[_End, None] = {}
    hidden: set[_End] = set()
    for entry in entries:
        family, there, back = entry.family, entry.original, entry.reply
        flows.append(((family, there.source), (family, there.destination)))
        if back.destination != there.source:  # its source was translated, as a rule to the host's own address
            found[family, back.destination] = None
            hidden.add((family, there.source))
        if back.source != there.destination:
            hidden.add((family, back.source))
    for family in Family:
        left = [flow for flow in flows if flow[0][0] is family and not found.keys() & set(flow)]
        _add_ends(left, found, hidden - found.keys())
    texts = tuple(str(address(*end)) for end in list(found)[:MOST])
    return HostAddresses.of(texts), texts


def _add_ends(flows: list[tuple[_End, _End]], found: dict[_End, None], hidden: set[_End]) -> None:
    """Take the address that explains most flows, then the one that explains most of the rest."""
    left = flows
    while left and len(found) < MOST:
        ends = Counter(end for flow in left for end in dict.fromkeys(flow) if end not in hidden).most_common(2)
        if not ends or ends[0][1] < max(_SHARE * len(left), 2) or ends[0][1] * 20 < len(flows):
            return
        (end, number), *others = ends
        if others and others[0][1] == number and _is_one_flow(left, end, others[0][0]):
            return  # both ends of the same flows: which is ours is not told
        found[end] = None
        left = [flow for flow in left if end not in flow]


def _is_one_flow(flows: list[tuple[_End, _End]], one: _End, other: _End) -> bool:
    return all((one in flow) == (other in flow) for flow in flows)
