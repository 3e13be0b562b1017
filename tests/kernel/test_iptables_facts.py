"""What the iptables backend takes for granted about iptables, ipset and the kernel, each fact as a test."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from kernel.hosts import set_up, states, udp
from kernel.namespace import Namespace
from kernel.raw_tables import change, counted, ipset, load, restore, rules, send

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value),
]

BYPASS = "-p udp -m udp --dport 4789 -j CT --notrack"
OTHER = "-p udp -m udp --dport 53 -m comment --comment others"


def with_bypass(host: Namespace, variant: Variant) -> None:
    """Two chains of ours, each with a jump, and others' rules before and after it."""
    restore(
        host,
        variant,
        *(":OURS - [0:0]", f"-A OURS {BYPASS}", ":SECOND - [0:0]", "-A SECOND -p udp"),
        *(f"-A OUTPUT {OTHER}", "-A OUTPUT -j OURS", "-A OUTPUT -p udp -m mark --mark 0x7", "-A OUTPUT -j SECOND"),
    )


def test_a_chains_header_empties_and_refills_that_chain_alone(variant: Variant, namespace: Namespace) -> None:
    with_bypass(namespace, variant)
    restore(namespace, variant, ":OURS - [0:0]", "-A OURS -p tcp -j CT --notrack")
    found = rules(namespace, variant)
    assert [line for line in found if "-A OURS" in line] == ["[0:0] -A OURS -p tcp -j CT --notrack"]
    assert sum("-A OUTPUT" in line for line in found) == 4
    assert sum("-A SECOND" in line for line in found) == 1


def test_counters_of_rules_in_other_chains_survive(variant: Variant, namespace: Namespace) -> None:
    with_bypass(namespace, variant)
    send(namespace, 53, packets=3)
    restore(namespace, variant, ":OURS - [0:0]", f"-A OURS {BYPASS}", "-A OURS -p tcp")
    assert counted(namespace, variant, OTHER) == 3
    assert counted(namespace, variant, "-A SECOND -p udp") == 3


def test_counters_of_neighbours_survive_a_jump_put_in_and_taken_out(variant: Variant, namespace: Namespace) -> None:
    with_bypass(namespace, variant)
    send(namespace, 53, packets=3)
    restore(namespace, variant, "-I OUTPUT -j SECOND")
    restore(namespace, variant, "-D OUTPUT -j OURS")
    assert counted(namespace, variant, OTHER) == 3
    assert counted(namespace, variant, "-p udp -m mark --mark 0x7") == 0


def test_counters_of_a_refilled_chain_are_those_that_are_given(variant: Variant, namespace: Namespace) -> None:
    with_bypass(namespace, variant)
    restore(namespace, variant, ":OURS - [0:0]", f"[7:700] -A OURS {BYPASS}", "-A OURS -p tcp")
    assert counted(namespace, variant, BYPASS) == 7
    assert counted(namespace, variant, "-A OURS -p tcp") == 0


@pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
def test_a_rule_in_place_keeps_its_counters_in_both_families(
    variant: Variant, family: Family, namespace: Namespace
) -> None:
    restore(namespace, variant, "-A OUTPUT -p udp", family=family)
    send(namespace, 53, packets=2, address="127.0.0.1" if family is Family.IPV4 else "::1")
    restore(namespace, variant, "-I OUTPUT -p tcp", ":OURS - [0:0]", family=family)
    (line,) = (line for line in rules(namespace, variant, family) if line.endswith("-A OUTPUT -p udp"))
    assert line.startswith("[2:")


def test_a_change_of_legacy_zeroes_what_built_in_chains_counted(variant: Variant, namespace: Namespace) -> None:
    """No line of ours can help it: the tool sends the whole table, and these counters as zero (1.8.9)."""
    with_bypass(namespace, variant)
    send(namespace, 53)
    (before,) = (line for line in rules(namespace, variant) if line.startswith(":OUTPUT"))
    restore(namespace, variant, ":THIRD - [0:0]")
    (after,) = (line for line in rules(namespace, variant) if line.startswith(":OUTPUT"))
    assert after == ":OUTPUT ACCEPT [0:0]"
    assert (before != after) is (variant is Variant.LEGACY)  # nft counts no policies at all


