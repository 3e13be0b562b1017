"""Large rulesets: how work grows with them, what is told of them, and where it is given up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ctpolicy.hazards.between import hazards_between
from ctpolicy.hazards.fates import together
from ctpolicy.hazards.hazard import MOST_ALIKE, Hazard, in_few
from ctpolicy.hazards.keeping import Bypass
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import HostRules
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.walk import walk
from ctpolicy.language.load import load_text
from ctpolicy.meaning_space import bypass_space
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import PacketSpace, bounded
from ctpolicy.packetspace.universe import FOREST
from hazards.kube_proxy import in_iptables_mode, in_nft_mode
from hazards.listings import DROP, Expression, chain, host, jump, match, meta, payload, state, table

Node = Callable[[int], HostRules]

MUCH = 10**12
MODES = pytest.mark.parametrize("node", [in_iptables_mode, in_nft_mode])


def untracked(entry: str) -> PacketSpace:
    return bypass_space(load_text(f"apiVersion: ctpolicy/v1\nname: test\nbypass:\n  - name: entry\n    {entry}\n"))


def hazards(read: HostRules, entry: str) -> list[Hazard]:
    space = untracked(entry)
    return hazards_between(read, space, space)


def work(read: HostRules, space: PacketSpace) -> float:
    with bounded(MUCH):
        walk(read, Route.FORWARD, Situation.NEW, space)
        return MUCH - FOREST._work_left


@MODES
def test_work_grows_near_linearly_with_services(node: Node) -> None:
    few, many = (work(node(services), untracked("ports: tcp/80")) for services in (60, 240))
    assert few > 1_000, "it is counted"
    assert many < 6 * few


@MODES
def test_thousands_of_rules_of_one_kind_are_told_as_one_hazard(node: Node) -> None:
    found = hazards(node(20), "ports: udp/53")
    told = in_few(found)
    lost = [one for one in found if one.code == "HZ004"]
    (gathered,) = [one for one in told if one.code == "HZ004" and one.is_certain]
    assert {one.rule for one in lost if one.is_certain} == set(gathered.rules)
    assert len(gathered.others) == len(gathered.rules) - 1 == 9
    assert str(gathered.rule) in str(gathered)
    assert "and 9 more rules;" in str(gathered)
    assert len(told) <= len(found) - 9


def test_hazards_in_few_are_of_the_same_packets() -> None:
    found = hazards(in_iptables_mode(10), "ports: tcp/80")
    told = in_few(found)
    assert packets(told) == packets(found)
    assert in_few(told) == told


def packets(found: list[Hazard]) -> dict[tuple[str, bool], PacketSpace]:
    spaces: dict[tuple[str, bool], list[PacketSpace]] = {}
    for one in found:
        spaces.setdefault((one.code, one.is_certain), []).append(one.space)
    return {kind: together(each) for kind, each in spaces.items()}


def test_few_hazards_are_told_one_by_one() -> None:
    found = [one for one in hazards(in_nft_mode(1), "ports: tcp/80") if one.code == "HZ004"]
    assert 0 < len(found) <= 2 * MOST_ALIKE
    assert in_few(found) == found


def test_hazards_in_few_words_are_known_to_remedies() -> None:
    read, space = in_nft_mode(8), untracked("ports: tcp/80")
    found = hazards_between(read, space, space)
    bypass = Bypass(read, space, space, asked=in_few(found))
    assert all(bypass.had(one) for one in found)


def test_rules_that_drop_are_told_one_by_one() -> None:
    rules = [[state("untracked"), match(payload("udp dport"), 53 + at), DROP] for at in range(2 * MOST_ALIKE)]
    read = host(table("t", {"input": chain(*rules, hook="input")}))
    found = hazards(read, "host-service: [udp/53, udp/54, udp/55, udp/56, udp/57, udp/58]")
    lost = [one for one in found if one.code == "HZ001"]
    assert len(lost) == 2 * MOST_ALIKE
    assert [one for one in in_few(found) if one.code == "HZ001"] == lost


def labyrinth(depth: int, ways: int) -> HostRules:
    """Chains that each lead to the next in many ways, of which nobody knows which are taken."""
    chains: dict[str, Expression] = {f"c{depth}": chain([state("new"), DROP])}
    for at in range(depth):
        questions = [[match(meta("skuid"), at * ways + way), jump(f"c{at + 1}")] for way in range(ways)]
        chains[f"c{at}"] = chain(*questions)
    chains["input"] = chain([jump("c0")], hook="input")
    return host(table("t", chains))


def test_labyrinth_of_chains_is_given_up() -> None:
    read = labyrinth(60, 60)
    with bounded(3_000), pytest.raises(TooLargeError):
        walk(read, Route.IN, Situation.NEW, PacketSpace.all())


def test_labyrinth_of_chains_takes_bounded_work() -> None:
    assert work(labyrinth(12, 12), PacketSpace.all()) < 3_000_000
