"""What is read of iptables, followed packet by packet, is what the kernel does with the same packets."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

import pytest

from ctpolicy.hazards.fates import LOST, Outcome
from ctpolicy.hazards.interpreter import interpret
from ctpolicy.hazards.situations import Situation
from ctpolicy.iptables.host_rules import TABLES, Listing, host_rules
from ctpolicy.iptables.read import read_table
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.packet import Packet
from kernel.loaded_rules import TOOLS
from kernel.namespace import Namespace
from kernel.near import packets_near
from kernel.whole_way import WholeWay

pytestmark = pytest.mark.kernel

PACKETS: Final = 1_500
SITUATIONS: Final = (Situation.NEW, Situation.UNTRACKED)

SETS: Final = """
create nets hash:net family inet
add nets 10.0.0.0/25
create ports bitmap:port range 0-65535
add ports 50-60
create services hash:ip,port family inet
add services 10.0.0.1,udp:4000-4003
add services 10.0.0.1,tcp:53
create devices hash:net,iface family inet
add devices 10.0.0.0/24,eth1
add devices 0.0.0.0/0,bond wildcard
create nets6 hash:net family inet6
add nets6 fd00::/64
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
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m conntrack --ctstate NEW,UNTRACKED -j SERVICES
-A INPUT -p udp -m conntrack ! --ctstate UNTRACKED -m udp --dport 53 -j ACCEPT
-A SERVICES -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT
-A SERVICES -p tcp -m multiport --dports 53,80,4000:4010 -j ACCEPT
-A SERVICES -j LOG
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
-A FORWARD -m conntrack ! --ctstate INVALID,NEW -j ACCEPT
-A FORWARD -p udp -m udp ! --dport 53 -j REJECT
-A OUTPUT -p tcp -m conntrack --ctstate UNTRACKED -m tcp --sport 22 -j DROP
COMMIT
""",
    "entries": """
*mangle
:PREROUTING ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p udp -m connmark ! --mark 0x5 -m udp --dport 50:60 -j DROP
-A PREROUTING -p tcp -m conntrack --ctdir REPLY -m tcp --dport 80 -j DROP
-A PREROUTING -p tcp -m conntrack --ctdir ORIGINAL -m tcp --dport 22 -j DROP
-A FORWARD -p udp -m conntrack --ctstatus SEEN_REPLY -j DROP
-A FORWARD -p udp -m conntrack ! --ctstatus ASSURED,SEEN_REPLY -m udp --dport 53 -j DROP
-A FORWARD -p tcp -m conntrack --ctstate NEW,UNTRACKED --ctdir REPLY -j DROP
-A OUTPUT -p tcp -m conntrack ! --ctstate NEW --ctstatus NONE -m tcp --dport 53 -j DROP
-A OUTPUT -p udp -m helper ! --helper ftp -m udp --dport 4000 -j DROP
-A OUTPUT -p udp -m helper --helper ftp -j DROP
-A OUTPUT -p udp -m connbytes --connbytes 0 --connbytes-dir both --connbytes-mode packets -m udp --dport 60 -j DROP
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
-A PREROUTING -p tcp -g ONE
-A PREROUTING -j DROP
-A ONE -p tcp -m tcp --dport 22 -j TWO
-A ONE -s 10.0.0.0/24 -j RETURN
-A ONE -p tcp -m tcp --sport 22:60 -j ACCEPT
-A TWO ! -s 10.0.0.0/25 -j DROP
-A TWO -m iprange ! --dst-range 10.0.0.5-192.0.2.200 -j RETURN
-A TWO -m addrtype --dst-type LOCAL -j ACCEPT
-A FORWARD -o eth1 -p tcp -j DROP
-A FORWARD ! -i eth+ -p tcp -j DROP
-A OUTPUT ! -o eth+ -p udp -j DROP
-A POSTROUTING -o bond1 -j DROP
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m multiport ! --ports 22,53 -j DROP
-A FORWARD -m addrtype --dst-type MULTICAST -j DROP
-A OUTPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m tcp --dport 80 -j DROP
-A OUTPUT -m mark --mark 0x1 -j DROP
-A OUTPUT -p udp -m limit --limit 1/hour --limit-burst 1 -m udp --dport 53 -j DROP
COMMIT
*security
:INPUT ACCEPT [0:0]
-A INPUT -s 192.0.2.0/24 -p tcp -j DROP
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
-A FORWARD -m set ! --match-set devices dst,dst -j ACCEPT
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
-A INPUT -p tcp -m addrtype --dst-type LOCAL -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -m set --match-set nets6 src -m conntrack --ctstate UNTRACKED -j DROP
-A FORWARD ! -d fd00::/8 -p tcp -j REJECT
-A OUTPUT -p udp -m addrtype ! --dst-type LOCAL -m udp --sport 53 -j DROP
-A OUTPUT -p tcp -m addrtype ! --dst-type UNICAST -j DROP
COMMIT
"""


@pytest.fixture(scope="module")
def way() -> Iterator[WholeWay]:
    """The kernel, to be asked which packets come through."""
    asked = WholeWay()
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


def of_both_kinds(packets: list[Packet]) -> list[Packet]:
    return [packet for packet in packets if packet.protocol in {6, 17}]


@pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)
@pytest.mark.parametrize("name", [*RULESETS, "ipv6"])
def test_packets_fare_as_the_interpreter_says(way: WholeWay, name: str, variant: Variant) -> None:
    family = Family.IPV6 if name == "ipv6" else Family.IPV4
    text = RULESETS.get(name, OF_IPV6)
    sets = read_sets(SETS)
    tables = [read_table(text, family, table) for table in TABLES]
    wanted = of_both_kinds(packets_near((*tables, sets), Random(name), 3 * PACKETS))
    asked = [packet for packet in wanted if packet.family is family][:PACKETS]
    asked = [packet for packet, through in zip(asked, way.let_through(asked), strict=True) if through]
    assert {packet.path for packet in asked} == set(Path)
    tool = f"{TOOLS[family]}-{variant.value}-restore"
    try:
        for world in way.worlds:
            world.namespace.run(tool, "-w", "30", stdin=text)
        rules = host_rules(listings(way.worlds[0].namespace, variant), sets).rules
        for situation in SITUATIONS:
            answers = way.let_through(asked, situation)
            told = [{way.outcome for way in interpret(rules, packet, situation)} for packet in asked]
            found = list(zip(asked, told, answers, strict=True))
            wrong = [
                f"{packet}: {sorted(one.value for one in outcomes if one)}, in the kernel {through}"
                for packet, outcomes, through in found
                if (through and Outcome.ACCEPTED not in outcomes) or (not through and not outcomes & LOST)
            ]
            assert not wrong, "\n".join([f"{situation}: {len(wrong)} of {len(asked)}", *wrong[:10]])
            certain = sum(len(outcomes) == 1 for outcomes in told)
            print(f"{name} {situation.value}: {len(asked)} packets, {sum(answers)} through, {certain} told certainly")
            assert 0.05 < sum(answers) / len(asked) < 0.95
            assert certain > len(asked) / 2
    finally:
        for world in way.worlds:
            world.namespace.run(tool, "-w", "30", stdin=emptied(text))
            if variant is Variant.NFT:
                word = "ip" if family is Family.IPV4 else "ip6"
                for table in TABLES:
                    world.namespace.run("nft", "delete", "table", word, table, check=False)