def test_jumps_are_moved_in_the_change_that_fills_the_chain(variant: Variant, namespace: Namespace) -> None:
    with_bypass(namespace, variant)
    lines = (":OURS - [0:0]", "-A OURS -p tcp", "-D OUTPUT -j OURS", "-I OUTPUT 1 -j OURS", ":NEW - [0:0]")
    restore(namespace, variant, *lines, "-A NEW -p tcp", "-A OUTPUT -j NEW", "-D OUTPUT -j SECOND")
    in_order = [line.split("] ")[1] for line in rules(namespace, variant) if "-A OUTPUT" in line]
    others = [f"-A OUTPUT {OTHER}", "-A OUTPUT -p udp -m mark --mark 0x7"]
    assert in_order == ["-A OUTPUT -j OURS", *others, "-A OUTPUT -j NEW"]


def test_chains_are_removed_with_their_jumps_in_one_change(variant: Variant, namespace: Namespace) -> None:
    with_bypass(namespace, variant)
    gone = ("-D OUTPUT -j OURS", "-F OURS", "-X OURS", "-D OUTPUT -j SECOND", "-F SECOND", "-X SECOND")
    restore(namespace, variant, *gone)
    found = rules(namespace, variant)
    assert not [line for line in found if "OURS" in line or "SECOND" in line]
    assert sum("-A OUTPUT" in line for line in found) == 2


def test_a_change_with_a_fault_changes_nothing(variant: Variant, namespace: Namespace) -> None:
    with_bypass(namespace, variant)
    before = rules(namespace, variant)
    for fault in ("-D OUTPUT -j NOWHERE", "-D OUTPUT -p sctp", "-X NOWHERE", "-A OURS --dport 5", "-X SECOND"):
        assert restore(namespace, variant, ":OURS - [0:0]", "-D OUTPUT -j OURS", fault, check=False)
        assert rules(namespace, variant) == before


def test_a_doubled_jump_is_deleted_one_at_a_time(variant: Variant, namespace: Namespace) -> None:
    with_bypass(namespace, variant)
    restore(namespace, variant, "-A OUTPUT -j OURS")
    restore(namespace, variant, "-D OUTPUT -j OURS")
    assert sum(line.endswith("-A OUTPUT -j OURS") for line in rules(namespace, variant)) == 1


def test_notrack_and_ct_notrack_are_different_rules_to_a_deletion(variant: Variant, namespace: Namespace) -> None:
    restore(namespace, variant, "-A OUTPUT -p udp -j NOTRACK")
    assert "[0:0] -A OUTPUT -p udp -j NOTRACK" in rules(namespace, variant)
    assert restore(namespace, variant, "-D OUTPUT -p udp -j CT --notrack", check=False)
    restore(namespace, variant, "-D OUTPUT -p udp -j NOTRACK")
    assert not [line for line in rules(namespace, variant) if "-A OUTPUT" in line]


def test_both_variants_act_at_the_same_time(variant: Variant, namespace: Namespace) -> None:
    """A bypass that only the other variant has still bypasses, though this one's tool does not show it."""
    set_up(namespace)
    other = Variant.NFT if variant is Variant.LEGACY else Variant.LEGACY
    restore(namespace, other, f"-A OUTPUT {BYPASS}")
    restore(namespace, variant, "-A OUTPUT -p udp -m udp --dport 6081 -j CT --notrack")
    send(namespace, 4789, 5)
    send(namespace, 6081, 5)
    assert states(namespace)["untracked"] >= 10
    assert not namespace.conntrack("-p", "udp")
    assert not [line for line in rules(namespace, variant) if "4789" in line]


def test_a_rule_with_a_set_that_is_not_there_is_refused(variant: Variant, namespace: Namespace) -> None:
    with_bypass(namespace, variant)
    before = rules(namespace, variant)
    said = restore(namespace, variant, "-A OURS -m set --match-set nowhere src -j CT --notrack", check=False)
    assert "Set nowhere doesn't exist" in said
    assert rules(namespace, variant) == before


def test_a_set_is_swapped_under_a_live_rule(variant: Variant, namespace: Namespace) -> None:
    set_up(namespace)
    ipset(namespace, "create peers hash:net", "add peers 10.0.0.0/8")
    restore(
        namespace, variant, *(f"-A OUTPUT -m set --match-set peers {end} -j CT --notrack" for end in ("dst", "src"))
    )
    udp(namespace, namespace, "127.0.0.1", 53)
    assert len(namespace.conntrack("-p", "udp")) == 1
    ipset(namespace, "create new hash:net", "add new 127.0.0.0/8", "swap new peers", "destroy new")
    before = states(namespace)["untracked"]
    udp(namespace, namespace, "127.0.0.1", 54)
    assert states(namespace)["untracked"] == before + 4  # request and answer, each at output and at input
    assert len(namespace.conntrack("-p", "udp")) == 1


