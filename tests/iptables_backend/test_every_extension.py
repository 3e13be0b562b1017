"""Each match and target of iptables 1.8.9, one rule each as iptables-save prints it: modelled, or open, or told to be
without effect; none is taken for one that nobody knows, and none is passed over.
"""

from __future__ import annotations

import re
from pathlib import Path as File
from typing import Final

import pytest

from ctpolicy.hazards.rules import Decision, Step, Verdict
from ctpolicy.hazards.situations import ALWAYS
from ctpolicy.iptables.host_modules import OF_ANYTHING, OF_CONNTRACK, OF_PACKET
from ctpolicy.iptables.host_rules import host_rules
from ctpolicy.iptables.host_targets import WITHOUT_EFFECT
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from kernel.namespace import skip_but_for_ci

V4, V6 = Family.IPV4, Family.IPV6

MATCHES: Final = {
    "addrtype": "-m addrtype --dst-type LOCAL",
    "ah": "-p ah -m ah --ahspi 500",
    "bpf": '-m bpf --bytecode "1,6 0 0 65535"',
    "cgroup": "-m cgroup --cgroup 1",
    "cluster": "-m cluster --cluster-total-nodes 2 --cluster-local-node 1 --cluster-hash-seed 0xdeadbeef",
    "comment": '-m comment --comment "a word"',
    "connbytes": "-m connbytes --connbytes 10000:100000 --connbytes-mode bytes --connbytes-dir both",
    "connlabel": "-m connlabel --label 1",
    "connlimit": "-m connlimit --connlimit-upto 2 --connlimit-mask 32 --connlimit-saddr",
    "connmark": "-m connmark --mark 0x1",
    "conntrack": "-m conntrack --ctstate NEW",
    "cpu": "-m cpu --cpu 0",
    "dccp": "-p dccp -m dccp --dccp-types REQUEST",
    "devgroup": "-m devgroup --src-group 0x1",
    "dscp": "-m dscp --dscp 0x01",
    "ecn": "-p tcp -m ecn --ecn-tcp-ece",
    "esp": "-p esp -m esp --espspi 500",
    "hashlimit": "-m hashlimit --hashlimit-upto 1/sec --hashlimit-burst 5 --hashlimit-name a",
    "helper": "-m helper --helper ftp",
    "icmp": "-p icmp -m icmp --icmp-type 8",
    "ipcomp": "-p ipcomp -m ipcomp --ipcompspi 500",
    "iprange": "-m iprange --src-range 10.0.0.1-10.0.0.9",
    "ipvs": "-m ipvs --ipvs",
    "length": "-m length --length 0:100",
    "limit": "-m limit --limit 1/sec",
    "mac": "-m mac --mac-source 02:00:00:00:00:01",
    "mark": "-m mark --mark 0x1",
    "multiport": "-p tcp -m multiport --dports 22,53",
    "nfacct": "-m nfacct --nfacct-name a",
    "osf": '-p tcp -m osf --genre Linux --ttl 0',
    "owner": "-m owner --uid-owner 0",
    "physdev": "-m physdev --physdev-in eth0",
    "pkttype": "-m pkttype --pkt-type unicast",
    "policy": "-m policy --dir in --pol none",
    "quota": "-m quota --quota 1000",
    "rateest": "-m rateest --rateest a --rateest-lt --rateest-bps 8bit",
    "realm": "-m realm --realm 0x1",
    "recent": "-m recent --set --name DEFAULT --mask 255.255.255.255 --rsource",
    "rpfilter": "-m rpfilter --invert",
    "sctp": "-p sctp -m sctp --chunk-types any DATA",
    "set": "-m set --match-set somebodys src",
    "socket": "-m socket --transparent",
    "state": "-m state --state NEW",
    "statistic": "-m statistic --mode random --probability 0.50000000000",
    "string": '-m string --string "a" --algo bm',
    "tcp": "-p tcp -m tcp --tcp-option 5",
    "tcpmss": "-p tcp -m tcpmss --mss 1:100",
    "time": "-m time --timestart 01:00:00 --timestop 02:00:00",
    "tos": "-m tos --tos 0x10/0x3f",
    "ttl": "-m ttl --ttl-eq 1",
    "u32": '-m u32 --u32 "0x0=0x0"',
    "udp": "-p udp -m udp --dport 53",
}  # fmt: skip
MATCHES_OF_IPV6: Final = {
    "dst": "-m dst --dst-len 8",
    "eui64": "-m eui64",
    "frag": "-m frag --fragid 1",
    "hbh": "-m hbh --hbh-len 8",
    "hl": "-m hl --hl-eq 1",
    "icmp6": "-p ipv6-icmp -m icmp6 --icmpv6-type 128",
    "ipv6header": "-m ipv6header --header ipv6-nonxt",
    "mh": "-p ipv6-mh -m mh --mh-type 1",
    "rt": "-m rt --rt-type 0",
    "srh": "-m srh --srh-next-hdr 6",
}

