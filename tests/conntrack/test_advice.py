"""What is advised of a table, and what is foretold of its draining."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from random import Random
from typing import Final

import pytest

from conntrack.fake_table import FakeTable
from ctpolicy.conntrack.addresses import HostAddresses
from ctpolicy.conntrack.advice import Advice, Candidate, Verdict, advise
from ctpolicy.conntrack.entry import Entry, Status, Tuple
from ctpolicy.conntrack.forecast import Forecast, forecast, forecast_json, forecast_lines
from ctpolicy.conntrack.guessing import guessed_addresses
from ctpolicy.conntrack.inventory import MOST_USES, Role, Use, take_inventory
from ctpolicy.conntrack.peers import MOST, Peers
from ctpolicy.conntrack.pointless import LeftAlone, Pointless
from ctpolicy.conntrack.saved_entries import Unread, saved_entries
from ctpolicy.importing.naming import named
from ctpolicy.importing.text import entry_lines
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet
from kernel.command_line import ran
from policies import policy

HERE: Final = "192.0.2.1"
ADDRESSES: Final = HostAddresses.of([HERE])
ANSWERED: Final = Status.CONFIRMED | Status.SEEN_REPLY
TCP, UDP, ICMP, GRE = 6, 17, 1, 47


def number(text: str) -> int:
    return int(IPv6Address(text) if ":" in text else IPv4Address(text))


def entry(
    source: str, to: str, port: int, protocol: int = UDP, source_port: int = 40000, answered: bool = True
) -> Entry:
    family = Family.IPV6 if ":" in source else Family.IPV4
    theirs, ours = (source_port, port) if protocol in {TCP, UDP} else (None, None)
    original = Tuple(number(source), number(to), protocol, theirs, ours)
    reply = Tuple(number(to), number(source), protocol, ours, theirs)
    return Entry(family, original, reply, ANSWERED if answered else Status.CONFIRMED, 1, 30)


def tunnel(port: int = 4789, peers: int = 3) -> list[Entry]:
    """Outer flows both ways, each of one packet and from a port of its own."""
    return [
        entry(*ends, port, UDP, 33000 + at, answered=False)
        for at in range(30)
        for ends in ((f"192.0.2.{10 + at % peers}", HERE), (HERE, f"192.0.2.{10 + at % peers}"))
    ]


def advised(table: list[Entry]) -> Advice:
    return advise(take_inventory(table, ADDRESSES))


def yaml(one: Candidate) -> str:
    return " ".join(line.strip() for line in entry_lines(*named([one.entry], "", set())))


def first(table: list[Entry]) -> str:
    return yaml(advised(table).candidates[0])


def test_a_tunnel_is_an_overlay_with_its_peers() -> None:
    assert first(tunnel()) == "- name: vxlan overlay: vxlan peers: [192.0.2.10, 192.0.2.11, 192.0.2.12]".replace(
        "[192.0.2.10, 192.0.2.11, 192.0.2.12]", "192.0.2.10-192.0.2.12"
    )
    assert first(tunnel(peers=20)) == "- name: vxlan overlay: vxlan peers: 192.0.2.0/24"


def test_a_port_that_is_used_as_tunnels_are_is_an_overlay_of_its_own() -> None:
    assert first(tunnel(7777)).startswith("- name: udp-7777 overlay: {protocol: udp, port: 7777}")


def test_questions_that_nobody_answers_are_no_tunnel() -> None:
    asked = [entry("192.0.2.9", HERE, 514, UDP, 33000 + at, answered=False) for at in range(30)]
    (one,) = advised(asked).candidates
    assert yaml(one) == "- name: udp-514 host-service: udp/514 peers: 192.0.2.9"
    assert not one.both_ways
    dns = [entry("192.0.2.9", HERE, 53, UDP, 33000 + at) for at in range(30)]
    dns += [entry(HERE, "192.0.2.9", 53, UDP, 33000 + at, answered=bool(at % 9)) for at in range(30)]
    assert {yaml(one) for one in advised(dns).candidates} == {
        "- name: udp-53 host-service: udp/53 peers: 192.0.2.9",
        "- name: clients-udp-53 host-client: udp/53 peers: 192.0.2.9",
    }


def test_a_protocol_without_ports_is_an_overlay_and_icmp_is_not_advised() -> None:
    found = advised([entry("192.0.2.9", HERE, 0, GRE), entry("192.0.2.9", HERE, 0, ICMP)])
    assert [yaml(one) for one in found.candidates] == ["- name: gre overlay: gre peers: 192.0.2.9"]
    assert found.unadvised == 1


def test_what_is_passed_on_names_both_ends() -> None:
    table = [entry("10.1.0.9", f"10.2.0.{at}", 11211, TCP) for at in range(1, 40)]
    assert first(table) == "- name: forward-tcp-11211 forward: tcp/11211 clients: 10.1.0.9 servers: 10.2.0.0/24"


def test_an_entry_that_the_answer_began_is_of_the_same_use() -> None:
    begun_by_the_answer = entry("192.0.2.9", HERE, 40000, UDP, 53)
    assert first([begun_by_the_answer]) == "- name: clients-udp-53 host-client: udp/53 peers: 192.0.2.9"


def test_ports_of_clients_are_no_services() -> None:
    assert advised([entry("192.0.2.9", HERE, 40001, TCP, 40000)]).candidates == ()


def test_peers_of_both_families_are_told_and_peers_that_are_anywhere_are_not() -> None:
    here = HostAddresses.of([HERE, "2001:db8::1"])
    both = [entry("192.0.2.9", HERE, 53), entry("2001:db8::9", "2001:db8::1", 53)]
    (one,) = advise(take_inventory(both, here)).candidates
    assert yaml(one) == '- name: udp-53 host-service: udp/53 peers: [192.0.2.9, "2001:db8::9"]'
    anywhere = [entry(f"{at}.7.7.7", HERE, 53) for at in range(11, 99)]
    assert first(anywhere) == "- name: udp-53 host-service: udp/53"


def test_one_entry_that_must_stay_tracked_refuses_its_use_with_a_reason() -> None:
    table = [entry(f"192.0.2.{at}", HERE, 80, TCP) for at in range(2, 90)]
    helped = entry("192.0.2.99", HERE, 80, TCP)._replace(helper="ftp")
    (one,) = advised([*table, helped]).candidates
    assert (one.verdict, one.entries) == (Verdict.REFUSED, 89)
    assert one.reasons == ("1 entry of it is of a helper",)
    assert any("conntrack's states" in note for note in one.notes)


def test_a_tunnel_is_safe_though_a_translated_flow_has_its_port_by_chance() -> None:
    """With many flows masqueraded, one of them gets every port; it is no peer's, and the peers are named."""
    masked = Entry(
        Family.IPV4,
        Tuple(number("172.17.0.2"), number("198.51.100.7"), UDP, 4789, 443),
        Tuple(number("198.51.100.7"), number(HERE), UDP, 443, 4789),
        ANSWERED,
    )
    found = {yaml(one).split()[2]: one for one in advised([*tunnel(), masked]).candidates}
    assert found["vxlan"].verdict is Verdict.SAFE
    of_a_peer = masked._replace(
        original=masked.original._replace(destination=number("192.0.2.10")),
        reply=masked.reply._replace(source=number("192.0.2.10")),
    )
    found = {yaml(one).split()[2]: one for one in advised([*tunnel(), of_a_peer]).candidates}
    assert found["vxlan"].reasons == ("packets of entries of NAT have this port where it would be bypassed",)


