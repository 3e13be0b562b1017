"""What is read of iptables, followed packet by packet, is what the kernel does with the same packets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Final

import pytest

from ctpolicy.hazards.rules import HostRules
from ctpolicy.iptables.host_rules import Listing, host_rules
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.oracle.namespace import Namespace
from ctpolicy.packetspace.fields import Family
from kernel.command_line import nft_and_in_soak_legacy
from kernel.loaded_rules import TOOLS
from kernel.passing import Passage
from kernel.random_hosts import random_packets
from kernel.test_the_walk_is_what_the_kernel_does import CASES, said

pytestmark = pytest.mark.kernel

PACKETS: Final = 700

SETS: Final = """
create nets hash:net family inet
add nets 10.0.0.0/31
create ports bitmap:port range 0-65535
add ports 50-60
create services hash:ip,port family inet
add services 10.0.0.1,udp:50-60
add services 10.0.0.1,tcp:22
add services 10.0.0.2,gre:0
create devices hash:net,iface family inet
add devices 10.0.0.0/24,eth1
add devices 0.0.0.0/0,bond wildcard
create nets6 hash:net family inet6
add nets6 fd00::/125
"""

RULESETS: Final = {
    "states": """
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:SERVICES - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m state --state INVALID -j DROP
-A INPUT -p tcp -m conntrack --ctstate NEW,UNTRACKED -j SERVICES
-A INPUT -p udp -m conntrack ! --ctstate UNTRACKED -m udp --dport 53 -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A SERVICES -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT
-A SERVICES -p tcp -m multiport --dports 53,80:90 -j ACCEPT
-A SERVICES -j LOG
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -m udp -p udp --sport 53 -j ACCEPT
-A FORWARD -m conntrack ! --ctstate INVALID,NEW,ESTABLISHED -j ACCEPT
-A FORWARD -p udp -m udp ! --dport 53 -j REJECT
-A FORWARD -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A FORWARD -p icmp -m icmp ! --icmp-type 8 -j ACCEPT
-A OUTPUT -p tcp -m conntrack --ctstate UNTRACKED -m tcp --sport 22 -j DROP
-A OUTPUT -p icmp -m state ! --state INVALID -j DROP
COMMIT
""",
    "entries": """
