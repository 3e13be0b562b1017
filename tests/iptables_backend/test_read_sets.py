"""What `ipset save` prints, read; and what is sent to `ipset restore`."""

from __future__ import annotations

import pytest

from ctpolicy.errors import InputError
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.render_sets import ipset_lines
from ctpolicy.iptables.ruleset import IpSet, Joined
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet

HASH = "hashsize 1024 maxelem 65536"
TAIL = "bucketsize 12 initval 0x5837af35"
TEN = 10 << 24


def test_a_set_of_networks_is_read_with_its_addresses_merged() -> None:
    listing = f"create nets hash:net family inet {HASH} {TAIL}\nadd nets 10.0.0.0/25\nadd nets 10.0.0.128/25\n"
    expected = IpSet("nets", "hash:net", Family.IPV4, IntervalSet(((TEN, TEN + 255),)))
    assert read_sets(listing) == (expected,)
    assert read_sets(listing)[0].most == 65536
    assert list(ipset_lines(expected))[1:] == ["add nets 10.0.0.0/24"]


def test_the_whole_of_a_family_is_sent_as_its_halves() -> None:
    everything = IpSet("all", "hash:net", Family.IPV6, IntervalSet.full(128), most=10)
    lines = list(ipset_lines(everything))
    assert lines == ["create all hash:net family inet6 maxelem 10", "add all ::/1", "add all 8000::/1"]
    assert read_sets("\n".join(lines)) == (everything,)


def test_ports_are_sent_as_ranges() -> None:
    ports = IpSet("ports", "bitmap:port", None, IntervalSet(((10, 20), (53, 53))))
    assert list(ipset_lines(ports)) == ["create ports bitmap:port range 0-65535", "add ports 10-20", "add ports 53"]


@pytest.mark.parametrize("options", ["counters", "comment", "forceadd", "skbinfo", "counters comment skbinfo"])
def test_options_that_do_not_change_what_a_set_holds_are_passed_over(options: str) -> None:
    listing = f'create a hash:ip family inet {HASH} {options} {TAIL}\nadd a 10.0.0.1 packets 1 bytes 2 comment "x y"\n'
    assert read_sets(listing) == (IpSet("a", "hash:ip", Family.IPV4, IntervalSet.single(TEN + 1)),)


def test_a_netmask_makes_networks_of_addresses() -> None:
    (one,) = read_sets(f"create a hash:ip family inet {HASH} netmask 24 {TAIL}\nadd a 10.0.1.0\n")
    assert one.values == IntervalSet(((TEN + 256, TEN + 511),))


@pytest.mark.parametrize(
    ("listing", "unmodelled"),
    [
        (f"create a hash:ip family inet {HASH} timeout 300\nadd a 10.0.0.1 timeout 299\n", "timeout 300"),
        (f"create a hash:net family inet {HASH}\nadd a 10.0.0.1 nomatch\n", "10.0.0.1 nomatch"),
        ("create a list:set size 8\nadd a b\nadd a c\n", "b; c; list:set; size 8"),
        (f"create a hash:ip,port family inet {HASH}\nadd a 10.0.0.1,icmp:echo-request\n", "10.0.0.1,icmp:echo-request"),
        (f"create a hash:net,iface family inet {HASH}\nadd a 10.0.0.0/8,physdev:eth0\n", "10.0.0.0/8,physdev:eth0"),
        (f"create a hash:mac {HASH}\nadd a 01:02:03:04:05:06\n", "01:02:03:04:05:06; hash:mac"),
    ],
)
def test_a_set_whose_elements_cannot_be_told_says_so(listing: str, unmodelled: str) -> None:
    (one,) = read_sets(listing)
    assert one.unmodelled == unmodelled
    with pytest.raises(ValueError, match="cannot be told"):
        list(ipset_lines(one))


def test_elements_of_several_dimensions() -> None:
    listing = f"create a hash:ip,port family inet {HASH}\nadd a 10.0.0.1,udp:53\nadd a 10.0.0.1,gre:0\n"
    (one,) = read_sets(listing)
    address = (TEN + 1, TEN + 1)
    assert one.elements == (Joined((address, (0, 0)), (None, 47)), Joined((address, (53, 53)), (None, 17)))
    assert list(ipset_lines(one))[1:] == ["add a 10.0.0.1,47:0", "add a 10.0.0.1,udp:53"]


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        ("add a 10.0.0.1\n", "Line 1 .*the set a is not in the listing"),
        ("create a hash:ip family inet\ncreate a hash:ip family inet\n", "Line 2 .*a second time"),
        ("create a hash:ip family inet\nadd a 10.0.0.\n", "Line 2 .*no ipv4 address"),
        ("create a hash:ip,port family inet\nadd a 10.0.0.1\n", "no element of hash:ip,port"),
        ("destroy a\n", "neither `create` nor `add`"),
        ("create a hash:ip family inet maxelem\n", "Line 1"),
    ],
)
def test_a_damaged_listing_is_told_with_its_line(listing: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_sets(listing)