def test_a_table_of_anything_is_surveyed_in_little_memory() -> None:
    random = Random(1)

    def scanned(count: int) -> Iterator[Entry]:
        for at in range(count):
            source = f"{random.randrange(1, 200)}.{random.randrange(256)}.{random.randrange(256)}.7"
            yield entry(source, HERE, 53 if at % 2 else random.randrange(65536), random.choice([TCP, UDP]))

    tracemalloc.start()
    try:
        found = take_inventory(scanned(30_000), ADDRESSES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.uses) <= 2 * MOST_USES
    assert peak < 20 << 20
    dns = found.uses[Use(Role.SERVICE, UDP, 53)]
    assert abs(dns.entries - 7_500) < 400  # nothing of what is frequent is forgotten
    assert abs(dns.peers[Family.IPV4].count - dns.entries) < dns.entries * 0.05
    assert found.total == sum(one.entries for one in found.uses.values()) + found.forgotten


def test_what_is_forgotten_is_still_known_to_be_unsafe() -> None:
    masked = entry("192.0.2.9", HERE, 7, UDP)._replace(zone=3)
    noise = [entry("192.0.2.9", HERE, 1000 + at % 8000, TCP) for at in range(16_000)]
    found = advise(take_inventory([masked, *noise, entry("192.0.2.9", HERE, 7)], ADDRESSES))
    of_seven = [one for one in found.candidates if "udp/7 " in f"{yaml(one)} "]
    assert all(one.verdict is Verdict.REFUSED for one in of_seven)
    assert take_inventory([masked, *noise], ADDRESSES).excluded.bits


