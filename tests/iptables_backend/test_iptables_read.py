"""What iptables-save prints, read: also what ctpolicy never makes, what was written by hand, and what is damaged."""

from __future__ import annotations

import pytest

from ctpolicy.errors import HostError, InputError
from ctpolicy.iptables.read import read_raw_table
from ctpolicy.iptables.render import rule_text
from ctpolicy.iptables.ruleset import (
    Address,
    Chain,
    End,
    InSet,
    Match,
    Multiport,
    Notrack,
    Port,
    Protocol,
    RawTable,
    Rule,
    Target,
    UnmodelledMatch,
    UnmodelledTarget,
    Verdict,
    VerdictKind,
)
from ctpolicy.packetspace.fields import Family

HEADERS = ":PREROUTING ACCEPT [10:2000]\n:OUTPUT DROP [0:0]\n:MINE - [0:0]\n"


def read(lines: str, family: Family = Family.IPV4) -> RawTable:
    table = read_raw_table(f"*raw\n{HEADERS}{lines}\nCOMMIT\n", family)
    assert table is not None
    return table


def rule(words: str, family: Family = Family.IPV4) -> Rule:
    chain = read(f"-A PREROUTING {words}", family).chain("PREROUTING")
    assert chain is not None
    (found,) = chain.rules
    return found


def test_chains_are_sorted_by_name_and_have_their_policies() -> None:
    assert read("") == RawTable((Chain("MINE"), Chain("OUTPUT", policy="DROP"), Chain("PREROUTING", policy="ACCEPT")))


def test_a_rule_has_its_counters_and_its_own_spelling() -> None:
    spelling = '-p udp -m comment --comment "a b" -m udp --dport 53 -j NOTRACK'
    table = read(f"[12:3456] -A MINE {spelling}")
    found = table.chains[0].rules[0]
    assert (found.packets, found.bytes, found.spelling) == (12, 3456, spelling)
    assert found == Rule((Protocol(17), Port("udp", End.DESTINATION, (53, 53))), Notrack(), "a b")
    assert rule_text(found, Family.IPV4) == '-p udp -m udp --dport 53 -m comment --comment "a b" -j CT --notrack'


@pytest.mark.parametrize("words", ["-j NOTRACK", "-j CT --notrack", "-j CT --notrack --zone 1"])
def test_every_spelling_of_notrack_is_one(words: str) -> None:
    assert rule(words) == Rule((), Notrack())


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("-j CT", UnmodelledTarget("-j CT")),
        ("-j CT --zone 1", UnmodelledTarget("-j CT --zone 1")),
        ("-j CT --helper ftp", UnmodelledTarget("-j CT --helper ftp")),
        ("-j MINE", Verdict(VerdictKind.JUMP, "MINE")),
        ("-g MINE", Verdict(VerdictKind.GOTO, "MINE")),
        ("-j RETURN", Verdict(VerdictKind.RETURN)),
        ("-j ACCEPT", Verdict(VerdictKind.ACCEPT)),
        ("-j NFQUEUE --queue-num 0", UnmodelledTarget("-j NFQUEUE --queue-num 0")),
        ('-j LOG --log-prefix "x -j ACCEPT "', UnmodelledTarget('-j LOG --log-prefix "x -j ACCEPT "')),
        ("-j NOT-IN-THE-LISTING", UnmodelledTarget("-j NOT-IN-THE-LISTING")),
    ],
)
def test_targets(words: str, target: Target) -> None:
    assert rule(words).target == target


