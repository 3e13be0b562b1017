"""A host's raw tables and ipsets through the backend: what is wanted comes about, and others' things stay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.errors import HostError
from ctpolicy.iptables.change import difference
from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ours import set_prefix
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.iptables.transaction import steps
from ctpolicy.language.load import load_files, load_text
from ctpolicy.language.policy import Policy
from ctpolicy.packetspace.fields import Family
from ctpolicy.testing.strategies import policies
from kernel.namespace import Namespace, make_namespace
from kernel.raw_tables import counted, ipset, restore, rules, send
from policies import policy
from property.test_iptables_rules_mean_the_policy import DEEP, deep_policy

pytestmark = [pytest.mark.kernel, pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)]

SCENARIOS = Path(__file__).parents[1] / "scenarios" / "iptables"

FOREIGN = (
    ":OTHERS - [0:0]",
    "-A PREROUTING -p tcp -m tcp --dport 80 -j OTHERS",
    "-A OUTPUT -m set --match-set others dst -j NOTRACK",
    '-A OTHERS -s 192.0.2.0/24 -m comment --comment "ctpolicy of another" -j CT --notrack',
)
FOREIGN_SETS = ("create others hash:ip family inet", "add others 192.0.2.1")

POLICY = policy("""
groups:
  nodes: [10.0.0.0/24, 10.0.2.0/24, "fd00:7::/64", "fd00:9::1"]
bypass:
  - {name: vxlan, overlay: vxlan, peers: nodes}
  - {name: busy, ports: udp/4000}
track:
  - {name: one, host-service: udp/53, peers: nodes}
