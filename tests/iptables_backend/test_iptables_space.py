"""What rules of the raw table leave untracked, and what of that cannot be told."""

from __future__ import annotations

import pytest

from ctpolicy.iptables.foreign import foreign
from ctpolicy.iptables.read import read_raw_table
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.iptables.space import raw_space
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Field, family_set, path_set

UDP = "in udp 10.0.0.1:1 -> 10.0.0.9:53"


def tables(v4: str = "", v6: str = "", sets: str = "") -> RawTables:
    headers = ":PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:MINE - [0:0]\n"
    read = {
        family: read_raw_table(f"*raw\n{headers}{lines}\nCOMMIT\n", family)
        for family, lines in ((Family.IPV4, v4), (Family.IPV6, v6))
    }
    return RawTables({family: table for family, table in read.items() if table}, read_sets(sets))


def path_in(family: Family) -> PacketSpace:
    return PacketSpace.of_boxes([{Field.PATH: path_set(Path.IN), Field.FAMILY: family_set(family)}])


def test_the_four_types_of_what_a_host_takes_are_path_in() -> None:
    rules = "-A PREROUTING -m addrtype --dst-type LOCAL,BROADCAST,ANYCAST,MULTICAST -j NOTRACK"
    space = raw_space(tables(rules))
    assert space.certainly == space.possibly == path_in(Family.IPV4)


@pytest.mark.parametrize("types", [["LOCAL", "ANYCAST", "MULTICAST"], ["MULTICAST", "LOCAL,ANYCAST"]])
def test_of_ipv6_rules_for_each_of_the_types_are_path_in_together(types: list[str]) -> None:
    rules = "\n".join(f"-A PREROUTING -m addrtype --dst-type {one} -j NOTRACK" for one in types)
    space = raw_space(tables(v6=rules))
    assert space.certainly == space.possibly == path_in(Family.IPV6)


def test_one_type_alone_is_not_certain() -> None:
    space = raw_space(tables("-A PREROUTING -m addrtype --dst-type LOCAL -j NOTRACK"))
    assert parse_packet(UDP) in space.possibly - space.certainly
    assert parse_packet("in udp 10.0.0.1:1 -> 224.0.0.1:53") not in space.possibly
    assert parse_packet("forward udp 10.0.0.1:1 -> 10.0.0.9:53") not in space.possibly


@pytest.mark.parametrize(
    ("sets", "rule"),
    [
        ("", "-m set --match-set gone src -j NOTRACK"),
        ("create gone hash:ip family inet timeout 5", "-m set --match-set gone src -j NOTRACK"),
        ("", "-m mark --mark 0x1 -j NOTRACK"),
        ("", "-j NFQUEUE --queue-num 0\n-A PREROUTING -j NOTRACK"),
        (
            "create gone hash:ip family inet",
            "-m set --match-set gone src -j NOTRACK\n-A OUTPUT -j SET --add-set gone src",
        ),
    ],
)
def test_what_cannot_be_told_is_possible_and_not_certain(sets: str, rule: str) -> None:
    space = raw_space(tables(f"-A PREROUTING {rule}", sets=sets))
    assert parse_packet(UDP) in space.possibly - space.certainly


@pytest.mark.parametrize("target", ["LOG", "MARK --set-xmark 0x1/0x1", "NFLOG", "TRACE", "TEE --gateway 10.0.0.1"])
def test_a_rule_that_only_looks_changes_nothing(target: str) -> None:
    space = raw_space(tables(f"-A PREROUTING -j {target}\n-A PREROUTING -p udp -j NOTRACK"))
    assert parse_packet(UDP) in space.certainly


def test_a_listing_without_rules_leaves_nothing_untracked() -> None:
    assert not raw_space(tables()).possibly
    assert not raw_space(RawTables()).possibly


def test_whose_rules_say_notrack_is_told_and_ours_are_not() -> None:
    lines = (
        ":CTPOLICY-PREROUTING - [0:0]\n:OPENSHIFT-NOTRACK - [0:0]\n"
        "-A PREROUTING -m comment --comment ctpolicy -j CTPOLICY-PREROUTING\n"
        "-A PREROUTING -j OPENSHIFT-NOTRACK\n"
        "-A PREROUTING -p udp -m udp --dport 54 -j NOTRACK\n"
        "-A CTPOLICY-PREROUTING -p tcp -j CT --notrack\n"
        "-A OPENSHIFT-NOTRACK -p udp -m udp --dport 4789 -j NOTRACK"
    )
    found = foreign(tables(lines), Variant.LEGACY)
    assert [one.title for one in found.bypasses] == [
        "iptables-legacy raw, chain OPENSHIFT-NOTRACK (OpenShift SDN)",
        "iptables-legacy raw, chain PREROUTING",
    ]
    assert parse_packet("in udp 10.0.0.1:1 -> 10.0.0.9:54") in found.treatment.untracked.certainly
    assert parse_packet("in tcp 10.0.0.1:1 -> 10.0.0.9:54") not in found.treatment.untracked.possibly


def test_what_may_be_hidden_in_a_target_that_is_not_modelled_is_told_too() -> None:
    found = foreign(tables(v6="-A PREROUTING -j SOMETHING --odd"), Variant.NFT)
    assert [one.title for one in found.bypasses] == ["ip6tables-nft raw"]
