"""What reading iptables takes for granted about the kernel, each fact as a test, asked with real packets.

In each test the rules are followed by ctpolicy too, so that its model is held against the same packets.
"""

from __future__ import annotations

import time
from typing import Final

import pytest

from ctpolicy.iptables.ruleset import Variant
from ctpolicy.iptables.space import raw_space
from ctpolicy.oracle.wire import frame
from ctpolicy.oracle.worlds import Oracle
from ctpolicy.packetspace.packet import parse_packet
from kernel.loaded_rules import Rules, loaded_in_both_worlds
from kernel.namespace import Namespace

pytestmark = [pytest.mark.kernel, pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)]

ONE, OTHER = "10.0.0.1:1000", "10.0.0.9:53"
TO_V6: Final = {
    "local": "in udp [fd00::1]:1 -> [fd00::9]:53",
    "multicast": "in udp [fd00::1]:1 -> [ff0e::9]:53",
    "routed": "forward udp [fd00::1]:1 -> [fd00::9]:53",
}
TO_V4: Final = {
    "local": "in udp 10.0.0.1:1 -> 10.0.0.9:53",
    "multicast": "in udp 10.0.0.1:1 -> 224.0.0.9:53",
    "broadcast": "in udp 10.0.0.1:1 -> 255.255.255.255:53",
    "routed": "forward udp 10.0.0.1:1 -> 10.0.0.9:53",
}


def untracked(oracle: Oracle, variant: Variant, rules: Rules, *packets: str) -> list[bool]:
    """What the kernel does; what ctpolicy says of the same rules may be less certain, and never wrong."""
    asked = [parse_packet(packet) for packet in packets]
    with loaded_in_both_worlds(oracle, variant, rules) as tables:
        space = raw_space(tables)
        found = oracle.untracked(asked)
    for packet, answer in zip(asked, found, strict=True):
        assert answer if packet in space.certainly else answer <= (packet in space.possibly), str(packet)
    return found


def rule(match: str, chain: str = "PREROUTING") -> str:
    return f"-A {chain} {match} -j CT --notrack\n"


def by_type(oracle: Oracle, variant: Variant, types: str, v6: bool = False) -> set[str]:
    line = rule(f"-m addrtype --dst-type {types}")
    packets = TO_V6 if v6 else TO_V4
    answers = untracked(oracle, variant, Rules(v6=line) if v6 else Rules(v4=line), *packets.values())
    return {word for word, answer in zip(packets, answers, strict=True) if answer}


def test_of_several_address_types_an_ipv4_destination_has_to_have_any(oracle: Oracle, variant: Variant) -> None:
    assert by_type(oracle, variant, "LOCAL") == {"local"}
    assert by_type(oracle, variant, "LOCAL,MULTICAST") == {"local", "multicast"}
    assert by_type(oracle, variant, "LOCAL,BROADCAST,ANYCAST,MULTICAST") == {"local", "broadcast", "multicast"}
    assert by_type(oracle, variant, "UNICAST") == {"routed"}


def test_of_several_address_types_an_ipv6_destination_has_to_have_all_that_are_not_looked_up(
    oracle: Oracle, variant: Variant
) -> None:
    assert by_type(oracle, variant, "LOCAL", v6=True) == {"local"}
    assert by_type(oracle, variant, "MULTICAST", v6=True) == {"multicast"}
    assert by_type(oracle, variant, "LOCAL,MULTICAST", v6=True) == set()
    assert by_type(oracle, variant, "LOCAL,ANYCAST,MULTICAST", v6=True) == set()
    assert by_type(oracle, variant, "LOCAL,ANYCAST", v6=True) == {"local"}
    assert by_type(oracle, variant, "UNICAST", v6=True) == {"local", "routed"}
    assert by_type(oracle, variant, "UNICAST,LOCAL", v6=True) == {"local"}


@pytest.mark.parametrize("type_", ["BROADCAST", "BLACKHOLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE"])
def test_these_address_types_are_refused_of_ipv6(namespace: Namespace, variant: Variant, type_: str) -> None:
    tool = f"ip6tables-{variant.value}"
    words = ("-t", "raw", "-A", "PREROUTING", "-m", "addrtype", "--dst-type", f"LOCAL,{type_}", "-j", "NOTRACK")
    assert namespace.run(tool, "-w", "30", *words, check=False).returncode
    assert not namespace.run(tool, "-w", "30", *words[:7], "LOCAL", "-j", "NOTRACK").returncode


