"""What was live of ours, whatever it was, is written, removed, read and put back by the real tools, and as before."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ours import set_prefix
from ctpolicy.iptables.own import SOMEBODY_ELSE
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import Table
from ctpolicy.packetspace.fields import Family
from ctpolicy.testing.strategies import policies
from kernel.live import apply_in, host_of
from kernel.namespace import Namespace
from kernel.raw_tables import restore as raw_restore
from kernel.raw_tables import send
from policies import METRICS, policy

pytestmark = pytest.mark.kernel

each_variant = pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)

EDITS = """
add set inet ctpolicy by_hand { type ipv4_addr; flags interval; size 1000; counter; comment "rack 5"; }
add element inet ctpolicy by_hand { 10.5.0.0/16 comment "spine", 10.7.0.1 }
add map inet ctpolicy ways { type inet_proto . inet_service : verdict; flags interval; }
add element inet ctpolicy ways { udp . 53 comment "dns" : accept, tcp . 1-9 : drop }
add chain inet ctpolicy later { type filter hook forward priority 5; policy drop; }
add rule inet ctpolicy later limit rate 5/second burst 7 packets counter packets 3 bytes 300 comment "by hand"
add rule inet ctpolicy later ct state established,related accept
add rule inet ctpolicy later ip saddr @by_hand meta mark set 0x7 log prefix "seen: " level info
add rule inet ctpolicy later tcp flags syn / syn,ack tcp option maxseg size set 1360
add rule inet ctpolicy later ip daddr 10.0.0.1-10.0.0.9 udp dport vmap { 1-5 : accept, 7 : jump made_by_ctpolicy }
add rule inet ctpolicy later meta l4proto . th dport vmap @ways
add rule inet ctpolicy later reject with icmpx admin-prohibited
add set inet ctpolicy empty { typeof ip saddr . udp dport; flags dynamic; size 100; }
add set inet ctpolicy merged { type ipv6_addr; flags interval; auto-merge; }
"""


def put_back(namespace: Namespace) -> tuple[Table, Table]:
    """What was live, and what is after it was written, removed, read and loaded."""
    kernel = host_of(namespace)
    before = kernel.read()
    assert before is not None
    text = NFTABLES.written(before)
    kernel.change(before, None)
    assert kernel.read() is None
    kernel.change(None, NFTABLES.read_written(text))
    after = kernel.read()
    assert after is not None
    return before, after


def counters(table: Table) -> list[tuple[int, int]]:
    found = (rule.counter for chain in table.chains for rule in chain.rules)
    return [(one.packets, one.bytes) for one in found if one]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=policies())
def test_tables_are_put_back(namespace: Namespace, policy: Policy) -> None:
    apply_in(namespace, policy)
    before, after = put_back(namespace)
    assert after == before


def test_a_table_that_others_edited_is_put_back(namespace: Namespace) -> None:
    apply_in(namespace, policy(METRICS))
    for line in EDITS.strip().splitlines():
        namespace.run("nft", "-f", "-", stdin=line + "\n")
    before, after = put_back(namespace)
    assert list(NFTABLES.lost(before)) == []
    assert after == before
    assert counters(after) == counters(before)
    assert (3, 300) in counters(after)


def test_an_emptied_set_of_ours_is_put_back(namespace: Namespace) -> None:
    """libnftables 1.0.6 refuses a set with an empty list of elements."""
    apply_in(namespace, policy(METRICS))
    table = host_of(namespace).read()
    assert table is not None
    kept = next(one for one in table.sets if len(one.elements) > 1)
    namespace.run("nft", "flush", "set", "inet", "ctpolicy", kept.name)
    before, after = put_back(namespace)
    assert after == before
    assert next(one for one in after.sets if one.name == kept.name).elements == ()


@each_variant
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=policies())
def test_raw_tables_are_put_back(namespace: Namespace, variant: Variant, policy: Policy) -> None:
    host, backend = IptablesHost(IptablesTools(namespace.path), variant), IptablesBackend(variant)
    host.change(host.read(), backend.compile(policy))
    before = host.read()
    if before is None:
        return
    text = backend.written(before)
    host.change(before, None)
    assert host.read() is None
    host.change(None, backend.read_written(text))
    assert host.read() == before


EDITED_V4 = r"""
-I CTPOLICY-PREROUTING 1 -m mark --mark 0x1/0xff -m comment --comment "it's \"theirs\"" -j THEIRS
-A CTPOLICY-PREROUTING -p 112 -m set --match-set {prefix}byhand src -j NOTRACK
-A CTPOLICY-OUTPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m limit --limit 5/sec -j LOG --log-prefix "a: "
-A CTPOLICY-OUTPUT -s 10.0.0.0/255.0.255.0 -m addrtype --dst-type LOCAL --limit-iface-out -g CTPOLICY-EXTRA
-A CTPOLICY-EXTRA -m statistic --mode random --probability 0.5 -j RETURN
-A CTPOLICY-EXTRA
-A PREROUTING -i eth7 -j CTPOLICY-EXTRA
-I PREROUTING 1 -p udp -j ACCEPT
"""


@each_variant
def test_raw_tables_that_others_edited_are_put_back(namespace: Namespace, variant: Variant) -> None:
    """Also their spelling, their counters, and the places of our jumps among others' rules."""
    host, backend = IptablesHost(IptablesTools(namespace.path), variant), IptablesBackend(variant)
    host.change(None, backend.compile(policy(METRICS)))
    name = f"{set_prefix(variant)}byhand"
    namespace.run("ipset", "create", name, "hash:net,port", "counters", "maxelem", "100")
    namespace.run("ipset", "add", name, "10.0.0.0/24,udp:53")
    namespace.run("ipset", "create", f"{set_prefix(variant)}none", "bitmap:ip", "range", "10.0.0.0/24")
    lines = EDITED_V4.format(prefix=set_prefix(variant)).strip().splitlines()
    raw_restore(namespace, variant, ":CTPOLICY-EXTRA - [0:0]", ":THEIRS - [0:0]", *lines)
    send(namespace, 9, 3)
    before, spelled = host.read(), backend_spelling(host.read())
    assert before is not None
    assert list(backend.lost(before)) == []
    text = backend.written(before)
    host.change(before, None)
    assert host.read() is None
    host.change(None, backend.read_written(text))
    after = host.read()
    assert after == before
    assert backend_spelling(after) == spelled
    assert any(packets for _, packets, _, _ in spelled)


def backend_spelling(own: RawTables | None) -> list[tuple[str, int, int, str]]:
    assert own is not None
    found = []
    for family, table in own.tables.items():
        for chain in table.chains:
            for rule in chain.rules:
                # ip6tables-nft-restore takes counters and forgets them (1.8.9).
                counted = (rule.packets, rule.bytes) if family is Family.IPV4 else (0, 0)
                found.append((chain.name, *counted, rule.spelling if rule != SOMEBODY_ELSE else ""))
    return found