@pytest.mark.parametrize("count", [3, MOST, MOST + 1, 5000])
def test_peers_are_counted_and_held_by_their_networks(count: int) -> None:
    peers = Peers(Family.IPV4)
    for at in range(count):
        peers.add(number("10.1.0.0") + at)
        peers.add(number("10.1.0.0") + at)
    assert peers.is_exact == (count <= MOST)
    assert abs(peers.count - count) <= count * 0.03
    held = peers.prefixes(2)
    assert held is None or all(number("10.1.0.0") + at in held for at in range(count))
    both = peers.together(peers)
    assert (both.count, both.prefixes(2)) == (peers.count, held)
    assert Peers(Family.IPV4).together(peers).count == peers.count


def test_peers_in_two_places_are_two_networks() -> None:
    peers = Peers(Family.IPV4)
    for text in ("10.1.0.1", "10.1.0.77", "10.1.0.200", "172.16.5.5", "172.16.5.6"):
        peers.add(number(text))
    first_net, second_net = number("10.1.0.0"), number("172.16.5.0")
    assert peers.prefixes(2) == IntervalSet(((first_net, first_net + 255), (second_net, second_net + 255)))
    assert peers.prefixes(1) is None


def test_the_hosts_addresses_are_guessed_from_what_most_flows_have() -> None:
    table = [entry(f"192.0.2.{at}", HERE, 80, TCP) for at in range(2, 90)]
    table += [entry(HERE, f"203.0.113.{at}", 53) for at in range(2, 20)]
    assert guessed_addresses(table)[1] == (HERE,)


def test_what_is_hidden_behind_an_address_is_not_the_hosts() -> None:
    masked = [
        Entry(
            Family.IPV4,
            Tuple(number("172.17.0.2"), number(f"198.51.100.{at}"), TCP, 40000, 443),
            Tuple(number(f"198.51.100.{at}"), number(HERE), TCP, 443, 40000),
            ANSWERED,
        )
        for at in range(1, 90)
    ]
    assert guessed_addresses(masked)[1] == (HERE,)


def test_two_hosts_with_nobody_else_are_not_told_apart() -> None:
    assert guessed_addresses(tunnel(peers=1))[1] == ()


LINES: Final = {
    "udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=5 dport=53 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=53 dport=5 "
    "mark=0 use=1": (UDP, 5, 53, False, False),
    "ipv4     2 tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=5 dport=80 packets=1 bytes=52 "
    "src=10.0.0.2 dst=10.0.0.1 sport=80 dport=5 packets=1 bytes=52 [ASSURED] mark=0 secctx=null use=1": (
        TCP, 5, 80, True, False,
    ),
    "tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=5 dport=80 src=10.0.0.9 dst=10.0.0.1 sport=8080 "
    "dport=5 [ASSURED] mark=0 use=1": (TCP, 5, 80, True, True),
    "ipv4     2 tcp      6 src=10.0.0.1 dst=10.0.0.2 sport=5 dport=80 packets=9 bytes=9 src=10.0.0.2 dst=10.0.0.1 "
    "sport=80 dport=5 packets=9 bytes=9 [OFFLOAD] mark=0 zone=0 use=3": (TCP, 5, 80, True, True),
    "tcp      6 9 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=5 dport=21 src=10.0.0.2 dst=10.0.0.1 sport=21 dport=5 "
    "[ASSURED] mark=0 helper=ftp use=1": (TCP, 5, 21, True, True),
    "udp      17 9 src=10.0.0.1 dst=10.0.0.2 sport=5 dport=53 zone-orig=4 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 "
    "sport=53 dport=5 mark=0 use=1": (UDP, 5, 53, False, True),
    "unknown  50 9 src=10.0.0.1 dst=10.0.0.2 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 mark=0 use=1": (
        50, None, None, False, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_saved_line_is_its_entry(line: str) -> None:
    unread = Unread()
    (one,) = saved_entries([line + "\n"], unread)
    protocol, source_port, port, is_answered, must_stay = LINES[line]
    assert one.original[2:5] == (protocol, source_port, port)
    assert one.is_answered is is_answered
    assert must_stay is (one.is_translated or one.has_a_zone or one.is_offloaded or one.belongs_to_a_helper)
    assert unread.number == 0


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=5 dport=53 [UNREPLIED] src=10.0.0.2 dst=10.0",
        "udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=5 dport=70000 src=10.0.0.2 dst=10.0.0.1 sport=53 dport=5 use=",
        "udp      17 29 src=10.0.0.1 dst=10.0.0.999 sport=5 dport=53 src=10.0.0.2 dst=10.0.0.1 sport=53 dport=5 mark=0",
        "udp      17 29 src=fd00::1 dst=10.0.0.2 sport=5 dport=53 src=10.0.0.2 dst=fd00::1 sport=53 dport=5 mark=0",
        '<flow><meta direction="original"><layer3',
    ],
)
def test_what_is_no_entry_is_told_by_its_line(line: str) -> None:
    unread = Unread()
    good = next(iter(LINES))
    lines = ["conntrack v1.4.7 (conntrack-tools): 1 flow entries have been shown.\n", "\n", f"{good}\n", f"{line}\n"]
    assert len(list(saved_entries(lines, unread))) == 1
    assert (unread.number, unread.first) == (1, 4)