def test_multiport_may_ask_for_either_end(oracle: Oracle, variant: Variant) -> None:
    packets = [f"in tcp 10.0.0.1:{one} -> 10.0.0.9:{other}" for one, other in ((80, 5), (5, 80), (5, 5), (80, 80))]
    rules = Rules(v4=rule("-p tcp -m multiport --ports 80"))
    assert untracked(oracle, variant, rules, *packets) == [True, True, False, True]
    rules = Rules(v4=rule("-p tcp -m multiport ! --ports 80"))
    assert untracked(oracle, variant, rules, *packets) == [False, False, True, False]


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp", "dccp", "udplite"])
def test_multiport_finds_the_ports_of(oracle: Oracle, variant: Variant, protocol: str) -> None:
    packets = [f"in {protocol} 10.0.0.1:5 -> 10.0.0.9:{port}" for port in (80, 81)]
    line = rule(f"-p {protocol} -m multiport --dports 80")
    assert untracked(oracle, variant, Rules(v4=line), *packets) == [True, False]


def test_a_plus_stands_for_the_rest_of_a_name(oracle: Oracle, variant: Variant) -> None:
    packets = [f"in udp 10.0.0.1:1 -> 10.0.0.9:53 dev {name}" for name in ("eth0", "eth10", "ens192")]
    packets += ["out udp 10.0.0.1:1 -> 10.0.0.9:53 dev eth0", "in udp 10.0.0.1:1 -> 10.0.0.9:53"]
    assert untracked(oracle, variant, Rules(v4=rule("-i eth+")), *packets) == [True, True, False, False, False]
    assert untracked(oracle, variant, Rules(v4=rule("! -i eth+")), *packets) == [False, False, True, False, True]
    assert untracked(oracle, variant, Rules(v4=rule("-i eth1")), *packets) == [False] * 5


def test_in_a_chain_of_both_hooks_the_other_interface_has_no_name(oracle: Oracle, variant: Variant) -> None:
    both = ":BOTH - [0:0]\n-A PREROUTING -j BOTH\n-A OUTPUT -j BOTH\n"
    packets = [f"{path} udp 10.0.0.1:1 -> 10.0.0.9:53 dev eth0" for path in ("in", "out")]
    assert untracked(oracle, variant, Rules(v4=both + rule("-i eth0", "BOTH")), *packets) == [True, False]
    assert untracked(oracle, variant, Rules(v4=both + rule("! -i eth0", "BOTH")), *packets) == [False, True]
    assert untracked(oracle, variant, Rules(v4=both + rule("-o eth+", "BOTH")), *packets) == [False, True]


@pytest.mark.parametrize("given", ["--zone 1", "--helper ftp", "--ctevents new", ""])
def test_of_notrack_and_a_template_the_first_counts(oracle: Oracle, variant: Variant, given: str) -> None:
    packet = "in tcp 10.0.0.1:1 -> 10.0.0.9:21"
    lines = ["-A PREROUTING -p tcp -j CT --notrack\n", f"-A PREROUTING -p tcp -j CT {given}\n"]
    assert untracked(oracle, variant, Rules(v4="".join(lines)), packet) == [True]
    assert untracked(oracle, variant, Rules(v4="".join(reversed(lines))), packet) == [False]


def test_what_else_is_said_with_notrack_has_no_effect(oracle: Oracle, variant: Variant) -> None:
    packet = "in tcp 10.0.0.1:1 -> 10.0.0.9:21"
    assert untracked(oracle, variant, Rules(v4="-A PREROUTING -j CT --notrack --zone 7\n"), packet) == [True]


def test_an_accept_before_a_notrack_ends_the_table(oracle: Oracle, variant: Variant) -> None:
    lines = "-A PREROUTING -p udp -j ACCEPT\n" + rule("")
    packets = [f"in {protocol} 10.0.0.1:1 -> 10.0.0.9:21" for protocol in ("tcp", "udp")]
    assert untracked(oracle, variant, Rules(v4=lines), *packets) == [True, False]


def test_a_goto_does_not_come_back_and_a_jump_does(oracle: Oracle, variant: Variant) -> None:
    chains = ":ONE - [0:0]\n:TWO - [0:0]\n-A PREROUTING -j ONE\n" + rule("-p tcp") + rule("-p udp", "ONE")
    packets = [f"in {protocol} 10.0.0.1:1 -> 10.0.0.9:21" for protocol in ("tcp", "udp")]
    jump, goto = (Rules(v4=chains.replace("-A ONE", f"-A ONE {word} TWO\n-A ONE", 1)) for word in ("-j", "-g"))
    assert untracked(oracle, variant, jump, *packets) == [True, True]
    assert untracked(oracle, variant, goto, *packets) == [True, False]


