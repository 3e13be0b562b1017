"""Whatever policy follows another: what both leave untracked is untracked at every moment in between.

Looked at are the states that the steps of a change go through, one after the other, as sets of packets. What the real
tools then do with the steps is in tests/kernel.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.iptables.change import difference
from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.own import own_part
from ctpolicy.iptables.ruleset import RawTables
from ctpolicy.iptables.space import raw_space
from ctpolicy.iptables.transaction import steps
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.testing.strategies import policies
from iptables_backend.modelled_tools import states

_PREFIXES = ("10.0.0.0/24", "10.0.0.0/25", "10.0.0.128/25", "10.0.0.7", "10.0.1.0/24", "10.0.0.3-10.0.0.77")


@st.composite
def related_policies(draw: st.DrawFn) -> Policy:
    """Policies that share what they call their groups and entries, so that one's sets become the other's."""
    some = st.lists(st.sampled_from(_PREFIXES), min_size=1, max_size=4, unique=True)
    peers = st.sampled_from(["a", "b", "any"])
    ports = st.lists(st.integers(5000, 5060), min_size=17, max_size=25, unique=True) | st.lists(
        st.integers(5000, 5060), min_size=1, max_size=1
    )
    lines = ["apiVersion: ctpolicy/v1", "name: related", "groups:"]
    lines += [f"  {name}: [{', '.join(draw(some))}]" for name in ("a", "b")]
    for section, fewest in (("bypass", 1), ("track", 0)):
        numbers = draw(st.lists(st.integers(0, 11), min_size=fewest, max_size=4, unique=True))
        lines += [f"{section}:"] * bool(numbers)
        for number in numbers:
            services = ", ".join(f"udp/{port}" for port in sorted(draw(ports)))
            chosen = draw(peers)
            asked = "" if chosen == "any" else f", peers: {chosen}"
            what = f"host-service: [{services}]"
            if number > 8:
                what = f"overlay: {{protocol: udp, port: {draw(st.integers(1, 9))}}}, paths: [in]"
            lines.append(f"  - {{name: {section}-{number}, {what}, families: [ipv4]{asked}}}")
    return load_text("\n".join(lines))


@settings(max_examples=3)
@given(policies(), policies(), st.booleans(), st.booleans())
def test_what_both_leave_untracked_is_never_tracked(before: Policy, after: Policy, first: bool, then: bool) -> None:
    check(compile_policy(before, first), compile_policy(after, then))


@given(related_policies(), related_policies())
def test_nor_while_sets_change_that_both_have(before: Policy, after: Policy) -> None:
    check(compile_policy(before), compile_policy(after))


def check(old: RawTables, new: RawTables) -> None:
    live = last(RawTables(), old)
    kept = raw_space(old).certainly & raw_space(new).certainly
    for state in states(live, steps(difference(own_part(live), new))):
        assert kept <= raw_space(state).certainly
        live = state
    assert raw_space(live).certainly == raw_space(new).certainly
    assert not list(steps(difference(own_part(live), new)))


def last(live: RawTables, desired: RawTables) -> RawTables:
    return [live, *states(live, steps(difference(own_part(live), desired)))][-1]


_HEADER = "apiVersion: ctpolicy/v1\nname: moved\ngroups: "
MOVED = {
    "a prefix that moves to another group": (
        "{a: [10.0.0.0/24, 10.0.9.0/24]}\nbypass: [{name: e, overlay: vxlan, peers: a}]",
        "{a: [10.0.0.0/24, 10.0.8.0/24], b: [10.0.9.0/24, 10.0.7.0/24]}\n"
        "bypass: [{name: e, overlay: vxlan, peers: a}, {name: f, overlay: vxlan, peers: b}]",
    ),
    "a track entry that gets another port and more peers": (
        "{a: [10.0.0.0/24, 10.0.9.0/24]}\nbypass: [{name: e, ports: udp/53-54}]\n"
        "track: [{name: t, host-service: udp/53, peers: a}]",
        "{a: [10.0.0.0/24, 10.0.8.0/24]}\nbypass: [{name: e, ports: udp/53-54}]\n"
        "track: [{name: t, host-service: udp/54, peers: a}]",
    ),
}


@pytest.mark.parametrize("texts", MOVED.values(), ids=MOVED.keys())
def test_the_law_sees_sets_that_are_narrowed_too_early(texts: tuple[str, str]) -> None:
    old, new = (compile_policy(load_text(_HEADER + text)) for text in texts)
    check(old, new)
    live = last(RawTables(), old)
    kept = raw_space(old).certainly & raw_space(new).certainly
    *widening_and_rules, narrowing = steps(difference(own_part(live), new))
    assert narrowing.family is None
    too_early = [narrowing, *(step for step in widening_and_rules if step.family)]
    assert not all(kept <= raw_space(state).certainly for state in states(live, iter(too_early)))
