"""What lies between two states of what is ours, and how it is carried out."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from ctpolicy.iptables.change import difference
from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.own import own_part
from ctpolicy.iptables.prefixes import prefixes
from ctpolicy.iptables.ruleset import IpSet, RawTables
from ctpolicy.iptables.transaction import steps
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet
from iptables_backend.modelled_tools import states
from policies import policy


def compiled(role: str, peers: str) -> RawTables:
    other = "bypass: [{name: dns, ports: udp/53}]\n" if role == "track" else ""
    return compile_policy(policy(f"groups: {{a: [{peers}]}}\n{other}{role}: [{{name: e, overlay: vxlan, peers: a}}]"))


def after(live: RawTables, desired: RawTables) -> RawTables:
    return [live, *states(live, steps(difference(own_part(live), desired)))][-1]


@pytest.mark.parametrize("role", ["bypass", "track"])
def test_a_set_without_room_for_what_comes_is_made_anew(role: str) -> None:
    old, new = compiled(role, "10.0.0.1, 10.0.0.9, 10.1.0.0/16"), compiled(role, "10.0.0.1, 10.0.0.3, 10.0.0.5")
    live = after(RawTables(), old)
    crowded = replace(live, sets=tuple(replace(one, most=3 if role == "bypass" else 2) for one in live.sets))
    found = after(crowded, new)
    assert own_part(found) == new
    assert all(one.most >= 65_536 for one in found.sets)


def test_a_set_that_was_left_in_the_middle_of_being_made_anew_is_no_obstacle() -> None:
    live = after(RawTables(), compiled("bypass", "10.0.0.1, 10.0.0.9"))
    left = IpSet("ctpolicy-swap", "hash:net", Family.IPV4, most=9)
    crowded = replace(live, sets=(*(replace(one, most=2) for one in live.sets), left))
    desired = compiled("bypass", "10.0.0.1, 10.0.0.3, 10.0.0.5")
    assert own_part(after(crowded, desired)) == desired


def test_a_set_has_room_for_ranges_that_are_many_prefixes() -> None:
    """`maxelem` was made of the number of ranges, and one range may be dozens of prefixes."""
    first = int(ipaddress.ip_address("10.0.0.1"))
    ranges = [(first + 4096 * number, first + 4096 * number + 4093) for number in range(1500)]
    peers = ", ".join(f"{ipaddress.ip_address(a)}-{ipaddress.ip_address(b)}" for a, b in ranges)
    (one,) = compiled("bypass", peers).sets
    assert one.most >= sum(1 for _ in prefixes(IntervalSet.of(ranges), 32)) > 32_768