""")


@pytest.fixture
def host(variant: Variant, namespace: Namespace) -> IptablesHost:
    return host_of(variant, namespace)


def host_of(variant: Variant, namespace: Namespace) -> IptablesHost:
    return IptablesHost(IptablesTools(namespace.path), variant)


def put(host: IptablesHost, desired: RawTables | None) -> None:
    """Change the host, and see that there is nothing left to change."""
    host.change(host.read(), desired)
    found = host.read()
    assert found == desired
    assert not list(steps(difference(found, desired)))


def foreign(namespace: Namespace, variant: Variant) -> list[str]:
    """All lines of others, as the tools print them."""
    lines = [line for family in Family for line in rules(namespace, variant, family) if "CTPOLICY-" not in line]
    sets = namespace.run("ipset", "save").stdout.splitlines()
    return [*lines, *(line for line in sets if set_prefix(variant) not in line)]


def test_any_policy_follows_any_other_and_leaves_nothing(variant: Variant) -> None:
    with make_namespace() as namespace:
        host = host_of(variant, namespace)
        ipset(namespace, *FOREIGN_SETS)
        for family in Family:
            lines = FOREIGN if family is Family.IPV4 else (":OTHERS - [0:0]", "-A OUTPUT -s fd00::/8 -j OTHERS")
            restore(namespace, variant, *lines, family=family)
        before = foreign(namespace, variant)

        @settings(max_examples=2)
        @given(st.lists(st.tuples(policies(), st.booleans()), min_size=2, max_size=3))
        def law(chosen: list[tuple[Policy, bool]]) -> None:
            for one, with_sets in chosen:
                desired = compile_policy(one, with_sets, variant)
                put(host, desired if desired.tables else None)
            put(host, None)
            assert foreign(namespace, variant) == before

        law()
        for family in Family:
            assert not [line for line in rules(namespace, variant, family) if "ctpolicy" in line.lower()[:60]]


def edited(namespace: Namespace, variant: Variant, what: str) -> None:
    """What somebody may do to what is ours."""
    jump = "-m comment --comment ctpolicy -j CTPOLICY-OUTPUT"
    match what:
        case "a doubled jump":
            restore(namespace, variant, f"-A OUTPUT {jump}")
        case "a jump with another condition":
            restore(namespace, variant, "-A OUTPUT -p udp -j CTPOLICY-OUTPUT")
        case "a moved jump":
            restore(namespace, variant, "-I OUTPUT 1 -p sctp -j ACCEPT")
        case "a missing jump":
            restore(namespace, variant, f"-D OUTPUT {jump}")
        case "an edited chain":
            restore(namespace, variant, "-I CTPOLICY-OUTPUT 1 -p sctp -j CT --notrack")
        case "an emptied chain":
            restore(namespace, variant, ":CTPOLICY-OUTPUT - [0:0]")
        case "a chain too many":
            restore(namespace, variant, ":CTPOLICY-OLD - [0:0]", "-A CTPOLICY-OLD -j RETURN", family=Family.IPV6)
        case "a missing chain":
            restore(namespace, variant, f"-D OUTPUT {jump}", ":CTPOLICY-OUTPUT - [0:0]", "-X CTPOLICY-OUTPUT")
        case "a set with one element more":
            ipset(namespace, f"add {set_prefix(variant)}b4-nodes 10.9.9.9")
        case "a set with one element less":
            ipset(namespace, f"del {set_prefix(variant)}b6-nodes fd00:9::1")
        case "an emptied set":
            ipset(namespace, f"flush {set_prefix(variant)}t4-nodes")
        case "a set with a prefix in its place that holds it":
            ipset(
                namespace,
                f"del {set_prefix(variant)}t4-nodes 10.0.0.0/24",
                f"add {set_prefix(variant)}t4-nodes 10.0.0.0/23",
            )
        case "a set too many":
            ipset(
                namespace, f"create {set_prefix(variant)}b4-old hash:net", f"create {set_prefix(variant)}swap hash:net"
            )
        case _:
            raise AssertionError(what)


EDITS = (
    "a doubled jump",
    "a jump with another condition",
    "a moved jump",
    "a missing jump",
    "an edited chain",
    "an emptied chain",
    "a chain too many",
    "a missing chain",
    "a set with one element more",
    "a set with one element less",
    "an emptied set",
    "a set with a prefix in its place that holds it",
    "a set too many",
)


def test_what_somebody_edited_is_seen_and_mended(variant: Variant, namespace: Namespace, host: IptablesHost) -> None:
    desired = compile_policy(POLICY, variant=variant)
    put(host, desired)
    for what in EDITS:
        edited(namespace, variant, what)
        assert host.read() != desired, what
        put(host, desired)
    assert first_rule(namespace, variant) == "-A OUTPUT -m comment --comment ctpolicy -j CTPOLICY-OUTPUT"
    assert [line for line in rules(namespace, variant) if "sctp" in line] == ["[0:0] -A OUTPUT -p sctp -j ACCEPT"]


def first_rule(namespace: Namespace, variant: Variant) -> str:
    return next(line for line in rules(namespace, variant) if "-A OUTPUT" in line).partition(" ")[2]


def test_older_spellings_are_no_difference_and_are_deleted_as_they_stand(
    variant: Variant, namespace: Namespace, host: IptablesHost
) -> None:
    desired = compile_policy(policy("bypass: [{name: busy, ports: udp/4000, paths: [in, out], interfaces: [eth0]}]"))
    put(host, desired)
    lines = [line.partition(" ")[2] for line in rules(namespace, variant) if "-A CTPOLICY-OUTPUT" in line]
    older = [line.replace("-j CT --notrack", "-j NOTRACK") for line in lines]
    assert older != lines
    for family in Family:
        restore(namespace, variant, ":CTPOLICY-OUTPUT - [0:0]", *older, family=family)
    assert "-j NOTRACK" in "".join(rules(namespace, variant))
    assert host.read() == desired
    put(host, None)


def test_two_halves_are_as_good_as_the_whole_and_are_deleted_as_halves(
    variant: Variant, namespace: Namespace, host: IptablesHost
) -> None:
    desired = compile_policy(POLICY, variant=variant)
    put(host, desired)
    halves = ("del {} 10.0.0.0/24", "add {} 10.0.0.0/25", "add {} 10.0.0.128/25")
    names = (f"{set_prefix(variant)}{role}4-nodes" for role in "bt")
    ipset(namespace, *(line.format(name) for name in names for line in halves))
    assert host.read() == desired
    after = policy("""