def test_a_set_is_changed_in_place_under_a_live_rule(variant: Variant, namespace: Namespace) -> None:
    ipset(namespace, "create ports bitmap:port range 0-65535", "add ports 53")
    rule = "-p udp -m set --match-set ports dst"
    restore(namespace, variant, f"-A OUTPUT {rule}")
    send(namespace, 53)
    ipset(namespace, "add ports 54-60", "del ports 53")
    send(namespace, 53)
    send(namespace, 57)
    assert counted(namespace, variant, rule) == 2


def test_a_set_in_use_is_not_destroyed(variant: Variant, namespace: Namespace) -> None:
    ipset(namespace, "create peers hash:net")
    restore(namespace, variant, "-A OUTPUT -m set --match-set peers dst")
    assert "it is in use" in ipset(namespace, "destroy peers", check=False)
    restore(namespace, variant, "-D OUTPUT -m set --match-set peers dst")
    ipset(namespace, "destroy peers")  # at once: the rule has let go of it when the tool returns


def test_no_packet_is_tracked_while_chains_are_refilled_and_jumps_are_moved(
    variant: Variant, namespace: Namespace
) -> None:
    set_up(namespace)
    with_bypass(namespace, variant)
    with load(namespace, 4789):
        for number in range(40):
            moved = ("-D OUTPUT -j OURS", f"-I OUTPUT {number % 3 + 1} -j OURS")
            restore(
                namespace,
                variant,
                ":OURS - [0:0]",
                f"-A OURS -p tcp -m tcp --dport {number}",
                f"-A OURS {BYPASS}",
                *moved,
            )
    seen = states(namespace)
    assert seen["untracked"] > 10_000, seen
    assert seen["new"] == seen["established"] == seen["invalid"] == 0, seen


def test_no_packet_is_tracked_while_sets_are_swapped(variant: Variant, namespace: Namespace) -> None:
    set_up(namespace)
    ipset(namespace, "create peers hash:net", "add peers 127.0.0.0/8")
    restore(namespace, variant, "-A OUTPUT -m set --match-set peers dst -j CT --notrack")
    with load(namespace, 4789):
        for number in range(100):
            filled = ("create new hash:net", f"add new 10.{number}.0.0/16", "add new 127.0.0.0/8")
            ipset(namespace, *filled, "swap new peers", "destroy new")
    seen = states(namespace)
    assert seen["untracked"] > 10_000, seen
    assert seen["new"] == seen["established"] == seen["invalid"] == 0, seen


def test_families_are_two_transactions(variant: Variant, namespace: Namespace) -> None:
    restore(namespace, variant, ":OURS - [0:0]")
    found = rules(namespace, variant, Family.IPV6)
    assert not [line for line in found if "OURS" in line]


def test_a_change_without_its_last_line_is_refused(variant: Variant, namespace: Namespace) -> None:
    options = ("-w", "1") if variant is Variant.LEGACY else ()
    tool = f"iptables-{variant.value}-restore"
    cut = change(":OURS - [0:0]").removesuffix("COMMIT\n")
    assert namespace.run(tool, "--noflush", *options, stdin=cut, check=False).returncode == 1
    assert not [line for line in rules(namespace, variant) if "OURS" in line]


def test_the_load_shows_a_gap_where_there_is_one(variant: Variant, namespace: Namespace) -> None:
    """A jump that is taken out and put in by two changes: what the tests of no gap would find."""
    set_up(namespace)
    with_bypass(namespace, variant)
    with load(namespace, 4789):
        restore(namespace, variant, "-D OUTPUT -j OURS")
        time.sleep(0.1)  # the thread that sends has to have its turn, on a machine that does much else
        restore(namespace, variant, "-I OUTPUT -j OURS")
    assert states(namespace)["new"] + states(namespace)["established"] > 0


@pytest.mark.parametrize("chains", [15, 16])
def test_nft_takes_sixteen_chains_that_lead_into_each_other(
    variant: Variant, namespace: Namespace, chains: int
) -> None:
    """A built-in one and fifteen; gotos count as jumps do. Legacy takes any number."""
    names = [f"C{number}" for number in range(chains)]
    lines = [*(f":{name} - [0:0]" for name in names), "-A OUTPUT -j C0"]
    lines += [f"-A {name} -g {following}" for name, following in pairwise(names)]
    restore(namespace, variant, *lines, check=False)
    is_there = any("-A OUTPUT -j C0" in line for line in rules(namespace, variant))
    assert is_there is (variant is Variant.LEGACY or chains == 15)
