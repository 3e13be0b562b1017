"""One packet as netfilter meets it, and the notation that people read and write it in.

    PATH PROTOCOL SOURCE[:PORT] -> DESTINATION[:PORT] [dev NAME]

`in udp 192.168.7.72:40000 -> 192.168.7.71:4789`, `out tcp [fd00:7::1]:22 -> [fd00:7::2]:50000 dev eth0`,
`forward gre 10.0.0.1 -> 10.0.0.2`. Both ports are given for tcp, udp, sctp, dccp and udplite, and for no other.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Final

from ctpolicy.packetspace.fields import (
    IPV6_EXTENSION_HEADERS,
    LOOPBACK,
    PROTOCOLS_WITH_PORTS,
    Family,
    Path,
    protocol_name,
    protocol_number,
)
from ctpolicy.packetspace.interfaces import is_interface_name

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NOTATION: Final = "PATH PROTOCOL SOURCE[:PORT] -> DESTINATION[:PORT] [dev NAME]"
_WORD: Final = re.compile(r"\S+")


class NotationError(ValueError):
    """The text is not a packet. Who wrote it must act.

    Attributes:
        reason: what is wrong and what was expected, without a final stop.
        offset: where in the text it is wrong, in characters from its beginning.
    """

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet at the hook that decides whether it is tracked.

    Args:
        path: how it meets the host.
        protocol: IP protocol number of the transport header, 0 to 255.
        source: its source address.
        destination: its destination address, of the same family.
        source_port: 0 to 65535 for tcp, udp, sctp, dccp and udplite; None for every other protocol.
        destination_port: likewise.
        interface: the incoming one for in and forward, the outgoing one for out; empty for one that no
            policy names. A loopback destination always leaves through `lo`, so that is filled in.

    Raises:
        ValueError: no host can meet such a packet.
    """

    path: Path
    protocol: int
    source: Address
    destination: Address
    source_port: int | None = None
    destination_port: int | None = None
    interface: str = ""

    def __post_init__(self) -> None:
        if self.source.version != self.destination.version:
            raise ValueError("the source and the destination are of different families")
        if not 0 <= self.protocol <= 255:
            raise ValueError(f"protocol {self.protocol} is not between 0 and 255")
        if self.family is Family.IPV6 and self.protocol in IPV6_EXTENSION_HEADERS:
            raise ValueError(f"protocol {self.protocol} is an extension header in IPv6, not a transport protocol")
        self._check_ports()
        if self.path is Path.OUT and not self.interface and is_loopback(self.destination):
            object.__setattr__(self, "interface", LOOPBACK)
        if self.path is not Path.OUT and self.interface == LOOPBACK:
            raise ValueError("a loopback packet is decided once, at output: its path is `out`")
        if self.interface and not is_interface_name(self.interface):
            raise ValueError(f"`{self.interface}` cannot name an interface")

    def _check_ports(self) -> None:
        for port in (self.source_port, self.destination_port):
            if self.protocol not in PROTOCOLS_WITH_PORTS and port is not None:
                raise ValueError(f"{protocol_name(self.protocol)} has no ports")
            if self.protocol in PROTOCOLS_WITH_PORTS and port is None:
                raise ValueError(f"{protocol_name(self.protocol)} has a port at both ends")
            if port is not None and not 0 <= port <= 65535:
                raise ValueError(f"port {port} is not between 0 and 65535")

    @property
    def family(self) -> Family:
        """The family of both addresses."""
        return Family.IPV4 if self.source.version == 4 else Family.IPV6

    def reverse(self) -> Packet:
        """The packet that answers this one, on the path that the answer takes.

        A packet through `lo` is answered through `lo`; otherwise in and out answer each other and forward
        answers itself. The interface stays: for forward that is a flow that comes and goes by one interface.
        """
        answer = {Path.IN: Path.OUT, Path.OUT: Path.IN, Path.FORWARD: Path.FORWARD}[self.path]
        return replace(
            self,
            path=Path.OUT if self.interface == LOOPBACK else answer,
            source=self.destination,
            destination=self.source,
            source_port=self.destination_port,
            destination_port=self.source_port,
        )

    def __str__(self) -> str:
        source = _endpoint(self.source, self.source_port)
        destination = _endpoint(self.destination, self.destination_port)
        device = f" dev {self.interface}" if self.interface else ""
        return f"{self.path.value} {protocol_name(self.protocol)} {source} -> {destination}{device}"


