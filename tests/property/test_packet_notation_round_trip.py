"""Law: a packet that is printed and read is the same packet, and whatever text is read is a packet or a mistake."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.packetspace.fields import IPV6_EXTENSION_HEADERS, PROTOCOLS_WITH_PORTS, Path
from ctpolicy.packetspace.packet import Address, NotationError, Packet, parse_packet

PORTS = st.integers(0, 65535)
INTERFACES = st.sampled_from(["", "eth0", "bond0.100", "lo", "veth_a@b", "=", "abcdefghijklmno"])


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    bits = draw(st.sampled_from([32, 128]))
    version: type[Address] = ipaddress.IPv4Address if bits == 32 else ipaddress.IPv6Address
    source, destination = (version(draw(st.integers(0, 2**bits - 1))) for _ in range(2))
    protocol = draw(st.integers(0, 255).filter(lambda number: bits == 32 or number not in IPV6_EXTENSION_HEADERS))
    source_port, destination_port = (draw(PORTS) if protocol in PROTOCOLS_WITH_PORTS else None for _ in range(2))
    path = draw(st.sampled_from(Path))
    interface = draw(INTERFACES.filter(lambda name: path is Path.OUT or name != "lo"))
    return Packet(path, protocol, source, destination, source_port, destination_port, interface)


@given(packets())
def test_reading_is_the_inverse_of_printing(packet: Packet) -> None:
    assert parse_packet(str(packet)) == packet


@given(packets())
def test_the_answer_to_the_answer_is_the_packet(packet: Packet) -> None:
    answer = packet.reverse()
    if answer.interface == packet.interface:  # an answer to a loopback address leaves through `lo`, wherever it came in
        assert answer.reverse() == packet


@given(st.text(alphabet="inout forwardudptcp0123456789.:[]->", max_size=60))
def test_whatever_text_is_a_packet_or_a_mistake(text: str) -> None:
    try:
        parse_packet(text)
    except NotationError as error:
        assert 0 <= error.offset <= len(text)
        assert error.reason
