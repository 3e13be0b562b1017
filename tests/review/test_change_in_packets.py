"""The change in packets: what is told where there is too much to tell, at which risk, and what became of entries."""

from __future__ import annotations

import pytest

from ctpolicy.language.diagnostics import Place
from ctpolicy.language.policy import Policy
from ctpolicy.meaning import decide
from ctpolicy.meaning_space import bypass_space, entries_space
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.space import PacketSpace, bounded
from ctpolicy.review.change import MOST_MOVES, change_between
from ctpolicy.review.review import Change, Direction, Risk, Turn
from policies import policy


def change(base: Policy, head: Policy, sensitive: PacketSpace | None = None) -> Change:
    return change_between(base, head, sensitive=sensitive, places={}, base_name="base")


def services(count: int, host: int, first: int = 0) -> Policy:
    """Services with a client of their own each: on `lo`, where answers are requests too, each crosses all others."""
    entries = (
        f"  - {{name: s{at}, host-service: tcp/{1024 + at}, peers: 10.0.{at // 256}.{at % 256 + host}}}"
        for at in range(first, count)
    )
    return policy("bypass:\n" + "\n".join(entries))


def moved(found: Change, direction: Direction) -> PacketSpace:
    return PacketSpace.of_boxes(move.box for move in found.moves if move.direction is direction)


def test_entry_among_many_is_told_without_describing_where_they_cross() -> None:
    base, head = services(300, 0, first=1), services(300, 0)
    found = change(base, head)
    assert not found.is_too_large
    assert {move.entry for move in found.moves} == {"s0"}
    assert [move.packets for move in found.moves][:2] == [
        "in tcp 10.0.0.0 -> any:1024",
        "out tcp any:1024 -> 10.0.0.0 dev not lo",
    ]
    new = bypass_space(head) - bypass_space(base)
    assert moved(found, Direction.UNTRACKED) <= new
    assert found.is_complete is (moved(found, Direction.UNTRACKED) == new)


def test_long_list_is_told_in_full() -> None:
    """A diagram with thousands of addresses is not large: a list is one node of it."""
    nodes = ", ".join(f"10.{at // 256}.{at % 256}.0/25" for at in range(2000))
    found = change(policy("bypass: []"), policy(f"bypass: [{{name: a, host-service: tcp/9100, peers: [{nodes}]}}]"))
    assert found.is_complete
    assert {move.size for move in found.moves} == {"256,000 addresses, one port", "256,000 addresses, one port, on lo"}


def test_more_than_anybody_reads_is_told_riskiest_first() -> None:
    head = policy(
        "bypass:\n"
        + "".join(f"  - {{name: a{at}, ports: udp/{2000 + 2 * at}}}\n" for at in range(MOST_MOVES))
        + "  - {name: z, host-service: tcp/22, peers: 10.0.0.1, acknowledge: a test}\n"
    )
    found = change(policy("bypass: []"), head)
    assert not found.is_complete
    assert found.moves[0].entry == "z"
    assert found.moves[0].risk is Risk.PROTECTED
    assert len(found.moves) <= MOST_MOVES + 8
    assert len(found.entries) == MOST_MOVES + 1


def test_comparison_that_takes_too_much_is_given_up() -> None:
    found = change_between(
        policy("bypass: []"), services(100, 0), sensitive=None, places={}, base_name="base", most_work=100
    )
    assert found == Change("base", is_complete=False, is_too_large=True)


def crossing(count: int) -> str:
    """Services and clients with peers of their own, which have no small diagram together (packetspace/universe.py)."""
    return "".join(
        f"  - {{name: s{at}, host-service: tcp/{1024 + at}, peers: 10.0.{at // 256}.{at % 256}}}\n"
        f"  - {{name: c{at}, host-client: tcp/{30000 + at}, peers: 10.0.{at // 256}.{at % 256}}}\n"
        for at in range(count)
    )


def test_small_change_to_a_policy_that_is_too_large_for_a_space_is_told() -> None:
    base = policy(f"bypass:\n{crossing(200)}")
    head = policy(f"bypass:\n{crossing(200)}  - {{name: dns, ports: udp/53}}\n")
    most = 100_000
    with bounded(most), pytest.raises(TooLargeError):
        bypass_space(base)
    found = change_between(base, head, sensitive=None, places={}, base_name="base", most_work=most)
    assert found.is_complete
    assert [move.packets for move in found.moves] == [
        "in,forward,out udp any -> any:53",
        "in,forward,out udp any:53 -> any",
    ]


def test_limit_does_not_stay_behind() -> None:
    change_between(policy("bypass: []"), services(50, 0), sensitive=None, places={}, base_name="", most_work=10)
    assert bypass_space(services(60, 0))


def test_place_is_that_of_the_entry_in_what_is_reviewed() -> None:
    places = {"dns": Place("worker.yaml", 7, 5), "gone": Place("worker.yaml", 9, 5)}
    base = policy("bypass: [{name: gone, overlay: vxlan}]")
    head = policy("bypass: [{name: dns, ports: udp/53}]")
    found = change_between(base, head, sensitive=None, places=places, base_name="base")
    assert {(move.entry, move.place) for move in found.moves} == {("dns", places["dns"]), ("gone", None)}


