"""What iptables-save prints as rules of a host: each match and target, by what it becomes."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

import pytest

from ctpolicy.errors import InputError
from ctpolicy.hazards.rules import (
    ADDRESS_TYPES,
    Action,
    Asked,
    Base,
    Chain,
    Decision,
    Hook,
    Step,
    Table,
    Translation,
    Use,
    Within,
)
from ctpolicy.hazards.situations import ALL, Situations
from ctpolicy.iptables.host_rules import TABLES, Listed, host_rules
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.ruleset import IpSet, Variant
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.interface_values import interval_pattern
from ctpolicy.packetspace.intervals import Interval

_HOOKS: Final = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}

SETS: Final = read_sets("""
create nets hash:net family inet
add nets 10.0.0.0/25
create nets6 hash:net family inet6
add nets6 fd00::/64
create ports bitmap:port range 0-65535
add ports 50-60
create services hash:ip,port family inet
add services 10.0.0.1,udp:53
add services 10.0.0.1,gre:0
create pings hash:ip,port family inet
add pings 10.0.0.1,icmp:0
create devices hash:net,iface family inet
add devices 10.0.0.0/24,eth1
create timed hash:net family inet timeout 60
create filled hash:net family inet
""")


def listing(table: str, *lines: str, chains: tuple[str, ...] = ("X", "Y")) -> str:
    headers = [*(f":{name} ACCEPT [0:0]" for name in _HOOKS[table]), *(f":{name} - [0:0]" for name in chains)]
    return "\n".join([f"*{table}", *headers, *lines, "COMMIT", ""])


def read(*texts: str, family: Family = Family.IPV4, sets: tuple[IpSet, ...] = SETS, with_ours: bool = False) -> Listed:
    return host_rules([(Variant.NFT, family, text) for text in texts], sets, with_ours=with_ours)


def steps(line: str, table: str = "filter", family: Family = Family.IPV4) -> list[Step]:
    """What one rule becomes; its chain is the one after `-A`."""
    chains = read(listing(table, line), family=family).rules.tables[0].chains
    return [step for chain in chains.values() for step in chain.steps]


def told(line: str, table: str = "filter", family: Family = Family.IPV4) -> list[str]:
    return [in_words(step) for step in steps(line, table, family)]


def in_words(step: Step) -> str:
    """A step as people can read it: what it asks, for which situations it may hold, what is open, what it does."""
    parts = [of_question(question) for question in step.fields]
    certainly, possibly = step.tracking.certainly, step.tracking.possibly
    if certainly != ALL:
        parts.append(f"certainly {situations(certainly)}")
        if possibly != certainly:
            parts.append(f"possibly {situations(possibly)}")
    parts += [f"{one.words}? ({one.about.value})" for one in step.open]
    return " & ".join(parts) + " -> " + of_action(step.action)


def situations(some: Situations) -> str:
    return "/".join(sorted(one.value for one in some)) or "never"


def of_question(question: Within) -> str:
    boxes = [",".join(f"{one.value} {values(one, *held)}" for one, held in box.items()) for box in question.boxes]
    return ("not " if question.negated else "") + (" or ".join(boxes) or "nobody")


def values(asked: Asked, *intervals: Interval) -> str:
    return "+".join(value_text(asked, interval) for interval in intervals)


def value_text(asked: Asked, interval: Interval) -> str:
    if asked in {Asked.INCOMING, Asked.OUTGOING}:
        return str(interval_pattern(interval))
    if asked is Asked.DESTINATION_TYPE:
        return "+".join(ADDRESS_TYPES[one] for one in range(interval[0], interval[1] + 1))
    is_address = asked in {Asked.SOURCE, Asked.DESTINATION}
    first, last = (str(ip_address(one)) if is_address else str(one) for one in interval)
    return first if first == last else f"{first}-{last}"


def of_action(action: Action) -> str:
    match action:
        case Decision(verdict, target):
            return f"{verdict.value} {target}".strip()
        case Translation(nat, to, port):
            return f"{nat.value} to {to or 'any'} port {port}"
        case Use(service):
            return service.value


V4: Final = "family 0"
V6: Final = "family 1"

MATCHES: Final = {
    "": "",
    "-s 10.0.0.0/24": f"{V4} & source 10.0.0.0-10.0.0.255",
    "! -d 10.0.0.1/32": f"{V4} & not destination 10.0.0.1",
    "-m iprange --src-range 10.0.0.1-10.0.0.9": f"{V4} & source 10.0.0.1-10.0.0.9",
    "-s 10.0.0.1/255.0.0.255": "-s 10.0.0.1/255.0.0.255? (packet)",
    "-i eth0": "incoming interface eth0",
    "! -o eth+": "not outgoing interface eth*",
    "-i +": "",
    "! -i +": "nobody",
    "-p tcp": "protocol 6",
    "! -p 47": "not protocol 47",
    "-p hip": "protocol 139",
    "! -p somebodys": "! -p somebodys? (packet)",
    "-f": "-f? (packet)",
    "-p udp -m udp ! --dport 53": "protocol 17 & protocol 17 & not destination port 53",
    "-p tcp -m multiport --sports 22,50:60": "protocol 6 & source port 22+50-60",
    "-p tcp -m multiport ! --ports 22": "protocol 6 & not source port 22 or destination port 22",
    "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN": (
        "protocol 6 & -m tcp --tcp-flags FIN,SYN,RST,ACK SYN? (packet)"
    ),
    "-m addrtype --dst-type LOCAL": "type of destination local",
    "-m addrtype ! --dst-type LOCAL,MULTICAST": (
        f"{V4} & not type of destination local or destination 224.0.0.0-239.255.255.255"
    ),
    "-m addrtype --src-type LOCAL": "-m addrtype --src-type LOCAL? (packet)",
    "-m addrtype --dst-type LOCAL --limit-iface-in": "-m addrtype --dst-type LOCAL --limit-iface-in? (packet)",
    "-p icmp -m icmp --icmp-type 8": "protocol 1 & protocol 1 & type of icmp message 8",
    "-p icmp -m icmp ! --icmp-type 8": "protocol 1 & protocol 1 & not type of icmp message 8",
    "-p icmp -m icmp --icmp-type any": "protocol 1 & protocol 1",
    "-p icmp -m icmp --icmp-type 3/4": (
        "protocol 1 & protocol 1 & type of icmp message 3 & -m icmp --icmp-type 3/4? (packet)"
    ),
    "-p icmp -m icmp ! --icmp-type 3/4": "protocol 1 & protocol 1 & -m icmp ! --icmp-type 3/4? (packet)",
    "-m comment --comment \"a -j DROP\"": "",
    "-m conntrack --ctstate RELATED,ESTABLISHED": "certainly established/related/reply",
    "-m state --state NEW": "certainly new",
    "-m conntrack ! --ctstate NEW": "certainly established/invalid/related/reply/untracked",
    "-m conntrack --ctstate DNAT": "certainly never & possibly established/new/related/reply",
    "-m conntrack ! --ctstate NEW,SNAT": (
        "certainly invalid/untracked & possibly established/invalid/related/reply/untracked"
    ),
    "-m conntrack --ctdir REPLY": "certainly reply & possibly related/reply",
    "-m conntrack --ctstate NEW,INVALID --ctdir REPLY": "certainly invalid",
    "-m conntrack --ctstate ESTABLISHED,UNTRACKED --ctdir REPLY": "certainly reply/untracked",
    "-m conntrack --ctstatus SEEN_REPLY": "certainly established/reply & possibly established/related/reply",
    "-m conntrack ! --ctstatus NONE": "certainly established/new/related/reply",
    "-m conntrack --ctorigdst 10.0.0.1": "certainly never & possibly established/new/related/reply",
    "-m conntrack --ctstate UNTRACKED,NEW --ctproto 6": "certainly untracked & possibly new/untracked",
    "-m connmark ! --mark 0x1": "certainly never & possibly established/new/related/reply",
    "-m helper --helper ftp": "certainly never & possibly established/related/reply",
    "-m helper ! --helper ftp": "certainly invalid/new/untracked & possibly "
    "established/invalid/new/related/reply/untracked",
    "-m mark --mark 0x1/0xff": "-m mark --mark 0x1/0xff? (mark)",
    "-m limit --limit 1/sec": "-m limit --limit 1/sec? (anything)",
    "-m set --match-set nets src": f"{V4} & source 10.0.0.0-10.0.0.127",
    "-m set ! --match-set nets dst": f"{V4} & not destination 10.0.0.0-10.0.0.127",
    "-m set --match-set nets6 src": "nobody",
    "-m set ! --match-set nets6 src": "not nobody",
    "-m set --match-set ports dst": "protocol 6+17,destination port 50-60",
    "-m set --match-set services dst,dst": (
        f"{V4} & destination 10.0.0.1,protocol 47 or destination 10.0.0.1,protocol 17,destination port 53"
    ),
    "-m set --match-set services dst": "nobody",
    "-m set --match-set pings src,src": (
        f"{V4} & source 10.0.0.1,protocol 1 & -m set --match-set pings src,src? (packet)"
    ),
    "-m set ! --match-set pings src,src": "-m set ! --match-set pings src,src? (packet)",
    "-m set --match-set devices src,src": f"{V4} & source 10.0.0.0-10.0.0.255,incoming interface eth1",
    "-m set --match-set devices dst,dst": f"{V4} & destination 10.0.0.0-10.0.0.255,outgoing interface eth1",
    "-m set --match-set timed src": "-m set --match-set timed src (whose elements are not known)? (anything)",
    "-m set --match-set gone src": "-m set --match-set gone src (whose elements are not known)? (anything)",
    "-m set --match-set nets src --return-nomatch": (
        "-m set --match-set nets src --return-nomatch? (anything)"
    ),
    "-m xxx --of-somebody": "-m xxx --of-somebody? (anything)",
}  # fmt: skip


@pytest.mark.parametrize("match", MATCHES)
def test_a_match_asks(match: str) -> None:
    (found,) = told(f"-A X {match} -j DROP")
    assert found == f"{MATCHES[match]} -> drop"


_MULTICAST: Final = "ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

OF_IPV6: Final = {
    "-m addrtype --dst-type LOCAL": (
        f"{V6} & type of destination local or destination {_MULTICAST},type of destination multicast"
    ),
    "-m addrtype --dst-type MULTICAST": f"{V6} & destination {_MULTICAST}",
    "-m addrtype ! --dst-type UNICAST": (
        f"{V6} & destination 0.0.0.0+::ffff:0:0-::ffff:ffff:ffff+{_MULTICAST}"
    ),
    "-m addrtype ! --dst-type LOCAL,UNICAST": "-m addrtype ! --dst-type UNICAST,LOCAL? (packet)",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 2": "protocol 58 & protocol 58 & type of icmp message 2",
}  # fmt: skip


@pytest.mark.parametrize("match", OF_IPV6)
def test_a_match_of_ipv6_asks(match: str) -> None:
    (found,) = told(f"-A X {match} -j DROP", family=Family.IPV6)
    assert found == f"{OF_IPV6[match]} -> drop"


WITH_ENTRY: Final = "certainly established/new/related/reply"

TARGETS: Final = {
    "-j ACCEPT": [" -> accept"],
    "-j RETURN": [" -> return"],
    "-j Y": [" -> jump Y"],
    "-g Y": [" -> goto Y"],
    "-j REJECT --reject-with icmp-port-unreachable": [" -> reject"],
    "-j NFQUEUE --queue-num 0 --queue-bypass": [" -> queue"],
    "-j DNAT --to-destination 10.0.0.1:80": [" -> translates destinations to 10.0.0.1 port 80"],
    "-j DNAT --to-destination 10.0.0.1-10.0.0.5:80-90 --random": [
        " -> translates destinations to 10.0.0.1-10.0.0.5 port None"
    ],
    "-j DNAT --to-destination :80": [" -> translates destinations to any port 80"],
    "-j DNAT --to-destination [fd00::1]:80": [" -> translates destinations to fd00::1 port 80"],
    "-j DNAT --to-destination fd00::1": [" -> translates destinations to fd00::1 port None"],
    "-j SNAT --to-source 192.0.2.1": [" -> translates sources to 192.0.2.1 port None"],
    "-j MASQUERADE --to-ports 1024-65535": [" -> masquerades to any port None"],
    "-j REDIRECT --to-ports 8080": [" -> redirects to this host to any port 8080"],
    "-j CT --notrack": [" -> leaves packets untracked"],
    "-j NOTRACK": [" -> leaves packets untracked"],
    "-j CT --zone 1 --helper ftp": [" -> gives connections a zone", " -> gives connections a helper"],
    "-j CT --ctevents new": [],
    "-j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff": [" -> sets connection marks"],
    "-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff": [f"{WITH_ENTRY} -> takes packet marks from connections"],
    "-j MARK --set-xmark 0x1/0xffffffff": [" -> sets packet marks"],
    "-j SET --map-set nets src --map-mark": [" -> sets packet marks"],
    "-j SET --add-set filled src": [],
    "-j LOG --log-prefix \"-j DROP \"": [],
    "-j TPROXY --on-port 50080 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1": [
        " -> hands packets to a transparent proxy",
        "-j TPROXY --on-port 50080 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1: a socket listens? (anything) -> accept",
        " -> drop",
    ],
    "-j SYNPROXY --mss 1460": [
        " -> answers in the place of servers, whose connections it has to see",
        "-j SYNPROXY --mss 1460? (anything) -> drop",
        "-j SYNPROXY --mss 1460? (anything) -> accept",
    ],
    "-j XXX --of-somebody": ["-j XXX --of-somebody? (anything) -> drop", "-j XXX --of-somebody? (anything) -> accept"],
    "-j GONE": ["-j GONE? (anything) -> drop", "-j GONE? (anything) -> accept"],
    "": [],
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_does(target: str) -> None:
    assert told(f"-A X {target}".rstrip()) == TARGETS[target]


def test_what_asking_does_by_itself_is_a_step_before() -> None:
    line = "-A X -p tcp -m connlimit --connlimit-above 5 -m connlabel --label a --set -j DROP"
    limit, label, drop = told(line)
    assert limit == "protocol 6 -> counts connections"
    assert label.endswith("-> uses connection labels")
    assert "-m connlimit --connlimit-above 5? (anything)" in drop
    assert told("-A X -m connlimit --connlimit-upto 5") == [" -> counts connections"]


def test_netmap_changes_the_end_of_the_hooks_that_lead_to_it() -> None:
    text = listing(
        "nat",
        "-A POSTROUTING -j X",
        "-A PREROUTING -j Y",
        "-A X -j NETMAP --to 10.1.0.0/16",
        "-A Y -j NETMAP --to 10.2.0.0/16",
    )
    chains = read(text).rules.tables[0].chains
    found = [in_words(step) for name in "XY" for step in chains[name].steps]
    assert found == [
        " -> translates sources to 10.1.0.0/16 port None",
        " -> translates destinations to 10.2.0.0/16 port None",
    ]


def bases(table: Table) -> dict[str, Base]:
    return {name: chain.base for name, chain in table.chains.items() if chain.base}


def test_chains_stand_where_the_kernel_has_them() -> None:
    found = read(*(listing(name) for name in TABLES)).rules.tables
    assert [table.title for table in found] == [f"iptables-nft table {name}" for name in TABLES]
    assert all(table.families == {Family.IPV4} and not table.may_sleep for table in found)
    places = [{name: base.priority for name, base in bases(table).items()} for table in found]
    assert places == [
        dict.fromkeys(_HOOKS["raw"], -300),
        dict.fromkeys(_HOOKS["mangle"], -150),
        {"PREROUTING": -100, "INPUT": 100, "OUTPUT": -100, "POSTROUTING": 100},
        dict.fromkeys(_HOOKS["filter"], 0),
        dict.fromkeys(_HOOKS["security"], 50),
    ]
    assert {base.is_nat for base in bases(found[2]).values()} == {True}
    assert bases(found[3])["FORWARD"].hook is Hook.FORWARD
    assert not bases(found[3])["FORWARD"].is_nat
    assert found[3].chains["X"] == Chain("X")


def test_a_policy_is_a_step_of_its_own() -> None:
    text = listing("filter").replace(":INPUT ACCEPT", ":INPUT DROP")
    policies = {name: base.policy for name, base in bases(read(text).rules.tables[0]).items()}
    assert {name: of_action(step.action) for name, step in policies.items()} == {
        "INPUT": "drop",
        "FORWARD": "accept",
        "OUTPUT": "accept",
    }
    assert str(policies["INPUT"].rule) == "`policy drop` in iptables-nft table filter, chain INPUT"


def test_a_rule_is_told_as_it_is_listed_and_with_its_place() -> None:
    text = listing(
        "filter",
        "-A FORWARD -j LOG",
        '-A FORWARD -m comment --comment "cali:abc" -m mark --mark 0x1 -j DROP',
        "-A DOCKER -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT",
        chains=("DOCKER",),
    )
    (table,) = host_rules([(Variant.LEGACY, Family.IPV6, text.replace("172.17.0.2/32", "fd00::2/128"))]).rules.tables
    assert [str(step.rule) for chain in table.chains.values() for step in chain.steps] == [
        "`-A DOCKER -d fd00::2/128 -p tcp -m tcp --dport 80 -j ACCEPT` in ip6tables-legacy table filter, chain DOCKER "
        "(Docker), rule 1",
        '`-A FORWARD -m comment --comment "cali:abc" -m mark --mark 0x1 -j DROP` in ip6tables-legacy table filter, '
        "chain FORWARD (Calico), rule 2",
    ]


OURS: Final = listing(
    "raw",
    '-A PREROUTING -m comment --comment ctpolicy -j CTPOLICY-PREROUTING',
    "-A PREROUTING -p udp -j CT --notrack",
    "-A CTPOLICY-PREROUTING -p tcp -j CT --notrack",
    chains=("CTPOLICY-PREROUTING",),
)  # fmt: skip


def test_our_own_rules_are_left_out() -> None:
    (table,) = read(OURS).rules.tables
    assert set(table.chains) == {"PREROUTING", "OUTPUT"}
    (step,) = table.chains["PREROUTING"].steps
    assert step.rule.number == 2
    assert step.rule.owner == ""


def test_our_own_rules_are_marked_where_they_are_asked_for() -> None:
    (table,) = read(OURS, with_ours=True).rules.tables
    owners = {step.rule.text: step.rule.owner for chain in table.chains.values() for step in chain.steps}
    assert list(owners.values()).count("ctpolicy") == 2
    assert owners["-A PREROUTING -p udp -j CT --notrack"] == ""


def test_chains_of_our_name_in_other_tables_are_somebody_elses() -> None:
    text = listing("filter", "-A INPUT -j CTPOLICY-X", "-A CTPOLICY-X -j DROP", chains=("CTPOLICY-X",))
    (table,) = read(text).rules.tables
    assert [len(table.chains[name].steps) for name in ("INPUT", "CTPOLICY-X")] == [1, 1]


def test_a_set_that_any_rule_of_the_host_fills_is_not_known() -> None:
    asking = listing("filter", "-A INPUT -m set --match-set filled src -j DROP")
    filling = listing("mangle", "-A INPUT -j SET --add-set filled src")
    assert "not known" not in in_words(read(asking).rules.tables[0].chains["INPUT"].steps[0])
    other = host_rules([(Variant.NFT, Family.IPV4, asking), (Variant.LEGACY, Family.IPV6, filling)], SETS)
    assert "not known" in in_words(other.native["ip", "filter"].chains["INPUT"].steps[0])


def test_what_a_target_changes_may_be_asked_with_another_answer() -> None:
    asking = "-A INPUT -m dscp --dscp 0x01 -j DROP"
    assert told(asking) == ["-m dscp --dscp 0x01? (packet) -> drop"]
    found = read(listing("filter", asking), listing("mangle", "-A FORWARD -j DSCP --set-dscp 0x01"))
    (step,) = found.native["ip", "filter"].chains["INPUT"].steps
    assert in_words(step) == "-m dscp --dscp 0x01? (anything) -> drop"


def test_tables_with_native_rules_are_told_as_not_shown() -> None:
    text = "# Table `filter' is incompatible, use 'nft' tool.\n" + listing("mangle", "-A X -j DROP")
    found = read(text)
    assert found.unshown == {("ip", "filter")}
    assert set(found.native) == {("ip", "mangle")}
    assert found.rules.unwalked == ("table ip filter (iptables-nft)",)


def test_a_table_of_another_name_is_told_as_not_walked() -> None:
    found = read("*rawpost\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j RAWSNAT\nCOMMIT\n" + listing("filter"))
    assert [table.title for table in found.rules.tables] == ["iptables-nft table filter"]
    assert found.rules.unwalked == ("iptables-nft table rawpost",)


def test_a_cut_listing_is_no_listing() -> None:
    with pytest.raises(InputError, match="ends within table filter"):
        read(listing("filter").replace("COMMIT\n", ""))
