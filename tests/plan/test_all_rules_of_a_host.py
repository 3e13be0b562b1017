"""All tables of a host in one form: each once, from the listing that shows it best."""

from __future__ import annotations

from typing import Any, Final

from ctpolicy.iptables.host_rules import Listing
from ctpolicy.iptables.read import read_raw_table
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.nftables.read import read_document
from ctpolicy.nftables.ruleset import Ruleset
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.host_rules import host_rules
from ctpolicy.plan.live import Live

FILTER: Final = "*filter\n:INPUT DROP [0:0]\n-A INPUT -m set --match-set nets src -j ACCEPT\nCOMMIT\n"
INCOMPATIBLE: Final = "# Table `filter' is incompatible, use 'nft' tool.\n"


def nftables(*tables: tuple[str, str], flags: list[str] | None = None) -> Ruleset:
    objects: list[dict[str, Any]] = []
    for family, name in tables:
        objects.append({"table": {"family": family, "name": name, **({"flags": flags} if flags else {})}})
        hook = {"type": "filter", "hook": "input", "prio": 0, "policy": "accept"}
        objects.append({"chain": {"family": family, "table": name, "name": "INPUT", **hook}})
    return read_document({"nftables": [{"metainfo": {"version": "1.0.6"}}, *objects]})


def titles(live: Live, *listings: Listing) -> list[str]:
    return [table.title for table in host_rules(live, listings).tables]


def test_each_table_is_told_once_and_ours_not_at_all() -> None:
    live = Live(nftables(("ip", "filter"), ("ip6", "filter"), ("inet", "firewall"), ("inet", "ctpolicy")))
    nft, legacy = (Variant.NFT, Family.IPV4, FILTER), (Variant.LEGACY, Family.IPV4, FILTER)
    assert titles(live, nft, legacy) == [
        "iptables-legacy table filter",
        "iptables-nft table filter",
        "table inet firewall",
        "table ip6 filter (iptables-nft)",
    ]


def test_without_the_tool_what_iptables_nft_keeps_is_read_as_nft_shows_it() -> None:
    assert titles(Live(nftables(("ip", "filter")))) == ["table ip filter (iptables-nft)"]


def test_a_table_that_its_tool_cannot_show_is_read_as_nft_shows_it() -> None:
    listing = (Variant.NFT, Family.IPV4, INCOMPATIBLE)
    rules = host_rules(Live(nftables(("ip", "filter"))), [listing])
    assert [table.title for table in rules.tables] == ["table ip filter (iptables-nft)"]
    assert rules.unwalked == ()


def test_a_table_that_nothing_shows_is_told_as_not_walked() -> None:
    rules = host_rules(Live(unread=("nft failed.",)), [(Variant.NFT, Family.IPV4, INCOMPATIBLE)])
    assert rules.tables == ()
    assert rules.unwalked == ("nft failed.", "table ip filter (iptables-nft)")


def test_a_dormant_table_of_iptables_nft_may_sleep() -> None:
    listings = [(Variant.NFT, Family.IPV4, FILTER), (Variant.LEGACY, Family.IPV4, FILTER)]
    rules = host_rules(Live(nftables(("ip", "filter"), flags=["dormant"])), listings)
    assert {table.title: table.may_sleep for table in rules.tables} == {
        "iptables-legacy table filter": False,
        "iptables-nft table filter": True,
    }


def test_sets_are_known_whichever_variant_was_asked_for_them() -> None:
    sets = read_sets("create nets hash:net family inet\nadd nets 10.0.0.0/8\n")
    live = Live(raw={Variant.LEGACY: RawTables(sets=sets)})
    (table,) = host_rules(live, [(Variant.NFT, Family.IPV4, FILTER)]).tables
    (step,) = table.chains["INPUT"].steps
    assert not step.open


def test_raw_tables_of_legacy_that_no_listing_shows_are_read_and_what_may_be_beside_is_told() -> None:
    text = "*raw\n:PREROUTING DROP [0:0]\n-A PREROUTING -p tcp -j CT --notrack\nCOMMIT\n"
    table = read_raw_table(text, Family.IPV6)
    assert table is not None
    raw = {variant: RawTables({Family.IPV6: table}) for variant in Variant}
    rules = host_rules(Live(nftables(("ip6", "raw")), raw), [])
    assert [one.title for one in rules.tables] == ["ip6tables-legacy table raw", "table ip6 raw (iptables-nft)"]
    assert [step.rule.text for step in rules.tables[0].chains["PREROUTING"].steps] == [
        "-A PREROUTING -p tcp -j CT --notrack"
    ]
    assert rules.unwalked == ("ip6tables-legacy tables but raw, which nobody has listed",)
    listed = host_rules(Live(raw=raw), [(Variant.LEGACY, Family.IPV6, text)])
    assert [one.title for one in listed.tables] == ["ip6tables-legacy table raw"]
    assert listed.unwalked == ()