def test_a_file_without_a_table_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hello\n")
    done = ran("advise", tmp_path / "notes")
    assert (done.status, "line 1 is no entry" in done.errors) == (2, True), done
    assert ran("advise", tmp_path / "nothing").status == 2
    (tmp_path / "empty").write_text("")
    assert "0 entries" in ran("advise", tmp_path / "empty").output


def test_a_saved_ruleset_counts_too(tmp_path: Path) -> None:
    (tmp_path / "table").write_text(
        "".join(
            f"tcp 6 9 ESTABLISHED src=192.0.2.{at} dst={HERE} sport=5 dport=80 "
            f"src={HERE} dst=192.0.2.{at} sport=80 dport=5 [ASSURED] mark=0 use=1\n"
            for at in range(2, 9)
        )
    )
    rules = "*filter\n:INPUT DROP [0:0]\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n"
    (tmp_path / "rules").write_text(f"# Generated by iptables-save v1.8.9 on Sun Nov 22 22:40:34 2026\n{rules}")
    alone = ran("advise", tmp_path / "table", "--local", HERE)
    assert "(safe)" in alone.output and "rules are not known" in alone.output
    together = ran("advise", tmp_path / "table", "--local", HERE, "--live", tmp_path / "rules")
    assert "(needs an accept rule)" in together.output
    assert "iptables-legacy table filter, chain INPUT" in together.output
    assert "Nothing is advised that is safe" in together.output
    target = tmp_path / "policy.yaml"
    told = ran("advise", tmp_path / "table", "--local", HERE, "--live", tmp_path / "rules", "--write", target)
    assert "Nothing was written" in told.output and not target.exists()
    ran("advise", tmp_path / "table", "--local", HERE, "--write", target)
    assert "host-service: tcp/80" in target.read_text()
    target.write_text("mine")
    assert ran("advise", tmp_path / "table", "--local", HERE, "--write", target).status == 2
    assert target.read_text() == "mine"
    assert ran("advise", tmp_path / "table", "--local", HERE, "--write", target, "--force").status == 0
    assert "host-service: tcp/80" in target.read_text()
    assert ran("advise", tmp_path / "table", "--local", "192.0.2.1/24").status == 2


SERVICE: Final = "bypass:\n  - name: dns\n    host-service: udp/53\n"


def by_change() -> Pointless:
    return Pointless.by_change(NFTABLES, None, NFTABLES.compile(policy(SERVICE)), ADDRESSES)


def test_a_forecast_is_made_of_the_entries_own_timeouts() -> None:
    table = [entry(f"192.0.2.{at}", HERE, 53)._replace(timeout=at) for at in range(1, 101)]
    table += [entry("192.0.2.7", HERE, 123)._replace(timeout=900)]
    table += [entry("192.0.2.8", HERE, 53)._replace(timeout=700, zone=1)]
    found = forecast(FakeTable(table), by_change())
    assert (found.total, found.pointless, found.left_alone) == (102, {"dns": 100}, {LeftAlone.ZONE: 1})
    assert [found.gone_after(percent) for percent in (50, 90, 100)] == [50, 90, 100]
    lines = "\n".join(forecast_lines(found))
    assert "100 of 102 entries in the conntrack table become pointless: dns 100" in lines
    assert "half of them are gone after 50 s, 90 % after 90 s, all after 100 s" in lines
    assert "1 stay, though they are bypassed: each is in a conntrack zone" in lines


def test_long_timeouts_are_told_upwards_and_in_little_room() -> None:
    table = [entry("192.0.2.7", HERE, 53)._replace(timeout=432_000 - at) for at in range(20_000)]
    found = forecast(FakeTable(table), by_change())
    assert len(found.timeouts) <= 400
    assert found.gone_after(100) == 432_000
    assert "all after 5 days" in "\n".join(forecast_lines(found))


def test_a_forecast_ends_in_time_and_says_so() -> None:
    table = FakeTable([entry("192.0.2.7", HERE, 53)] * 50_000, seconds_an_entry=0.001)
    found = forecast(table, by_change(), 5.0)
    assert not found.is_whole
    assert 5000 <= found.total <= 5000 + 4096
    assert "of the first" in next(iter(forecast_lines(found)))
    assert forecast_json(found)["complete"] is False


def test_nothing_pointless_is_gone_at_no_time() -> None:
    assert Forecast(5).gone_after(50) is None
    assert list(forecast_lines(Forecast(5))) == ["none of 5 entries in the conntrack table becomes pointless"]