groups: {nodes: [10.0.2.0/24, 10.0.4.0/24]}
bypass: [{name: vxlan, overlay: vxlan, peers: nodes}]
track: [{name: one, host-service: udp/53, peers: nodes}]
""")
    put(host, compile_policy(after, variant=variant))


def test_equal_rules_keep_what_they_have_counted(variant: Variant, namespace: Namespace, host: IptablesHost) -> None:
    text = "bypass: [{{name: busy, match: {{protocol: udp, destination-ports: 4000, paths: [out]}}}}, "
    text += "{{name: more, ports: udp/{}}}]"
    put(host, compile_policy(policy(text.format(5000)), variant=variant))
    send(namespace, 4000, packets=7)
    put(host, compile_policy(policy(text.format(6000)), variant=variant))
    assert counted(namespace, variant, "-p udp -m udp --dport 4000 -m comment --comment busy -j CT --notrack") == 7


def test_a_set_of_another_kind_is_refused_before_anything_is_changed(
    variant: Variant, namespace: Namespace, host: IptablesHost
) -> None:
    ipset(namespace, f"create {set_prefix(variant)}b4-nodes hash:net timeout 60")
    with pytest.raises(HostError, match=f"{set_prefix(variant)}b4-nodes"):
        host.change(host.read(), compile_policy(POLICY, variant=variant))
    assert not [line for line in rules(namespace, variant) if "CTPOLICY" in line]


def test_a_set_grows_beyond_the_room_that_it_had(variant: Variant, namespace: Namespace, host: IptablesHost) -> None:
    def peers(first: int, count: int) -> RawTables:
        addresses = ", ".join(f"10.{n >> 7 & 255}.{(n & 127) * 2}.1" for n in range(first, first + count))
        return compile_policy(
            policy(f"groups: {{nodes: [{addresses}]}}\nbypass: [{{name: e, overlay: vxlan, peers: nodes}}]"),
            variant=variant,
        )

    ipset(namespace, f"create {set_prefix(variant)}b4-nodes hash:net maxelem 100")
    put(host, peers(0, 80))
    put(host, peers(70, 90))
    assert f"{set_prefix(variant)}swap" not in namespace.run("ipset", "list", "-n").stdout.split()


@pytest.mark.parametrize("scenario", sorted(path.name for path in SCENARIOS.iterdir()))
def test_the_tools_print_each_scenario_as_it_was_reviewed(
    variant: Variant, namespace: Namespace, host: IptablesHost, scenario: str
) -> None:
    put(host, compile_policy(load_files([SCENARIOS / scenario / "policy.yaml"]), variant=variant))
    expected = (SCENARIOS / scenario / "expected.rules").read_text().splitlines()
    found = [line for family in Family for line in printed(namespace, variant, family)]
    assert found == [line for line in expected if line.startswith((":CTPOLICY", "-"))]


def printed(namespace: Namespace, variant: Variant, family: Family) -> list[str]:
    """Our chains and all rules, their counters left out. A protocol is sent by number, and printed by its name."""
    lines = [re.sub(r"^\[\d+:\d+\] ", "", line) for line in rules(namespace, variant, family)]
    lines = [line.replace(set_prefix(variant), set_prefix(Variant.LEGACY)) for line in lines]
    return [line.replace("-p gre", "-p 47") for line in lines if line.startswith((":CTPOLICY", "-"))]


def test_a_policy_whose_trees_follow_each_other_is_taken(
    variant: Variant, namespace: Namespace, host: IptablesHost
) -> None:
    """iptables-nft refuses chains that lead into each other more than sixteen deep."""
    put(host, compile_policy(load_text(deep_policy(DEEP[0], 60)), with_sets=False))
    put(host, compile_policy(load_text(deep_policy(DEEP[1], 60)), with_sets=False))
    put(host, None)
