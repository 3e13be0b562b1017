"""Counting and deleting: exactly the pointless ones, in time, and never said to be done before it was looked at."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Final

import pytest

from conntrack.fake_table import FakeTable
from ctpolicy.conntrack.addresses import HostAddresses
from ctpolicy.conntrack.drain import Drained, count, drain
from ctpolicy.conntrack.entry import Entry, Icmp, Status, Tuple
from ctpolicy.conntrack.pointless import LeftAlone, Pointless
from ctpolicy.conntrack.report import counted_lines, drained_line
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter import outcomes
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.packetspace.diagram import leaf
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet
from policies import VXLAN, policy

HERE: Final = int(IPv4Address("192.0.2.1"))
THERE: Final = int(IPv4Address("192.0.2.2"))
ADDRESSES: Final = HostAddresses.of(["192.0.2.1"])
ANSWERED: Final = Status.CONFIRMED | Status.SEEN_REPLY
SERVICE: Final = "bypass:\n  - name: metrics\n    host-service: tcp/9100\n"


def entry(port: int = 40000, to: int = 9100, protocol: int = 6, status: Status = ANSWERED, number: int = 1) -> Entry:
    """An entry of a flow from there to a port here."""
    original = Tuple(THERE, HERE, protocol, port, to)
    return Entry(Family.IPV4, original, Tuple(HERE, THERE, protocol, to, port), status, number)


def by(entries: str, beside: Treatment | None = None, addresses: HostAddresses = ADDRESSES) -> Pointless:
    """What a policy makes pointless."""
    return Pointless.now(NFTABLES, NFTABLES.compile(policy(entries)), addresses, beside)


PLAIN: Final = entry()
EXCEPTIONS: Final = {
    "source translated, by its status": (PLAIN._replace(status=ANSWERED | Status.SRC_NAT), LeftAlone.NAT),
    "destination translated, by its status": (PLAIN._replace(status=ANSWERED | Status.DST_NAT), LeftAlone.NAT),
    "an address translated, by its tuples": (PLAIN._replace(reply=PLAIN.reply._replace(source=THERE)), LeftAlone.NAT),
    "a port translated, by its tuples": (PLAIN._replace(reply=PLAIN.reply._replace(source_port=8080)), LeftAlone.NAT),
    "expected by a helper": (PLAIN._replace(status=ANSWERED | Status.EXPECTED), LeftAlone.HELPER),
    "a helper by a rule": (PLAIN._replace(status=ANSWERED | Status.HELPER), LeftAlone.HELPER),
    "a helper by name": (PLAIN._replace(helper="ftp"), LeftAlone.HELPER),
    "a master": (PLAIN._replace(has_master=True), LeftAlone.HELPER),
    "in a flow table": (PLAIN._replace(status=ANSWERED | Status.OFFLOAD), LeftAlone.OFFLOADED),
    "in a flow table of the hardware": (PLAIN._replace(status=ANSWERED | Status.HW_OFFLOAD), LeftAlone.OFFLOADED),
    "in a zone": (PLAIN._replace(zone=7), LeftAlone.ZONE),
    "one direction in a zone": (PLAIN._replace(reply=PLAIN.reply._replace(zone=7)), LeftAlone.ZONE),
}


@pytest.mark.parametrize("case", EXCEPTIONS)
def test_what_others_need_is_left_alone_with_its_reason(case: str) -> None:
    excepted, reason = EXCEPTIONS[case]
    pointless = by(SERVICE)
    assert pointless.judge(PLAIN) == "metrics"
    assert pointless.judge(excepted) is reason
    assert excepted not in pointless


def test_having_been_asked_whether_to_be_translated_is_no_translation() -> None:
    asked = PLAIN._replace(status=ANSWERED | Status.SRC_NAT_DONE | Status.DST_NAT_DONE)
    assert by(SERVICE).judge(asked) == "metrics"


def test_an_entry_of_which_one_direction_is_tracked_is_in_use() -> None:
    half = "bypass:\n  - name: half\n    match: {protocol: tcp, destination-ports: [9100]}\n"
    assert by(half).judge(PLAIN) is None
    assert by(half).judge(PLAIN._replace(status=Status.CONFIRMED)) is None


def test_an_unanswered_tunnel_is_pointless_though_nobody_answers_port_for_port() -> None:
    tunnel = entry(to=4789, protocol=17, status=Status.CONFIRMED)
    assert by(VXLAN).judge(tunnel) == "vxlan"
    assert by(VXLAN).judge(tunnel._replace(status=ANSWERED)) is None
    one_way = "bypass:\n  - name: in-only\n    match: {protocol: udp, destination-ports: [4789], paths: [in]}\n"
    assert by(one_way).judge(tunnel) is None


def test_interfaces_of_a_policy_make_it_uncertain_and_are_said() -> None:
    assert by(SERVICE + "    interfaces: [eth0]\n").judge(PLAIN) is LeftAlone.INTERFACE


def test_an_address_in_a_routing_table_of_its_own_is_uncertain() -> None:
    vrf = HostAddresses(
        ADDRESSES.local, ADDRESSES.taken, {**ADDRESSES.elsewhere, Family.IPV4: IntervalSet.single(THERE)}
    )
    assert by(SERVICE, addresses=vrf).judge(PLAIN) is LeftAlone.VRF


def test_what_others_bypass_is_pointless_and_not_ours() -> None:
    beside = Treatment.of_space(bypass_space(policy(SERVICE)))
    assert by(VXLAN, beside).judge(PLAIN) is LeftAlone.OTHERS
    assert by(SERVICE, beside).judge(PLAIN) == "metrics"


def test_what_others_may_drop_is_pointless_all_the_same() -> None:
    assert by(SERVICE, Treatment(leaf(outcomes.TRACKED | outcomes.DROP.value))).judge(PLAIN) == "metrics"


def test_what_others_may_give_a_zone_is_in_use() -> None:
    assert by(SERVICE, Treatment(outcomes.ANYTHING)).judge(PLAIN) is None


def test_a_protocol_that_the_kernel_tracks_without_its_ports_is_not_guessed() -> None:
    bare = Tuple(THERE, HERE, 33)
    everything = "bypass:\n  - name: all\n    match: {}\n    acknowledge: a test\n"
    assert by(everything).judge(Entry(Family.IPV4, bare, Tuple(HERE, THERE, 33), ANSWERED, 1)) is None
    ping = Tuple(THERE, HERE, 1, icmp=Icmp(7, 8, 0))
    answer = Tuple(HERE, THERE, 1, icmp=Icmp(7, 0, 0))
    assert by(everything).judge(Entry(Family.IPV4, ping, answer, ANSWERED, 1)) == "all"


def flow(source: str, destination: str, port: int, protocol: int = 6, source_port: int = 40000) -> Entry:
    """An answered entry of a flow to a port."""
    there = Tuple(int(IPv4Address(source)), int(IPv4Address(destination)), protocol, source_port, port)
    back = Tuple(there.destination, there.source, protocol, port, source_port)
    return Entry(Family.IPV4, there, back, ANSWERED, 1)


def test_flows_that_differ_in_one_value_have_each_their_own_entry() -> None:
    services = "".join(
        f"  - name: {kind}-{port}-{peer}\n    host-{kind}: tcp/{port}\n    peers: [192.0.2.{peer}]\n"
        for kind in ("service", "client")
        for port in (9100, 9200)
        for peer in (2, 3)
    )
    pointless = by(
        f"bypass:\n{services}  - name: from-53\n    match: {{protocol: udp, source-ports: [53], both-ways: true}}\n"
    )
    for port in (9100, 9200):
        for peer in (2, 3, 2):
            assert pointless.judge(flow(f"192.0.2.{peer}", "192.0.2.1", port)) == f"service-{port}-{peer}"
            assert pointless.judge(flow("192.0.2.1", f"192.0.2.{peer}", port)) == f"client-{port}-{peer}"
            assert pointless.judge(flow(f"192.0.2.{peer}", "192.0.2.1", port + 1)) is None
    assert pointless.judge(flow("192.0.2.9", "192.0.2.1", 7, 17, source_port=53)) == "from-53"
    assert pointless.judge(flow("192.0.2.9", "192.0.2.1", 7, 17, source_port=54)) is None


def test_loopback_is_decided_at_output_alone() -> None:
    def matching(paths: str, more: str = "") -> Pointless:
        return by(
            f"bypass:\n  - name: local\n    match: {{protocol: tcp, paths: {paths}{more}}}\n    acknowledge: a test\n"
        )

    loopback, elsewhere = flow("127.0.0.1", "192.0.2.1", 9100), flow("192.0.2.1", "192.0.2.9", 9100)
    assert by(SERVICE).judge(loopback) == "metrics"
    on_lo = matching("[out]", ", interfaces: [lo]")
    assert on_lo.judge(loopback) == "local"
    assert on_lo.judge(elsewhere) is None
    all_in = "  - name: in\n    match: {protocol: tcp, paths: [in]}\n    acknowledge: a test\n"
    assert (
        by(
            f"bypass:\n{all_in}" + all_in.replace("name: in", "name: out").replace("[in]", "[out], interfaces: [lo]")
        ).judge(elsewhere)
        is None
    )
    assert matching("[out]").judge(loopback) == "local"
    assert matching("[in]").judge(loopback) is None


def test_what_is_sent_to_a_group_is_taken_by_this_host() -> None:
    groups = "bypass:\n  - name: groups\n    ports: udp/5353\n    paths: [in, out]\n"
    for group in ("224.0.0.251", "255.255.255.255"):
        assert by(groups).judge(flow("192.0.2.2", group, 5353, 17)) == "groups"
    assert by(groups).judge(flow("192.0.2.2", "192.0.2.99", 5353, 17)) is None


MANY: Final = [entry(port, number=port) for port in range(1024, 9024)]
OTHERS: Final = [entry(port, to=22, number=port) for port in range(1024, 3024)]


def test_exactly_the_pointless_ones_go_and_the_table_is_looked_at_again() -> None:
    table, pointless = FakeTable(MANY + OTHERS), by(SERVICE)
    counted = count(table.entries(), pointless)
    assert (counted.total, counted.pointless) == (10000, {"metrics": 8000})
    assert drain(table, pointless, counted) == Drained(8000, 0, 0, True)
    assert table.there == OTHERS
    assert table.readings == 3  # counted, deleted, looked again


def test_what_is_gone_meanwhile_counts_as_gone() -> None:
    table, pointless = FakeTable(MANY[:10], meddle=lambda there: there.__delitem__(slice(0, 4))), by(SERVICE)
    drained = drain(table, pointless, count(table.entries(), pointless))
    assert drained == Drained(6, 4, 0, True)
    assert "4 were gone by themselves" in drained_line(drained)


def test_a_newer_entry_with_the_same_tuple_is_not_deleted_in_its_place() -> None:
    newer = PLAIN._replace(id=2, status=ANSWERED | Status.DST_NAT)

    def come_again(there: list[Entry]) -> None:
        there[:] = [newer]

    table, pointless = FakeTable([PLAIN], meddle=come_again), by(SERVICE)
    assert drain(table, pointless, count(table.entries(), pointless)) == Drained(0, 1, 0, True)
    assert table.there == [newer]


def test_the_deadline_ends_it_and_what_is_left_is_said() -> None:
    table, pointless = FakeTable(MANY, seconds_an_entry=0.001), by(SERVICE)
    counted = count(table.entries(), pointless)
    drained = drain(table, pointless, counted, 3.0)
    assert not drained.in_time
    assert 0 < drained.deleted <= 3100
    assert drained.left == len(table.there) == 8000 - drained.deleted
    error = drained.error()
    assert error is not None and error.exit_status == 6 and f"about {drained.left}" in str(error)


def test_what_comes_again_each_time_is_given_up() -> None:
    table, pointless = FakeTable(MANY[:5], is_stubborn=True), by(SERVICE)
    drained = drain(table, pointless, count(table.entries(), pointless))
    assert (drained.left, drained.in_time) == (5, True)
    assert table.readings == 5
    error = drained.error()
    assert error is not None and "makes them anew" in str(error)


def test_a_change_makes_pointless_only_what_was_not() -> None:
    before, after = (
        NFTABLES.compile(policy(text))
        for text in (SERVICE, SERVICE.replace("9100", "9100, tcp/9200]").replace("tcp/9100", "[tcp/9100"))
    )
    change = Pointless.by_change(NFTABLES, before, after, ADDRESSES)
    assert change.judge(entry(to=9200)) == "metrics"
    assert change.judge(entry(to=9100)) is None


def test_the_report_says_what_is_left_alone_and_why() -> None:
    excepted = [one for one, _ in EXCEPTIONS.values()]
    lines = list(counted_lines(count(iter([PLAIN, *excepted]), by(SERVICE))))
    assert "metrics           1" in lines
    assert "  4 belongs to NAT" in lines
    assert lines[-1] == "1 of 13 entries in the conntrack table is pointless."