def test_a_bitmap_of_ports_holds_tcp_and_udp_alone(oracle: Oracle, variant: Variant) -> None:
    rules = Rules("create ports bitmap:port range 0-65535\nadd ports 53\n", rule("-m set --match-set ports dst"))
    packets = [f"in {protocol} {ONE} -> {OTHER}" for protocol in ("tcp", "udp", "sctp", "udplite", "dccp")]
    assert untracked(oracle, variant, rules, *packets) == [True, True, False, False, False]


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp", "udplite"])
def test_a_set_with_ports_finds_those_of(oracle: Oracle, variant: Variant, protocol: str) -> None:
    sets = f"create pairs hash:ip,port\nadd pairs 10.0.0.9,{protocol}:53\n"
    packets = [f"in {protocol} {ONE} -> 10.0.0.9:{port}" for port in (53, 54)]
    rules = Rules(sets, rule("-m set --match-set pairs dst,dst"))
    assert untracked(oracle, variant, rules, *packets) == [True, False]


def test_to_a_set_every_dccp_packet_has_port_0(oracle: Oracle, variant: Variant) -> None:
    sets = "create pairs hash:ip,port\nadd pairs 10.0.0.9,33:0\nadd pairs 10.0.0.9,47:0\n"
    packets = [f"in dccp {ONE} -> 10.0.0.9:{port}" for port in (0, 53)] + ["in gre 10.0.0.1 -> 10.0.0.9"]
    rules = Rules(sets, rule("-m set --match-set pairs dst,dst"))
    assert untracked(oracle, variant, rules, *packets) == [True, True, True]


def test_a_set_of_the_other_family_is_refused(namespace: Namespace, variant: Variant) -> None:
    namespace.run("ipset", "restore", stdin="create some hash:net family inet\n")
    words = ("-t", "raw", "-A", "PREROUTING", "-m", "set", "--match-set", "some", "src", "-j", "NOTRACK")
    refused = namespace.run(f"ip6tables-{variant.value}", "-w", "30", *words, check=False)
    assert "protocol family of set some is IPv4" in refused.stderr
    assert not namespace.run(f"iptables-{variant.value}", "-w", "30", *words).returncode


@pytest.mark.parametrize(
    ("match", "found"), [("-p udp -m udp --dport 53", True), ("-p 60", False), ("! -p udp", False)]
)
def test_behind_an_extension_header_ip6tables_finds_the_protocol(
    oracle: Oracle, variant: Variant, match: str, found: bool
) -> None:
    with loaded_in_both_worlds(oracle, variant, Rules(v6=rule(match))):
        world = oracle.home
        world.forget()
        plain = frame(parse_packet(TO_V6["local"]), 7, b"\x02\x00\x00\x00\x00\x01")
        ethernet, header, transport = plain[:14], bytearray(plain[14:54]), plain[54:]
        header[4:6] = (len(transport) + 8).to_bytes(2)
        header[6] = 60  # destination options: 8 bytes, of which 6 are padding
        options = bytes([17, 0, 1, 4, 0, 0, 0, 0])
        world.writers["eth0"].send(ethernet + header + options + transport)
        for _ in range(100):
            untracked, tracked = world.recorded()
            if untracked | tracked:
                break
            time.sleep(0.02)
    assert (untracked, tracked) == (({7}, set()) if found else (set(), {7}))


def test_an_interface_in_a_set_is_that_of_its_end(oracle: Oracle, variant: Variant) -> None:
    sets = "create nets hash:net,iface\nadd nets 10.0.0.0/24,eth0\nadd nets 10.0.0.0/24,bond wildcard\n"
    rules = Rules(sets, rule("-m set --match-set nets src,src") + rule("-m set --match-set nets src,src", "OUTPUT"))
    packets = [f"in udp 10.0.0.1:1 -> 10.0.0.9:53 dev {name}" for name in ("eth0", "eth1", "bond0")]
    packets += ["out udp 10.0.0.1:1 -> 10.0.0.9:53 dev eth0"]
    assert untracked(oracle, variant, rules, *packets) == [True, False, True, False]


def test_of_a_set_of_networks_and_interfaces_the_longest_prefix_alone_counts(oracle: Oracle, variant: Variant) -> None:
    """A bug that was found: 10.0.0.1 was taken to be in the set through bond0 too."""
    sets = "create nets hash:net,iface\nadd nets 10.0.0.0/24,eth0\nadd nets 10.0.0.0/8,bond0\n"
    packets = [
        f"in udp {source}:1 -> 10.9.0.9:53 dev {name}"
        for source in ("10.0.0.1", "10.0.1.1")
        for name in ("eth0", "bond0")
    ]
    rules = Rules(sets, rule("-m set --match-set nets src,src"))
    assert untracked(oracle, variant, rules, *packets) == [True, False, False, True]