def is_loopback(address: Address) -> bool:
    """Whether the kernel sends packets to this address through `lo`: 127.0.0.0/8 and ::1.

    `ipaddress` says so of ::ffff:127.0.0.1 too, since Python 3.13; the kernel does not.
    """
    return int(address) >> 24 == 127 if address.version == 4 else int(address) == 1


def address_text(address: Address) -> str:
    """An address as every version of Python prints it: since 3.13, `str` writes ::ffff:7f00:1 as ::ffff:127.0.0.1."""
    mapped = address.version == 6 and int(address) >> 32 == 0xFFFF
    return f"::ffff:{int(address) >> 16 & 0xFFFF:x}:{int(address) & 0xFFFF:x}" if mapped else str(address)


def _endpoint(address: Address, port: int | None) -> str:
    text = address_text(address)
    if port is None:
        return text
    return f"[{text}]:{port}" if address.version == 6 else f"{text}:{port}"


def parse_packet(text: str) -> Packet:
    """Read a packet from its notation; `parse_packet(str(packet)) == packet`.

    Raises:
        NotationError: with the place and what was expected there.
    """
    words = [(word.group(), word.start()) for word in _WORD.finditer(text)]
    if len(words) not in {5, 7}:
        raise NotationError(f"a packet is written {NOTATION}", 0)
    (path, path_at), (protocol, protocol_at), source, (arrow, arrow_at), destination = words[:5]
    if path not in {p.value for p in Path}:
        raise NotationError(f"`{path}` is not a path: in, forward or out", path_at)
    number = protocol_number(protocol)
    if number is None:
        raise NotationError(f"`{protocol}` is not a protocol: a name such as udp, or a number up to 255", protocol_at)
    if arrow != "->":
        raise NotationError(f"`{arrow}` stands where `->` is expected", arrow_at)
    has_ports = number in PROTOCOLS_WITH_PORTS
    source_address, source_port = _parse_endpoint(*source, has_ports, protocol)
    destination_address, destination_port = _parse_endpoint(*destination, has_ports, protocol)
    interface = _parse_device(words[5:])
    try:
        return Packet(Path(path), number, source_address, destination_address, source_port, destination_port, interface)
    except ValueError as error:
        raise NotationError(str(error), 0) from error


def _parse_device(words: list[tuple[str, int]]) -> str:
    if not words:
        return ""
    (keyword, keyword_at), (name, name_at) = words
    if keyword != "dev":
        raise NotationError(f"`{keyword}` stands where `dev` is expected", keyword_at)
    if not is_interface_name(name):
        raise NotationError(f"`{name}` cannot name an interface", name_at)
    return name


def _parse_endpoint(text: str, offset: int, has_port: bool, protocol: str) -> tuple[Address, int | None]:
    address, port = _split_endpoint(text, offset, has_port, protocol)
    try:
        if "%" in address:  # ipaddress takes a zone; a packet has none
            raise ValueError
        return ipaddress.ip_address(address), port
    except ValueError:
        raise NotationError(f"`{address}` is not an IPv4 or IPv6 address", offset) from None


def _split_endpoint(text: str, offset: int, has_port: bool, protocol: str) -> tuple[str, int | None]:
    if not has_port:
        if text.startswith("[") and text.endswith("]"):
            return text[1:-1], None
        if re.fullmatch(r"\[.*\]:.*|[^:]*:[^:]*", text):
            raise NotationError(f"{protocol} has no ports", offset + text.rindex(":"))
        return text, None
    address, colon, port = text.rpartition(":")
    bracketed = address.startswith("[") and address.endswith("]")
    if not colon or (":" in address and not bracketed):
        raise NotationError(f"{protocol} needs a port here: ADDRESS:PORT, or [IPV6]:PORT", offset)
    if not re.fullmatch(r"0|[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise NotationError(f"`{port}` is not a port between 0 and 65535", offset + len(address) + 1)
    return address[1:-1] if bracketed else address, int(port)