*mangle
:PREROUTING ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p udp -m connmark ! --mark 0x5 -m udp --dport 50:60 -j DROP
-A PREROUTING -p udp -m conntrack --ctdir REPLY -m udp --dport 85 -j DROP
-A PREROUTING -p udp -m conntrack --ctdir ORIGINAL -m udp --dport 22 -j DROP
-A PREROUTING -p tcp -m conntrack --ctdir ORIGINAL -m tcp --dport 22 -j DROP
-A FORWARD -p udp -m conntrack --ctstatus SEEN_REPLY -m udp --dport 40000 -j DROP
-A FORWARD -p udp -m conntrack ! --ctstatus ASSURED,SEEN_REPLY -m udp --sport 53 -j DROP
-A FORWARD -p tcp -m conntrack --ctstate NEW,UNTRACKED --ctdir REPLY -j DROP
-A FORWARD -m conntrack --ctstate ESTABLISHED,INVALID --ctdir REPLY -j DROP
-A OUTPUT -p udp -m conntrack ! --ctstate NEW --ctstatus NONE -m udp --dport 53 -j DROP
-A OUTPUT -p udp -m helper ! --helper ftp -m udp --dport 40000 -j DROP
-A OUTPUT -p udp -m helper --helper ftp -j DROP
-A OUTPUT -p udp -m connbytes --connbytes 0 --connbytes-dir both --connbytes-mode packets -m udp --dport 85 -j DROP
-A OUTPUT -p tcp -m conntrack --ctorigdst 10.0.0.1 -j DROP
COMMIT
""",
    "chains": """
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:ONE - [0:0]
:TWO - [0:0]
-A PREROUTING ! -p icmp -g ONE
-A PREROUTING -j DROP
-A ONE -p tcp -m tcp --dport 22 -j TWO
-A ONE -s 10.0.0.0/31 -j RETURN
-A ONE -p udp -m udp --sport 22:60 -j ACCEPT
-A ONE -p tcp -m tcp --sport 53 -j DROP
-A TWO ! -s 10.0.0.0/24 -j DROP
-A TWO -m iprange ! --dst-range 10.0.0.2-10.0.1.200 -j RETURN
-A TWO -m addrtype --dst-type LOCAL -j ACCEPT
-A FORWARD -o eth1 -p tcp -j DROP
-A FORWARD ! -i eth+ -p udp -j DROP
-A OUTPUT ! -o eth+ -p udp -m udp --sport 22 -j DROP
-A OUTPUT -p tcp -g TWO
-A OUTPUT -p udp -j DROP
-A POSTROUTING -o bond0 -m multiport -p tcp --ports 53 -j DROP
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m multiport ! --ports 22,53 -j DROP
-A FORWARD -m addrtype --dst-type MULTICAST -j DROP
-A OUTPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m tcp --dport 85 -j DROP
-A OUTPUT -m mark --mark 0x1 -j DROP
-A INPUT -p udp -m limit --limit 1/hour --limit-burst 1 -m udp --dport 53 -j DROP
COMMIT
*security
:INPUT ACCEPT [0:0]
-A INPUT -s 10.0.1.0/24 -p udp -j DROP
COMMIT
""",
    "sets": """
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m set --match-set services dst,dst -j ACCEPT
-A INPUT -m set ! --match-set ports dst -m set --match-set nets src -j ACCEPT
-A INPUT -m set --match-set devices src,src -j ACCEPT
-A FORWARD -m set ! --match-set devices src,src -m set ! --match-set ports src -j ACCEPT
-A FORWARD -m set --match-set services src,src -j ACCEPT
-A FORWARD -m set --match-set ports src,dst -j REJECT
-A OUTPUT -m set --match-set services src,dst -j DROP
-A OUTPUT -m set --match-set devices dst,dst -j DROP
COMMIT
""",
}
OF_IPV6: Final = """
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m addrtype --dst-type MULTICAST -j ACCEPT
-A INPUT -p udp -m addrtype --dst-type UNICAST -m udp --dport 53 -j ACCEPT
-A INPUT -p udp -m set ! --match-set nets6 src -j ACCEPT
-A INPUT -p tcp -m addrtype --dst-type LOCAL -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -m set --match-set nets6 src -m conntrack --ctstate UNTRACKED,ESTABLISHED -j DROP
-A FORWARD ! -d fd00::/125 -p tcp -j REJECT
-A OUTPUT -p udp -m addrtype ! --dst-type LOCAL -m udp --sport 53 -j DROP
-A OUTPUT -p tcp -m addrtype ! --dst-type UNICAST -j DROP
COMMIT
"""


@pytest.fixture(scope="module")
def passage() -> Iterator[Passage]:
    """The kernel, to be asked which packets come through."""
    asked = Passage()
    for world in asked.worlds:
        world.namespace.run("ipset", "restore", stdin=SETS)
    yield asked
    asked.close()


def listings(host: Namespace, variant: Variant) -> list[Listing]:
    return [(variant, family, host.run(f"{tool}-{variant.value}-save").stdout) for family, tool in TOOLS.items()]


def emptied(listing: str) -> str:
    """The same tables, without anything in them."""
    kept = (line for line in listing.splitlines() if line.startswith(("*", "COMMIT")) or is_built_in(line))
    return "".join(f"{line.replace(' DROP ', ' ACCEPT ')}\n" for line in kept)


def is_built_in(line: str) -> bool:
    return line.startswith(":") and " - " not in line


@contextmanager
def loaded(passage: Passage, variant: Variant, family: Family, text: str) -> Iterator[HostRules]:
    """A ruleset in both worlds, and what is read of its listings."""
    tool = f"{TOOLS[family]}-{variant.value}-restore"
    try:
        for world in passage.worlds:
            world.namespace.run(tool, "-w", "30", stdin=text)
        yield host_rules(listings(passage.worlds[0].namespace, variant), read_sets(SETS)).rules
    finally:
        for world in passage.worlds:
            world.namespace.run(tool, "-w", "30", stdin=emptied(text))


@nft_and_in_soak_legacy
@pytest.mark.parametrize("name", [*RULESETS, "ipv6"])
def test_what_is_told_certainly_is_what_the_kernel_does(passage: Passage, name: str, variant: Variant) -> None:
    family = Family.IPV6 if name == "ipv6" else Family.IPV4
    random = Random(name)
    answers: list[bool] = []
    certain = 0
    with loaded(passage, variant, family, RULESETS.get(name, OF_IPV6)) as rules:
        for situation, (untracked, protocols, begun) in CASES.items():
            passage.load("table inet walked { }", untracked=untracked)
            packets = [one for one in random_packets(random, PACKETS, protocols) if one.family is family]
            flows = [begun(packet) for packet in packets] if begun else []
            found = passage.passed(packets, flows)
            told = [said(rules, packet, situation) for packet in packets]
            wrong = [
                f"{packet}: {answer}, in the kernel {passed}"
                for packet, answer, passed in zip(packets, told, found, strict=True)
                if answer not in {None, passed}
            ]
            assert not wrong, "\n".join([f"{situation}: {len(wrong)} of {len(packets)}", *wrong[:10]])
            answers += found
            certain += len(packets) - told.count(None)
    print(f"{name}: {len(answers)} packets, {sum(answers)} pass, {certain} told certainly")
    assert 0.05 < sum(answers) / len(answers) < 0.95
    assert certain > len(answers) / 2