@pytest.mark.parametrize(
    ("words", "matches"),
    [
        ("-p udp -m udp", (Protocol(17),)),
        ("-p ipip", (Protocol(94),)),  # in /etc/protocols; in a policy `ipip` is 4
        ("-p ipencap", (Protocol(4),)),
        ("-p ipv4", (Protocol(4),)),
        ("-p 4", (Protocol(4),)),
        ("! -p tcp", (Protocol(6, negated=True),)),
        ("-s 10.0.0.0/255.255.0.0", (Address(End.SOURCE, (10 << 24, (10 << 24) + 65535)),)),
        ("! -d 1.0.3.0/255.0.255.0", (UnmodelledMatch("! -d 1.0.3.0/255.0.255.0"),)),
        ("-f", (UnmodelledMatch("-f"),)),
        (
            "-p tcp -m tcp --dport 80 --tcp-flags FIN,SYN,RST,ACK SYN",
            (
                Protocol(6),
                Port("tcp", End.DESTINATION, (80, 80)),
                UnmodelledMatch("-m tcp --tcp-flags FIN,SYN,RST,ACK SYN"),
            ),
        ),
        ("-m mark ! --mark 0x1/0x1", (UnmodelledMatch("-m mark ! --mark 0x1/0x1"),)),
        ('-m u32 --u32 "0x0=0x0"', (UnmodelledMatch('-m u32 --u32 "0x0=0x0"'),)),
        (
            "-m addrtype --dst-type LOCAL --limit-iface-in",
            (UnmodelledMatch("-m addrtype --dst-type LOCAL --limit-iface-in"),),
        ),
        ("-m set ! --match-set a src,dst", (InSet("a", (End.SOURCE, End.DESTINATION), negated=True),)),
        (
            "-m set --match-set a src --return-nomatch",
            (UnmodelledMatch("-m set --match-set a src --return-nomatch"),),
        ),
        ("-p tcp -m multiport --ports 1,2:3", (Protocol(6), Multiport(End.EITHER, ((1, 1), (2, 3))))),
    ],
)
def test_matches(words: str, matches: tuple[Match, ...]) -> None:
    assert rule(f"{words} -j NOTRACK").matches == matches


def test_of_several_comments_none_is_lost_and_the_last_is_the_comment() -> None:
    found = rule("-m comment --comment one -m comment --comment -j -j ACCEPT")
    assert found == Rule((UnmodelledMatch("-m comment --comment one"),), Verdict(VerdictKind.ACCEPT), "-j")


def test_a_rule_as_people_write_it_is_read_in_the_order_of_iptables_save() -> None:
    by_hand = rule('--protocol udp -d 169.254.20.10 ! --sport 53 -j NOTRACK -m comment --comment "NodeLocal DNS"')
    saved = rule('-d 169.254.20.10/32 -p udp -m udp ! --sport 53 -m comment --comment "NodeLocal DNS" -j CT --notrack')
    assert by_hand == saved


def test_addresses_of_ipv6() -> None:
    first = 0xFD << 120
    assert rule("-s fd00::/64", Family.IPV6).matches == (Address(End.SOURCE, (first, first + (1 << 64) - 1)),)


def test_other_tables_are_passed_over_and_no_raw_table_is_none() -> None:
    filter_table = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n"
    assert read_raw_table(filter_table, Family.IPV4) is None
    assert read_raw_table("", Family.IPV4) is None
    both = read_raw_table(f"{filter_table}*raw\n{HEADERS}COMMIT\n", Family.IPV4)
    assert both == read("")


def test_a_table_that_the_tool_cannot_print_is_an_error_and_never_nothing() -> None:
    with pytest.raises(HostError, match="unknown, not nothing"):
        read_raw_table("# Table `raw' is incompatible, use 'nft' tool.\n\n", Family.IPV4)
    assert read_raw_table("# Table `nat' is incompatible, use 'nft' tool.\n", Family.IPV4) is None


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        ("*raw\n:PREROUTING ACCEPT [0:0]\n", "ends within table raw"),
        ("*raw\n:OUTPUT ACCEPT [0:0]\n-A PREROUTING -j ACCEPT\nCOMMIT\n", "Line 3 .* chain PREROUTING is not"),
        ("*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -s 1.2.3 -j ACCEPT\nCOMMIT\n", "Line 3 .*`1.2.3` is no ipv4 address"),
        ("*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p udp -m udp --dport 70000\nCOMMIT\n", "`70000` is no port"),
        ("*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT -j DROP\nCOMMIT\n", "two targets"),
        ("*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p\nCOMMIT\n", "in the middle of an option"),
        ("*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT surprise\nCOMMIT\n", "`surprise` is not expected"),
        ('*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m comment --comment "a\nCOMMIT\n', "quotation is not ended"),
        ("*raw\n:OUTPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n", "a second time"),
        ("*raw\nCOMMIT\n*raw\nCOMMIT\n", "Line 3 .* a second time"),
        ("{}", "Line 1 .*stands where a table begins"),
        ("*raw\n:OUTPUT ACCEPT [0:0]\n-D OUTPUT 1\nCOMMIT\n", "is no line of iptables-save"),
    ],
)
def test_a_damaged_listing_is_told_with_its_line(listing: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_raw_table(listing, Family.IPV4)
