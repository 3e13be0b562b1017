"""A variant is in use when something stands in its raw table: nothing else counts, and what was found is said."""

from __future__ import annotations

import pytest

from ctpolicy.iptables.ruleset import Chain, Notrack, RawTable, RawTables, Rule, Variant
from ctpolicy.iptables.variants import live_variants
from ctpolicy.packetspace.fields import Family

BUILT_IN = (Chain("OUTPUT", policy="ACCEPT"), Chain("PREROUTING", policy="ACCEPT"))
RULE = Rule(target=Notrack())

EMPTY = RawTables({family: RawTable(BUILT_IN) for family in Family})
ABSENT = RawTables()
WITH_A_RULE = RawTables({Family.IPV4: RawTable((Chain("OUTPUT", (RULE,), "ACCEPT"), BUILT_IN[1]))})
WITH_A_CHAIN = RawTables({Family.IPV4: RawTable(BUILT_IN), Family.IPV6: RawTable((Chain("CALI"), *BUILT_IN))})
WITH_A_POLICY = RawTables({Family.IPV4: RawTable((BUILT_IN[0], Chain("PREROUTING", policy="DROP")))})


def live(legacy: RawTables, nft: RawTables) -> list[tuple[Variant, Family]]:
    found = live_variants({Variant.NFT: nft, Variant.LEGACY: legacy})
    return [(evidence.variant, evidence.family) for evidence in found]


@pytest.mark.parametrize("nothing", [EMPTY, ABSENT])
def test_nothing_is_live_where_nothing_stands(nothing: RawTables) -> None:
    assert live(nothing, nothing) == []
    assert live_variants({}) == ()


@pytest.mark.parametrize("nothing", [EMPTY, ABSENT])
@pytest.mark.parametrize(
    ("something", "family"),
    [(WITH_A_RULE, Family.IPV4), (WITH_A_CHAIN, Family.IPV6), (WITH_A_POLICY, Family.IPV4)],
)
def test_a_rule_a_chain_or_a_policy_shows_its_variant(something: RawTables, family: Family, nothing: RawTables) -> None:
    assert live(something, nothing) == [(Variant.LEGACY, family)]
    assert live(nothing, something) == [(Variant.NFT, family)]


def test_both_can_be_live() -> None:
    assert live(WITH_A_CHAIN, WITH_A_RULE) == [(Variant.LEGACY, Family.IPV6), (Variant.NFT, Family.IPV4)]


def test_the_evidence_is_said() -> None:
    chains = (Chain("CALI", (RULE,)), Chain("DOCKER"), Chain("OUTPUT", (RULE, RULE), "ACCEPT"))
    (evidence,) = live_variants({Variant.NFT: RawTables({Family.IPV6: RawTable(chains)})})
    assert str(evidence) == "iptables-nft: 3 rules and the chains CALI, DOCKER in the raw table of ipv6"
    (evidence,) = live_variants({Variant.LEGACY: WITH_A_RULE})
    assert str(evidence) == "iptables-legacy: 1 rule in the raw table of ipv4"
    (evidence,) = live_variants({Variant.LEGACY: WITH_A_POLICY})
    assert str(evidence) == "iptables-legacy: the policy PREROUTING DROP in the raw table of ipv4"
