"""What a packet fills in by itself, and how it is printed, whatever version of Python prints it."""

from __future__ import annotations

import pytest

from ctpolicy.packetspace.packet import parse_packet


@pytest.mark.parametrize("destination", ["127.0.0.1:9100", "127.255.255.255:1", "[::1]:9100"])
def test_a_packet_to_a_loopback_address_leaves_through_lo(destination: str) -> None:
    assert (
        parse_packet(f"out tcp {'[fd00::1]' if '[' in destination else '10.0.0.1'}:5 -> {destination}").interface
        == "lo"
    )


@pytest.mark.parametrize("destination", ["128.0.0.1:1", "[::ffff:127.0.0.1]:1", "[::2]:1"])
def test_a_packet_to_any_other_address_does_not(destination: str) -> None:
    assert not parse_packet(f"out tcp {'[fd00::1]' if '[' in destination else '10.0.0.1'}:5 -> {destination}").interface


def test_mapped_addresses_print_alike_on_every_python() -> None:
    # ipaddress prints ::ffff:1.2.3.4 since Python 3.13, and ::ffff:102:304 before.
    packet = parse_packet("in udp [::ffff:1.2.3.4]:1 -> [fd00::1]:2")
    assert str(packet) == "in udp [::ffff:102:304]:1 -> [fd00::1]:2"
    assert parse_packet(str(packet)) == packet