def test_witness_is_one_of_the_packets_that_are_the_risk() -> None:
    head = policy("bypass: [{name: low, host-service: tcp/1-1023, acknowledge: a test}]")
    for move in change(policy("bypass: []"), head).moves:
        assert move.risk is Risk.PROTECTED
        assert 22 in (move.witness.source_port, move.witness.destination_port)
        assert decide(head, move.witness).untracked


def test_answers_to_a_client_that_uses_port_22_are_not_ssh() -> None:
    found = change(policy("bypass: []"), policy("bypass: [{name: metrics, host-service: tcp/9100}]"))
    assert {move.risk for move in found.moves} == {Risk.ORDINARY}


def test_network_that_is_known_to_be_translated_is_a_risk() -> None:
    sensitive = entries_space(policy("bypass: [{name: x, match: {protocol: udp, source: 172.17.0.0/16}}]").bypass)
    head = policy("bypass: [{name: dns, ports: udp/53, paths: [forward]}]")
    with_it = change(policy("bypass: []"), head, sensitive)
    without = change(policy("bypass: []"), head)
    assert {move.risk for move in with_it.moves} == {Risk.TRANSLATED}
    assert all(move.witness in sensitive for move in with_it.moves)
    assert {move.risk for move in without.moves} == {Risk.ORDINARY}


def test_track_entry_that_names_ports_makes_no_service_network() -> None:
    base = policy("track: [{name: ssh, match: {source: 10.0.0.0/8, protocol: tcp, destination-ports: 22}}]")
    head = policy(
        "bypass: [{name: vxlan, overlay: vxlan, peers: 10.0.0.0/24}]\n"
        "track: [{name: ssh, match: {source: 10.0.0.0/8, protocol: tcp, destination-ports: 22}}]"
    )
    assert {move.risk for move in change(base, head).moves} == {Risk.ORDINARY}


def test_moves_come_by_risk_then_direction_then_entry() -> None:
    base = policy("bypass: [{name: b, ports: udp/53}, {name: a, ports: udp/54}]")
    head = policy(
        "bypass:\n  - {name: w, ports: udp/55}\n  - {name: x, ports: udp/56}\n  - {name: all-gre, overlay: gre}\n"
        "  - {name: z, ports: tcp/22, acknowledge: a test}"
    )
    order = [(move.risk, move.direction, move.entry) for move in change(base, head).moves]
    assert list(dict.fromkeys(order)) == [
        (Risk.PROTECTED, Direction.UNTRACKED, "z"),
        (Risk.WHOLE, Direction.UNTRACKED, "all-gre"),
        (Risk.ORDINARY, Direction.UNTRACKED, "w"),
        (Risk.ORDINARY, Direction.UNTRACKED, "x"),
        (Risk.ORDINARY, Direction.TRACKED, "a"),
        (Risk.ORDINARY, Direction.TRACKED, "b"),
    ]


TURNS = {
    "bypass: [{name: b, overlay: vxlan}]": [("bypass", "b", Turn.RENAMED, True, "a")],
    "bypass: [{name: a, overlay: vxlan, description: new}]": [("bypass", "a", Turn.CHANGED, True, "")],
    "bypass: [{name: b, overlay: vxlan, description: new}]": [("bypass", "b", Turn.RENAMED, True, "a")],
    "bypass: [{name: a, overlay: geneve}]": [("bypass", "a", Turn.CHANGED, False, "")],
    "bypass: [{name: b, overlay: geneve}]": [
        ("bypass", "a", Turn.REMOVED, False, ""),
        ("bypass", "b", Turn.ADDED, False, ""),
    ],
    "track: [{name: a, overlay: vxlan}]": [
        ("bypass", "a", Turn.REMOVED, False, ""),
        ("track", "a", Turn.ADDED, False, ""),
    ],
    "bypass: [{name: a, match: {protocol: udp, destination-ports: 4789, paths: [in, out]}}]": [
        ("bypass", "a", Turn.CHANGED, True, "")
    ],
    "bypass: [{name: a, overlay: vxlan}, {name: b, overlay: vxlan}]": [("bypass", "b", Turn.ADDED, False, "")],
    "bypass: [{name: a, overlay: {preset: vxlan, port: 4789}}]": [],
}


@pytest.mark.parametrize(("head", "turns"), TURNS.items())
def test_what_became_of_an_entry(head: str, turns: list[tuple[str, str, Turn, bool, str]]) -> None:
    found = change(policy("bypass: [{name: a, overlay: vxlan}]"), policy(head)).entries
    assert [(turn.role, turn.name, turn.turn, turn.means_the_same, turn.was) for turn in found] == turns


def test_entry_that_means_the_same_in_other_corners_is_seen_to() -> None:
    """Corners alone would not tell these apart: the ends are the same, and what is between them is not."""
    base = policy("bypass: [{name: a, ports: [udp/1, udp/9]}]")
    head = policy("bypass: [{name: a, ports: udp/1-9}]")
    (turn,) = change(base, head).entries
    assert not turn.means_the_same
    packet = parse_packet("in udp 10.0.0.2:40000 -> 10.0.0.1:5")
    assert packet in moved(change(base, head), Direction.UNTRACKED)
