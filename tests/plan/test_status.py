"""What status says: faults, what was done to ours, what others' rules keep from it; and for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.ruleset import (
    Chain,
    Notrack,
    RawTable,
    RawTables,
    Rule,
    UnmodelledMatch,
    Variant,
    Verdict,
    VerdictKind,
)
from ctpolicy.meaning import decide
from ctpolicy.netfilter.drift import DriftKind, rule_drifts
from ctpolicy.nftables import ruleset as nft
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.live import Live
from ctpolicy.plan.status import MOST_DRIFTS, UNTOLD, Desired, Standard, Status, status, status_json, status_lines
from policies import METRICS, VXLAN, policy, table

SCHEMA: Final = json.loads((Path(__file__).parents[2] / "schemas" / "status-v1.schema.json").read_text())
IPTABLES: Final = IptablesBackend(Variant.NFT)
OWN_RAW: Final = IPTABLES.compile(policy(METRICS))


def lines(found: Status) -> list[str]:
    """As people read it, without the counters at the end; and the JSON is as its schema says."""
    Draft202012Validator(SCHEMA).validate(status_json(found))
    shown = list(status_lines(found))
    return shown[: shown.index("")] if "" in shown else shown


def of_table(live: nft.Table | None, desired: nft.Table | None = None, others: nft.Ruleset = ()) -> Status:
    return status(NFTABLES, Live((*others, *([live] if live else []))), Desired(desired) if desired else None)


def changed(live: nft.Table, chain: str, change: Callable[[nft.Chain], nft.Chain]) -> nft.Table:
    return replace(live, chains=tuple(change(one) if one.name == chain else one for one in live.chains))


def theirs(priority: int, *statements: nft.Statement, hook: str = "prerouting") -> nft.Table:
    base = nft.BaseHook("filter", hook, priority)
    return nft.Table("inet", "theirs", (nft.Chain("guard", base, (nft.Rule(statements),)),))


VXLAN_DROPPED: Final = (
    nft.Match(nft.Payload("udp", "dport"), (4789, 4789)),
    nft.Verdict(nft.VerdictKind.DROP),
)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_status_of_a_live_policy() -> None:
    found = of_table(table(METRICS), table(METRICS))
    assert found.in_force
    assert found.drifted is False
    assert [(entry.role, entry.name) for entry in found.entries] == [("bypass", "node-metrics"), ("track", "ssh")]
    assert lines(found) == ["bypass in force", "no drift from the policy"]


def test_status_without_anything_to_hold_it_against() -> None:
    found = of_table(table(METRICS))
    assert found.drifted is None
    assert lines(found) == ["bypass in force"]


def test_status_of_an_empty_host() -> None:
    assert lines(of_table(None)) == [
        "bypass NOT in force",
        "  there is no table inet ctpolicy: nothing has been applied",
    ]


def test_status_against_what_was_confirmed_names_that() -> None:
    live = Live((table(VXLAN),))
    assert lines(status(NFTABLES, live, Desired(table(VXLAN), Standard.CONFIRMED)))[-1] == (
        "no drift from what was last confirmed"
    )
    drifted = status(NFTABLES, live, Desired(table(METRICS), Standard.CONFIRMED))
    assert lines(drifted)[1] == "what is live differs from what was last confirmed"
    assert status_json(drifted)["comparedWith"] == "confirmed"


def test_drift_reads_as_kind_object_and_lines() -> None:
    live = table(METRICS)
    live = changed(
        live, "prerouting", lambda chain: replace(chain, rules=(*chain.rules[1:], chain.rules[0], *chain.rules[:1]))
    )
    live = changed(
        live, "output", lambda chain: replace(chain, hook=nft.BaseHook("filter", "output", -150), rules=chain.rules)
    )
    live = replace(live, sets=tuple(replace(one, elements=one.elements[:1]) for one in live.sets))
    assert lines(of_table(live, table(METRICS))) == [
        "bypass NOT in force",
        "  chain output has priority -150, which is not before conntrack (-200)",
        "what is live differs from the policy",
        "  priority    chain output",
        "      missing  priority -300",
        "      found    priority -150",
        "  re-ordered  chain prerouting",
        "      found    rule 2, to be rule 1: " + 'iifname "lo" accept',
        "  doubled     chain prerouting",
        "      found    " + 'iifname "lo" accept',
        "  removed     set nodes_v4",
        "      missing  192.168.7.0/24",
        "  removed     set taken_by_host",
        "      missing  broadcast",
        "      missing  local",
        "      missing  multicast",
        "  `ctpolicy apply` mends it: see `ctpolicy plan`",
    ]


def test_drift_of_iptables_reads_alike() -> None:
    assert OWN_RAW
    desired = OWN_RAW
    v4 = desired.tables[Family.IPV4]
    accept = Rule((), Verdict(VerdictKind.ACCEPT), comment="cali:1")
    chains = tuple(
        replace(chain, rules=(accept, *chain.rules, *chain.rules)) if chain.name == "PREROUTING" else chain
        for chain in v4.chains
    )
    live = Live(raw={Variant.NFT: replace(desired, tables={Family.IPV4: RawTable(chains)})})
    assert lines(status(IPTABLES, live, Desired(desired))) == [
        "bypass NOT in force",
        "  iptables-nft: others' rules come before the jump from PREROUTING to CTPOLICY-PREROUTING: what they accept "
        "or drop never comes to ours",
        "what is live differs from the policy",
        "  doubled     iptables-nft raw, jump from PREROUTING",
        "      found    -m comment --comment ctpolicy -j CTPOLICY-PREROUTING",
        "  re-ordered  iptables-nft raw, jump from PREROUTING",
        "      found    rule 2, to be rule 1: -m comment --comment ctpolicy -j CTPOLICY-PREROUTING",
        "  gone        ip6tables-nft raw",
        "      missing  -A CTPOLICY-OUTPUT -p tcp -m tcp --sport 22 -m comment --comment ssh -j RETURN",
        "      missing  -A CTPOLICY-OUTPUT -o lo -p tcp -m tcp --dport 22 -m comment --comment ssh -j RETURN",
        "      missing  -A CTPOLICY-OUTPUT -d fd00:7::/64 -p tcp -m multiport --sports 9100,9537 -m comment --comment "
        "node-metrics -j CT --notrack",
        "      missing  -A CTPOLICY-OUTPUT -s fd00:7::/64 -o lo -p tcp -m multiport --dports 9100,9537 -m comment "
        "--comment node-metrics -j CT --notrack",
        "      missing  -A CTPOLICY-PREROUTING -i lo -j RETURN",
        "      ... and 6 more",
        "  `ctpolicy apply` mends it: see `ctpolicy plan`",
        "others' rules decide about packets that ours bypass",
        "  shadowed    by iptables-nft raw, chain PREROUTING (Calico)",
        '      found    -m comment --comment "cali:1" -j ACCEPT',
        "      in tcp 10.1.0.0/16,192.168.7.0/24 -> any:9100,9537",
        "        such as in tcp 192.168.7.1:40000 -> 192.0.2.1:9100",
        "      `ctpolicy apply` mends it",
    ]


@pytest.mark.parametrize("priority", [-310, -300, -250])
def test_a_foreign_drop_before_conntrack_is_named_with_a_packet(priority: int) -> None:
    found = of_table(table(VXLAN), table(VXLAN), (theirs(priority, *VXLAN_DROPPED),))
    assert found.drifted is False
    assert lines(found) == [
        "bypass in force",
        "no drift from the policy",
        "others' rules decide about packets that ours bypass",
        "  shadowed    by table inet theirs, chain guard",
        "      found    udp dport 4789 drop",
        "      in udp any -> any:4789",
        "        such as in udp 198.51.100.1:40000 -> 192.0.2.1:4789",
        "      change that rule; `ctpolicy apply` leaves it alone",
    ]
    (shadow,) = found.shadows
    assert shadow.witness
    assert decide(policy(VXLAN), shadow.witness).untracked
    assert shadow.is_certain


def test_what_one_rule_keeps_from_ours_is_told_together() -> None:
    both = "bypass: [{name: dns, host-service: udp/53, peers: [192.0.2.0/24, '2001:db8::/32']}]"
    dropped = theirs(-300, nft.Match(nft.Payload("udp", "dport"), (53, 53)), VXLAN_DROPPED[1])
    found = of_table(table(both), table(both), (dropped,))
    assert len(found.shadows) == 2
    assert lines(found)[2:] == [
        "others' rules decide about packets that ours bypass",
        "  shadowed    by table inet theirs, chain guard",
        "      found    udp dport 53 drop",
        "      in udp 192.0.2.0/24 -> any:53",
        "        such as in udp 192.0.2.1:40000 -> 192.0.2.1:53",
        "      in udp 2001:db8::/32 -> any:53",
        "        such as in udp [2001:db8:1::1]:40000 -> [2001:db8::1]:53",
        "      change that rule; `ctpolicy apply` leaves it alone",
    ]


def test_a_drop_that_asks_for_a_mark_is_possible() -> None:
    mark = nft.Unmodelled('{"match":{"left":{"meta":{"key":"mark"}},"op":"==","right":7}}')
    found = of_table(table(VXLAN), table(VXLAN), (theirs(-300, mark, *VXLAN_DROPPED),))
    assert [one.is_certain for one in found.shadows] == [False]
    assert "      in udp any -> any:4789  (possibly)" in lines(found)


@pytest.mark.parametrize(
    "other",
    [
        theirs(-150, *VXLAN_DROPPED),  # too late
        theirs(-300, VXLAN_DROPPED[0], nft.ACCEPT),  # ends its own chain alone
        theirs(-300, nft.Match(nft.Payload("udp", "dport"), (53, 53)), VXLAN_DROPPED[1]),  # other packets
        theirs(-300, VXLAN_DROPPED[0], nft.Notrack()),
    ],
)
def test_what_keeps_nothing_from_us_is_no_shadow(other: nft.Table) -> None:
    assert of_table(table(VXLAN), table(VXLAN), (other,)).differences == ()


def raw(before: Iterable[Rule], after: Iterable[Rule] = (), *, own: RawTables | None = OWN_RAW) -> Live:
    """A host with these rules of others before and after our jump from PREROUTING, of IPv4."""
    assert own
    v4 = own.tables[Family.IPV4]
    chains = tuple(
        replace(chain, rules=(*before, *chain.rules, *after)) if chain.name == "PREROUTING" else chain
        for chain in v4.chains
    )
    return Live(raw={Variant.NFT: replace(own, tables={**own.tables, Family.IPV4: RawTable(chains)})})


ACCEPT, DROP, RETURN = (Rule((), Verdict(kind)) for kind in (VerdictKind.ACCEPT, VerdictKind.DROP, VerdictKind.RETURN))
MARKED: Final = (UnmodelledMatch("-m mark --mark 0x1"),)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([ACCEPT], [], {(True, True)}),
        ([RETURN], [], {(True, True)}),
        ([Rule((), Notrack()), ACCEPT], [], set()),
        ([DROP], [], {(True, False)}),
        ([], [DROP], {(True, False)}),
        ([], [ACCEPT, RETURN], set()),
        ([replace(ACCEPT, matches=MARKED)], [], {(False, True)}),
        ([], [replace(DROP, matches=MARKED)], {(False, False)}),
        ([Rule((), None)], [], set()),
    ],
)
def test_which_rules_of_iptables_keep_packets_from_ours(
    before: list[Rule], after: list[Rule], expected: set[tuple[bool, bool]]
) -> None:
    """By whether it is certain, and whether an apply puts our jump before them."""
    found = status(IPTABLES, raw(before, after), Desired(OWN_RAW))
    assert {(one.is_certain, "apply` mends" in one.remedy) for one in found.shadows} == expected
    assert found.drifted is bool(before)
    assert all(one.witness and decide(policy(METRICS), one.witness).untracked for one in found.shadows)


def test_a_policy_of_a_built_in_chain_drops_too() -> None:
    assert OWN_RAW
    v4 = OWN_RAW.tables[Family.IPV4]
    chains = tuple(replace(one, policy="DROP") if one.name == "OUTPUT" else one for one in v4.chains)
    live = Live(raw={Variant.NFT: replace(OWN_RAW, tables={**OWN_RAW.tables, Family.IPV4: RawTable(chains)})})
    found = status(IPTABLES, live, Desired(OWN_RAW))
    assert {one.object for one in found.shadows} == {"iptables-nft raw, chain OUTPUT"}
    assert found.drifted is False


def test_the_other_variant_is_another_backends_and_only_its_drops_count() -> None:
    legacy = RawTables({Family.IPV4: RawTable((Chain("PREROUTING", (ACCEPT,), "ACCEPT"),))})
    dropping = RawTables({Family.IPV4: RawTable((Chain("PREROUTING", (DROP,), "ACCEPT"),))})
    live = raw([])
    for other, count in ((legacy, False), (dropping, True)):
        found = status(IPTABLES, replace(live, raw={**live.raw, Variant.LEGACY: other}), Desired(OWN_RAW))
        assert bool(found.shadows) is count
        assert found.drifted is False
    assert {one.object for one in found.shadows} == {"iptables-legacy raw, chain PREROUTING"}


def test_many_differences_are_cut_and_counted() -> None:
    entries = "".join(
        f"\n  - {{name: e{number}, host-service: tcp/{number}, peers: 192.0.2.{number}}}" for number in range(40, 80)
    )
    full = table(f"bypass:{entries}")
    found = of_table(
        replace(full, chains=tuple(one for one in full.chains if not one.name.startswith("bypass_"))), full
    )
    assert len(found.differences) == 40
    assert f"  ... and {40 - MOST_DRIFTS} more that are removed" in lines(found)
    assert len(status_json(found)["differences"]) == 40


def test_too_many_packets_to_tell_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctpolicy.plan.shadowing.MOST_WORK", 10)
    found = of_table(table(METRICS), table(METRICS), (theirs(-300, *VXLAN_DROPPED),))
    assert found.notes == (UNTOLD,)
    assert UNTOLD in lines(found)


@pytest.mark.parametrize(
    ("live", "desired", "expected"),
    [
        ("abc", "abc", set()),
        ("", "abc", {"flushed"}),
        ("ab", "abc", {"removed"}),
        ("abcd", "abc", {"added"}),
        ("abca", "abc", {"doubled"}),
        ("axc", "abc", {"edited"}),
        ("bac", "abc", {"re-ordered"}),
        ("cba", "abc", {"re-ordered"}),
        ("bacx", "abc", {"re-ordered", "added"}),
        ("ba", "abc", {"re-ordered", "removed"}),
        ("aab", "aba", {"re-ordered"}),
        ("abc", "", {"added"}),
    ],
)
def test_rules_in_order_are_told_apart(live: str, desired: str, expected: set[str]) -> None:
    assert {one.kind.value for one in rule_drifts("chain c", str, live, desired)} == expected


def test_every_kind_is_in_the_schema() -> None:
    kinds: Any = SCHEMA["properties"]["differences"]["items"]["properties"]["kind"]["enum"]
    assert kinds == [kind.value for kind in DriftKind]