TARGETS: Final = {
    "AUDIT": "--type drop",
    "CHECKSUM": "--checksum-fill",
    "CLASSIFY": "--set-class 0001:0001",
    "CLUSTERIP": "--new --hashmode sourceip --clustermac 01:00:00:00:00:01 --total-nodes 2 --local-node 1",
    "CONNMARK": "--set-xmark 0x1/0xffffffff",
    "CONNSECMARK": "--save",
    "CT": "--zone 1",
    "DNAT": "--to-destination 10.0.0.1",
    "DSCP": "--set-dscp 0x01",
    "ECN": "--ecn-tcp-remove",
    "HMARK": "--hmark-tuple src --hmark-mod 2 --hmark-rnd 0x1",
    "IDLETIMER": "--timeout 5 --label a",
    "LED": '--led-trigger-id "a"',
    "LOG": "",
    "MARK": "--set-xmark 0x1/0xffffffff",
    "MASQUERADE": "",
    "NETMAP": "--to 10.0.0.0/8",
    "NFLOG": "--nflog-group 1",
    "NFQUEUE": "--queue-num 0",
    "NOTRACK": "",
    "RATEEST": "--rateest-name a --rateest-interval 250.0ms --rateest-ewmalog 500.0ms",
    "REDIRECT": "--to-ports 80",
    "REJECT": "--reject-with icmp-port-unreachable",
    "SECMARK": "--selctx a",
    "SET": "--add-set somebodys src",
    "SNAT": "--to-source 10.0.0.1",
    "SYNPROXY": "--mss 1460",
    "TCPMSS": "--clamp-mss-to-pmtu",
    "TCPOPTSTRIP": "--strip-options 5",
    "TEE": "--gateway 10.0.0.1",
    "TOS": "--set-tos 0x10/0x3f",
    "TPROXY": "--on-port 80 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0",
    "TRACE": "",
    "TTL": "--ttl-set 64",
    "ULOG": "--ulog-nlgroup 1",
}
TARGETS_OF_IPV6: Final = {
    "DNPT": "--src-pfx fd00::/64 --dst-pfx fd01::/64",
    "HL": "--hl-set 64",
    "SNPT": "--src-pfx fd00::/64 --dst-pfx fd01::/64",
}
MAY_DO_ANYTHING: Final = {"CLUSTERIP", "DNPT", "SNPT", "SYNPROXY"}
MAY_USE_NOTHING: Final = {"SET"}

NO_MATCH_NOR_TARGET: Final = {"standard", "NAT"}
"""The plain verdicts; what several targets share."""


def read(line: str, family: Family) -> list[Step]:
    headers = ":INPUT ACCEPT [0:0]\n:X - [0:0]\n"
    text = f"*filter\n{headers}-A X {line}\nCOMMIT\n"
    (table,) = host_rules([(Variant.NFT, family, text)]).rules.tables
    return list(table.chains["X"].steps)


def samples(of_v4: dict[str, str], of_v6: dict[str, str]) -> list[tuple[str, str, Family]]:
    return [
        *((name, text, V4) for name, text in of_v4.items()),
        *((name, text, V6) for name, text in of_v6.items()),
    ]


@pytest.mark.parametrize(("name", "text", "family"), samples(MATCHES, MATCHES_OF_IPV6))
def test_a_match_is_modelled_or_open(name: str, text: str, family: Family) -> None:
    for asked in (text, text if name == "comment" else negation(text)):
        *_, step = read(f"{asked} -j DROP", family)
        is_asked = bool(step.fields) or step.tracking != ALWAYS or bool(step.open)
        assert is_asked is (name != "comment")
    is_modelled = name in {"comment", "mark"} or name in OF_PACKET | OF_ANYTHING | OF_CONNTRACK
    assert is_modelled


def negation(text: str) -> str:
    """The same with its last option negated, whether iptables takes that or not."""
    head, option, tail = text.rpartition(" --")
    return f"{head} !{option}{tail}" if option else text


@pytest.mark.parametrize(("name", "options", "family"), samples(TARGETS, TARGETS_OF_IPV6))
def test_a_target_is_modelled_or_open(name: str, options: str, family: Family) -> None:
    found = read(f"-j {name} {options}".rstrip(), family)
    may_do_anything = any(isinstance(one.action, Decision) and one.open for one in found)
    if name in MAY_DO_ANYTHING | {"TPROXY"}:
        assert may_do_anything
    elif name in WITHOUT_EFFECT | MAY_USE_NOTHING:
        assert not found
    else:
        assert len(found) == 1
        assert not may_do_anything


def test_verdicts_are_told() -> None:
    for name, verdict in {"ACCEPT": Verdict.ACCEPT, "DROP": Verdict.DROP, "QUEUE": Verdict.QUEUE}.items():
        (step,) = read(f"-j {name}", V4)
        assert step.action == Decision(verdict)


@pytest.mark.kernel
def test_no_extension_of_the_installed_iptables_is_missing() -> None:
    """Whoever installs a later one is told which names are new."""
    files = [*File("/usr/lib").glob("*/xtables/lib*.so"), *File("/usr/lib64/xtables").glob("lib*.so")]
    found = {name[1] for file in files if (name := re.fullmatch(r"lib(?:xt|ipt|ip6t)_(\w+)\.so", file.name))}
    if not found:
        skip_but_for_ci("no extensions of iptables are installed as files")
    known = MATCHES.keys() | MATCHES_OF_IPV6.keys() | TARGETS.keys() | TARGETS_OF_IPV6.keys() | NO_MATCH_NOR_TARGET
    assert found <= known
