"""Entries are read off netlink messages as conntrack-tools read them, and nothing else comes of broken ones."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntrack.printing import printed
from conntrack.recorded import RECORDED
from ctpolicy.conntrack import codec, netlink
from ctpolicy.conntrack.entry import Entry, Icmp, Status, Tuple
from ctpolicy.errors import HostError
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Family


@pytest.mark.parametrize("line", RECORDED)
def test_recorded_message_is_read_as_conntrack_prints_it(line: str) -> None:
    payload = bytes.fromhex(RECORDED[line])
    entry = codec.decode(payload, 0, len(payload))
    assert entry is not None
    assert printed(entry) == line


@pytest.mark.parametrize("line", RECORDED)
def test_an_original_tuple_is_written_as_the_kernel_writes_it(line: str) -> None:
    payload = bytes.fromhex(RECORDED[line])
    entry = codec.decode(payload, 0, len(payload))
    assert entry is not None
    written = codec.encode_tuple(entry.family, entry.original)
    assert payload[4 : 4 + len(written)] == written


def test_what_belongs_to_nat_helpers_and_zones_says_so() -> None:
    found = {}
    for line, payload in RECORDED.items():
        entry = codec.decode(bytes.fromhex(payload), 0, len(payload) // 2)
        assert entry is not None
        found[line] = (entry.is_translated, entry.belongs_to_a_helper, entry.has_a_zone)
    for line, said in found.items():
        assert said == ("sport=8080" in line, "helper=" in line, "zone" in line), line


@st.composite
def tuples(draw: st.DrawFn) -> tuple[Family, Tuple]:
    family = draw(st.sampled_from(Family))
    addresses = st.integers(0, (1 << family.bits) - 1)
    protocol = draw(st.sampled_from((1, 6, 17, 47, 50, 58, 132)))
    octets, ports = st.integers(0, 255), st.integers(0, 65535)
    source, destination, zone = draw(addresses), draw(addresses), draw(st.sampled_from((0, 0, 0, 7)))
    if protocol in PROTOCOLS_WITH_PORTS:
        return family, Tuple(source, destination, protocol, draw(ports), draw(ports), zone=zone)
    icmp = Icmp(draw(ports), draw(octets), draw(octets)) if protocol in (1, 58) else None
    return family, Tuple(source, destination, protocol, icmp=icmp, zone=zone)


@given(tuples())
def test_reading_a_tuple_is_the_inverse_of_writing_it(made: tuple[Family, Tuple]) -> None:
    family, written = made
    value = codec.encode_tuple(family, written)
    assert codec.decode_tuple(family, value, 4, len(value)) == written
    assert codec.decode_any_tuple(family, value, 4, len(value)) == written


@given(tuples(), st.integers(0, (1 << 32) - 1), st.sampled_from((0, 9)))
def test_a_deletion_names_reply_tuple_id_and_zone(made: tuple[Family, Tuple], number: int, zone: int) -> None:
    family, reply = made
    sent = codec.deletion(Entry(family, Tuple(1, 2, 50), reply, Status(0), number, zone=zone), 0, 3)
    (found,) = netlink.messages(sent, len(sent))
    assert found.sequence == 3
    parts = netlink.values(sent, found.start + 4, found.end)
    assert parts.pop(2) == codec.encode_tuple(family, reply)[4:]
    assert parts == {12: number.to_bytes(4)} | ({18: zone.to_bytes(2)} if zone else {})


def test_without_an_id_nothing_is_deleted() -> None:
    with pytest.raises(ValueError, match="without its id"):
        codec.deletion(Entry(Family.IPV4, Tuple(1, 2, 50), Tuple(2, 1, 50), Status(0)), 0, 1)


@given(st.sampled_from(sorted(RECORDED)), st.data())
def test_a_message_that_is_cut_or_broken_is_an_error_and_never_a_hang(line: str, data: st.DataObject) -> None:
    whole = bytearray.fromhex(RECORDED[line])
    payload = whole[: data.draw(st.integers(0, len(whole)))]
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=3)):
        if at < len(payload):
            payload[at] = data.draw(st.integers(0, 255))
    with suppress(HostError):
        entry = codec.decode(payload, 0, len(payload))
        assert entry is None or printed(entry)


@pytest.mark.parametrize("length", [0, 4, 12, 15, 17, 40])
def test_a_message_with_a_length_that_cannot_be_is_an_error(length: int) -> None:
    sent = bytearray(netlink.message(256, 0, 1, bytes(16)))
    sent[:4] = length.to_bytes(4, "little" if netlink.header(0, 1) >> 24 else "big")
    with pytest.raises(HostError, match="cut"):
        list(netlink.messages(sent, len(sent)))


def test_an_error_says_its_errno() -> None:
    payload = (-2).to_bytes(4, "little" if netlink.header(0, 1) >> 24 else "big", signed=True)
    sent = netlink.message(netlink.ERROR, 0, 1, payload)
    (found,) = netlink.messages(sent, len(sent))
    assert netlink.error_code(sent, found) == 2


def test_a_tuple_with_one_port_is_an_error() -> None:
    """It was read as one whose other port is not known, and then printed by nobody."""
    whole = codec.encode_tuple(Family.IPV4, Tuple(1, 2, 17, 3, 4))
    broken = whole[:-6] + (50).to_bytes(2, "little" if netlink.header(0, 1) >> 24 else "big") + whole[-4:]
    with pytest.raises(HostError, match="cut"):
        codec.decode_tuple(Family.IPV4, broken, 4, len(broken))
