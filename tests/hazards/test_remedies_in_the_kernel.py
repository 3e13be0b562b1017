"""What is offered is run as it is offered: the hazards are gone, and undone the host is as it was."""

from __future__ import annotations

from typing import Final

import pytest

from ctpolicy.hazards.dropping import LOSSES, of_half_flows
from ctpolicy.hazards.remedies_text import remedies_text
from ctpolicy.hazards.rules import HostRules
from ctpolicy.iptables.host_rules import host_rules as rules_of_iptables
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.nftables.host_rules import host_rules as rules_of_nftables
from ctpolicy.nftables.read import read_text
from ctpolicy.packetspace.fields import Family
from hazards.repaired import Case, policy_of
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

POLICY: Final = policy_of(
    'host-client: [udp/53, tcp/53]\n    peers: [192.0.2.53, 198.51.100.7-198.51.100.9, "2001:db8::53"]',
    "overlay: vxlan\n    peers: 10.0.0.0/8",
    'ports: udp/5000-5010\n    interfaces: ["eth*", br0]',
    "overlay: gre",
)

FIREWALL: Final = """
table inet firewall {
    chain input {
        type filter hook input priority filter; policy drop
        ct state vmap { established : accept, related : accept, invalid : drop }
        iifname "lo" accept
        udp dport 4789 ct state new accept
        udp dport 5000-5010 accept
        jump refuse
    }
    chain forward {
        type filter hook forward priority filter; policy drop
        ct state established,related accept
        iifname "eth1" accept
    }
    chain output {
        type filter hook output priority filter; policy accept
        ct state invalid counter drop
    }
    chain refuse {
        limit rate 3/minute log
        reject with icmpx admin-prohibited
    }
}
"""

SAVED: Final = """*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:logged - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p udp --dport 4789 -m conntrack --ctstate NEW -j ACCEPT
-A INPUT -p udp -j logged
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A logged -j LOG
-A logged -j DROP
COMMIT
"""

TOOLS: Final = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}


def lost(case: Case) -> set[str]:
    """What an accept rule may help: packets that are untracked, and ICMP errors about them."""
    found = [one for one in case.hazards() if one.code in LOSSES]
    return {one.code for one in found if one.space - of_half_flows(one, case.untracked)}


def listed(namespace: Namespace) -> HostRules:
    return rules_of_nftables(read_text(namespace.run("nft", "-j", "list", "ruleset").stdout))


def saved(namespace: Namespace, variant: Variant) -> HostRules:
    found = [(variant, family, namespace.run(f"{tool}-{variant.value}-save").stdout) for family, tool in TOOLS.items()]
    return rules_of_iptables(found).rules


def test_rules_of_nft_are_taken_and_help(namespace: Namespace) -> None:
    namespace.load(FIREWALL)
    before = Case(listed(namespace), POLICY)
    assert lost(before) == {"HZ001", "HZ002", "HZ003"}
    found = before.remedies()
    was = namespace.ruleset()
    namespace.run("sh", "-eu", stdin=remedies_text(found))
    assert not lost(Case(listed(namespace), POLICY))
    for remedy in found:
        for line in remedy.undo:
            namespace.run("sh", "-euc", line)
    assert namespace.ruleset() == was


@pytest.mark.parametrize("variant", Variant)
def test_rules_of_iptables_are_taken_and_help(namespace: Namespace, variant: Variant) -> None:
    for tool in TOOLS.values():
        namespace.run(f"{tool}-{variant.value}-restore", stdin=SAVED)
    before = Case(saved(namespace, variant), POLICY)
    assert lost(before) == {"HZ001", "HZ002", "HZ003"}
    found = before.remedies()
    namespace.run("sh", "-eu", stdin=remedies_text(found))
    assert not lost(Case(saved(namespace, variant), POLICY))
    for remedy in found:
        for line in remedy.undo:
            namespace.run("sh", "-euc", line)
    assert Case(saved(namespace, variant), POLICY).hazards() == before.hazards()
