"""Entries of a table that was saved, from what `conntrack -L` prints: plain, `-o extended` or `-o xml`.

Likewise from /proc/net/nf_conntrack. Only what advice needs is read. Such a text does not tell which entries a helper
has expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

from ctpolicy.conntrack.entry import Entry, Status, Tuple
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Family

LONGEST: Final = 1 << 16
"""Characters of one line; an entry with all that it can have is below 2,000."""

_ADDRESS: Final = r"([0-9a-f.:]+)"
_WAY: Final = rf"src={_ADDRESS} dst={_ADDRESS} (?:sport=(\d+) dport=(\d+) )?[^\[]*?"
_TEXT: Final = re.compile(
    r"\s*(?:(?:ipv[46]|unknown) +\d+ +)?[a-z0-9-]+ +(\d{1,3}) (?:(\d+) )?(?:timeout=\d+, stream_timeout=\d+ )?"
    rf"(?:[A-Z][A-Z_0-9]* )?{_WAY}(\[UNREPLIED\] )?{_WAY}((?:\[[A-Z_]+\] |mark=|use=|zone=|helper=|secctx=).*)"
)
_LAYERS: Final = (
    rf"<src>{_ADDRESS}</src><dst>{_ADDRESS}</dst></layer3><layer4 protonum=\"(\d+)\"[^>]*>"
    r"(?:<sport>(\d+)</sport><dport>(\d+)</dport>)?"
)
_XML: Final = re.compile(rf".*?direction=\"original\">.*?{_LAYERS}.*?direction=\"reply\">.*?{_LAYERS}(.*)</flow>.*")
_XML_TIMEOUT: Final = re.compile(r"<timeout>(\d+)</timeout>")
_NO_ENTRY: Final = re.compile(r"\s*|conntrack v[0-9.]+ \(conntrack-tools\): .*|<\?xml .*|</?conntrack>")
_ZONE: Final = re.compile(r"(?:\bzone(?:-orig|-reply)?=|<zone>)([1-9]\d*)")
_HELPER: Final = re.compile(r"\bhelper=(\S+)|<helper>([^<]+)")


_ANSWERED: Final = Status.CONFIRMED | Status.SEEN_REPLY


@dataclass(slots=True)
class Unread:
    """Lines that are no entries.

    Args:
        number: how many.
        first: the number of the first of them.
        text: its beginning.
    """

    number: int = 0
    first: int = 0
    text: str = ""

    def add(self, line: int, text: str) -> None:
        """One more."""
        if not self.number:
            self.first, self.text = line, text[:80].strip()
        self.number += 1


def saved_entries(lines: Iterable[str], unread: Unread) -> Iterator[Entry]:
    """The entries in the lines of a text; what is none is told."""
    for number, line in enumerate(lines, start=1):
        entry = _xml_entry(line) if line.lstrip().startswith("<flow") else _text_entry(line)
        if entry is not None:
            yield entry
        elif not _NO_ENTRY.fullmatch(line.rstrip("\r\n")):
            unread.add(number, line)


def _text_entry(line: str) -> Entry | None:
    found = _TEXT.match(line)
    if found is None:
        return None
    protocol, timeout, *ends, rest = found.groups()
    source, destination, source_port, port, unreplied, *back = ends
    status = Status.CONFIRMED if unreplied else _ANSWERED
    there = (source, destination, protocol, source_port, port)
    return _entry(there, (*back[:2], protocol, *back[2:]), timeout, status, line, rest)


def _xml_entry(line: str) -> Entry | None:
    found = _XML.match(line)
    if found is None:
        return None
    *ends, rest = found.groups()
    status = Status.CONFIRMED if "<unreplied/>" in rest else _ANSWERED
    timeout = _XML_TIMEOUT.search(rest)
    return _entry(tuple(ends[:5]), tuple(ends[5:]), timeout[1] if timeout else None, status, line, rest)


_Way = tuple[str | None, ...]
"""Source, destination, protocol, source port and destination port, as they were printed."""


def _entry(there: _Way, back: _Way, timeout: str | None, status: Status, line: str, rest: str) -> Entry | None:
    family = Family.IPV6 if ":" in (there[0] or "") else Family.IPV4
    try:
        original, reply = _way(there, family), _way(back, family)
    except (OSError, ValueError):
        return None
    if "[OFFLOAD]" in rest or "[HW_OFFLOAD]" in rest or timeout is None:
        status |= Status.OFFLOAD
    zone = _ZONE.search(line) if "zone" in line else None
    helper = _HELPER.search(rest) if "helper" in rest else None
    return Entry(
        family,
        original,
        reply,
        status,
        timeout=int(timeout) if timeout else None,
        zone=int(zone[1]) if zone else 0,
        helper=(helper[1] or helper[2]) if helper else None,
    )


def _way(way: _Way, family: Family) -> Tuple:
    source, destination, protocol, source_port, port = way
    number = int(protocol or "")
    if number > 255 or (number in PROTOCOLS_WITH_PORTS) is not (port is not None):
        raise ValueError(number)
    ports = (int(source_port or 0), int(port)) if port is not None else (None, None)
    if port is not None and not all(one is not None and one <= 0xFFFF for one in ports):
        raise ValueError(ports)
    return Tuple(_number(source or "", family), _number(destination or "", family), number, *ports)


def _number(text: str, family: Family) -> int:
    return int.from_bytes(inet_pton(AF_INET if family is Family.IPV4 else AF_INET6, text))
