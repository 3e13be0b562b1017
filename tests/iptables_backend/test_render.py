"""What is sent to iptables-restore, to the letter."""

from __future__ import annotations

import pytest

from ctpolicy.iptables.render import restore_text, rule_text, save_lines
from ctpolicy.iptables.ruleset import (
    Address,
    AddressRange,
    AddressType,
    Chain,
    End,
    InSet,
    Interface,
    Match,
    Multiport,
    Notrack,
    Port,
    Protocol,
    RawTable,
    Rule,
    Verdict,
    VerdictKind,
)
from ctpolicy.packetspace.fields import Family

TEN = 10 << 24
SOURCE, DESTINATION = End.SOURCE, End.DESTINATION

OURS = RawTable(
    (
        Chain("CTPOLICY-OUTPUT"),
        Chain(
            "CTPOLICY-PREROUTING",
            (Rule((Protocol(17), Port("udp", DESTINATION, (4789, 4789))), Notrack(), "vxlan"),),
        ),
        Chain("OUTPUT", (), "ACCEPT"),
        Chain("PREROUTING", (Rule((), Verdict(VerdictKind.JUMP, "CTPOLICY-PREROUTING"), "ctpolicy"),), "ACCEPT"),
    )
)


@pytest.mark.parametrize(
    ("matches", "text"),
    [
        ((Address(SOURCE, (TEN, TEN)),), "-s 10.0.0.0/32"),
        ((Address(DESTINATION, (TEN, TEN + 255), negated=True),), "! -d 10.0.0.0/24"),
        ((Interface(SOURCE, "eth+"), Protocol(47)), "-i eth+ -p 47"),
        (
            (Protocol(17), Port("udp", SOURCE, (1, 2)), Port("udp", DESTINATION, (3, 3))),
            "-p udp -m udp --sport 1:2 --dport 3",
        ),
        ((Multiport(DESTINATION, ((1, 1), (5, 9)), negated=True),), "-m multiport ! --dports 1,5:9"),
        ((Multiport(End.EITHER, ((1, 1),)),), "-m multiport --ports 1"),
        ((AddressRange(SOURCE, (TEN, TEN + 5)),), "-m iprange --src-range 10.0.0.0-10.0.0.5"),
        (
            (AddressType(DESTINATION, frozenset({"MULTICAST", "LOCAL", "ANYCAST", "BROADCAST"})),),
            "-m addrtype --dst-type LOCAL,BROADCAST,ANYCAST,MULTICAST",
        ),
        (
            (InSet("a", (SOURCE, DESTINATION)), InSet("b", (SOURCE,), negated=True)),
            "-m set --match-set a src,dst -m set ! --match-set b src",
        ),
    ],
)
def test_matches_are_printed_as_iptables_save_prints_them(matches: tuple[Match, ...], text: str) -> None:
    assert rule_text(Rule(matches, Notrack()), Family.IPV4) == f"{text} -j CT --notrack"


@pytest.mark.parametrize(
    ("comment", "text"),
    [("vxlan", "vxlan"), ("a-b_C9", "a-b_C9"), ("a b", '"a b"'), ("a.b", '"a.b"'), ("", '""'), ("it's", '"it\\\'s"')],
)
def test_a_comment_has_quotes_where_it_needs_them(comment: str, text: str) -> None:
    assert rule_text(Rule((), None, comment), Family.IPV4) == f"-m comment --comment {text}"


def test_our_chains_are_made_without_touching_a_built_in_one() -> None:
    assert restore_text(OURS, {"CTPOLICY-OUTPUT", "CTPOLICY-PREROUTING"}, Family.IPV4) == (
        "*raw\n"
        ":CTPOLICY-OUTPUT - [0:0]\n"
        ":CTPOLICY-PREROUTING - [0:0]\n"
        "-A CTPOLICY-PREROUTING -p udp -m udp --dport 4789 -m comment --comment vxlan -j CT --notrack\n"
        "COMMIT\n"
    )
    with pytest.raises(ValueError, match="built-in"):
        restore_text(OURS, {"PREROUTING"}, Family.IPV4)


def test_a_table_is_printed_as_iptables_save_prints_it() -> None:
    assert save_lines(OURS, Family.IPV4) == [
        "*raw",
        ":PREROUTING ACCEPT [0:0]",
        ":OUTPUT ACCEPT [0:0]",
        ":CTPOLICY-OUTPUT - [0:0]",
        ":CTPOLICY-PREROUTING - [0:0]",
        "-A PREROUTING -m comment --comment ctpolicy -j CTPOLICY-PREROUTING",
        "-A CTPOLICY-PREROUTING -p udp -m udp --dport 4789 -m comment --comment vxlan -j CT --notrack",
        "COMMIT",
    ]
