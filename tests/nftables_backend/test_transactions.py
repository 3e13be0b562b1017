"""How a change is carried out: in one transaction where that leaves no gap, else behind a stand-in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.change import difference
from ctpolicy.nftables.ours import OWNER_CHAIN
from ctpolicy.nftables.ruleset import (
    FLAGS,
    Chain,
    Counter,
    Match,
    Other,
    Rule,
    Set,
    SetReference,
    Table,
    Unmodelled,
    VerdictMap,
)
from ctpolicy.nftables.space import table_space
from ctpolicy.nftables.stand_in import PREFIX, stand_in
from ctpolicy.nftables.transaction import MOST_DELETED, transactions
from policies import METRICS, VXLAN, table


def peers(*addresses: str, kind: str = "overlay: vxlan") -> Table:
    return table(f"bypass:\n  - {{name: vxlan, {kind}, peers: [10.0.0.0/24, 10.2.0.0/24, {', '.join(addresses)}]}}")


def ports(*numbers: int, paths: str = "in") -> Table:
    return table(f"bypass: [{{name: p, match: {{protocol: udp, paths: [{paths}], destination-ports: {[*numbers]}}}}}]")


def clients_and_servers(one: str, other: str) -> Table:
    return table(
        f"groups: {{hosts: [10.0.0.0/24, 10.2.0.0/24, {one}, {other}]}}\n"
        "bypass: [{name: f, forward: tcp/80, clients: hosts, servers: hosts}]"
    )


ONE_TRANSACTION = {
    "the first": (None, table(VXLAN)),
    "removal": (table(VXLAN), None),
    "one address replaced": (peers("10.9.0.0/24"), peers("10.8.0.0/24")),
    "one address replaced, of a service's clients": (
        peers("10.9.0.0/24", kind="host-service: tcp/80"),
        peers("10.8.0.0/24", kind="host-service: tcp/80"),
    ),
    "one address of each family": (
        peers("10.9.0.0/24", '"fd00:1::/64"', '"fd00:9::/64"'),
        peers("10.8.0.0/24", '"fd00:2::/64"', '"fd00:9::/64"'),
    ),
    "ports replaced": (ports(53, 99, 4789), ports(53, 101, 4789)),
    "ports added, on several hooks": (
        table("bypass: [{name: s, host-service: [tcp/80, tcp/90]}]"),
        table("bypass: [{name: s, host-service: [tcp/80, tcp/90, tcp/100]}]"),
    ),
    "rules alone": (
        table("bypass: [{name: s, host-service: tcp/80, peers: 10.0.0.0/24}]"),
        table("bypass: [{name: s, host-service: tcp/80, peers: 10.0.0.0/25}]"),
    ),
}

WITH_STAND_IN = {
    "another entry": (table(VXLAN), table(METRICS)),
    "a group renamed": (
        table("groups: {a: [10.0.0.0/24, 10.2.0.0/24]}\nbypass: [{name: e, overlay: vxlan, peers: a}]"),
        table("groups: {b: [10.0.0.0/24, 10.2.0.0/24]}\nbypass: [{name: e, overlay: vxlan, peers: b}]"),
    ),
    "a set in the place of an address": (
        table("bypass: [{name: e, overlay: vxlan, peers: [10.0.0.0/24]}]"),
        table("bypass: [{name: e, overlay: vxlan, peers: [10.0.0.0/24, 10.2.0.0/24]}]"),
    ),
    "an address moved from one set to another": tuple(
        table(
            f"groups: {{a: [10.1.0.0/24, {a}], b: [10.2.0.0/24, {b}]}}\n"
            "bypass: [{name: e, overlay: vxlan, peers: a}, {name: f, host-service: udp/4789, peers: b}]"
        )
        for a, b in (("10.3.0.0/24", "10.4.0.0/24"), ("10.4.0.0/24", "10.3.0.0/24"))
    ),
    "a set that is asked for both sides": (
        clients_and_servers("10.3.0.0/24", "10.9.0.0/24"),
        clients_and_servers("10.4.0.0/24", "10.9.0.0/24"),
    ),
}


@pytest.mark.parametrize("change", ONE_TRANSACTION.values(), ids=ONE_TRANSACTION.keys())
def test_one_transaction_is_enough(change: tuple[Table | None, Table | None]) -> None:
    assert len(transactions(*change)) == 1
    assert NFTABLES.document(*change) == transactions(*change)[0]


@pytest.mark.parametrize("change", WITH_STAND_IN.values(), ids=WITH_STAND_IN.keys())
def test_something_stands_in_meanwhile(change: tuple[Table, Table]) -> None:
    first, second, last = transactions(*change)
    assert all(PREFIX in name for name in names(first, "chain"))
    assert not any(PREFIX in name for kind in ("chain", "set", "map") for name in names(second, kind))
    assert set(names(last, "chain")) == set(names(first, "chain"))
    assert {kind for kind, _ in commands(first)} == {"add"}
    assert {kind for kind, _ in commands(last)} == {"flush", "delete"}
    assert NFTABLES.document(*change) == {"steps": [first, second, last]}


def commands(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [item for command in document["nftables"] for item in command.items()]


def names(document: dict[str, Any], kind: str) -> list[str]:
    return [body[kind]["name"] for _, body in commands(document) if kind in body]


def objects(given: Table) -> set[str]:
    named: list[Chain | Set | VerdictMap] = [*given.chains, *given.sets, *given.maps]
    return {one.name for one in named}


def test_large_sets_that_stay_or_are_new_are_loaded_once() -> None:
    old = table("groups: {a: [10.0.0.0/24, 10.2.0.0/24]}\nbypass: [{name: e, overlay: vxlan, peers: a}]")
    new = table(
        "groups: {a: [10.0.0.0/24, 10.2.0.0/24], b: [10.5.0.0/24, 10.7.0.0/24]}\n"
        "bypass: [{name: e, overlay: vxlan, peers: a}, {name: s, host-service: tcp/80, peers: b}]"
    )
    sets = [name for document in transactions(old, new) for name in names(document, "set")]
    assert sets == ["b_v4"]


def test_many_elements_of_an_interval_set_are_flushed_and_those_that_stay_added() -> None:
    many = [f"10.{number}.9.0/24" for number in range(MOST_DELETED + 1)]
    (few_deleted,) = transactions(peers("10.0.8.0/24", *many), peers("10.0.8.0/24", many[0]))
    (document,) = transactions(peers("10.0.8.0/24", "10.0.7.0/24", *many), peers("10.0.8.0/24"))
    assert [kind for kind, _ in commands(few_deleted)] == ["delete"]
    assert [kind for kind, _ in commands(document)] == ["flush", "add"]
    assert len(commands(document)[1][1]["element"]["elem"]) == 3


def test_the_stand_in_leaves_untracked_what_it_stands_for() -> None:
    for desired in (table(VXLAN), table(METRICS), clients_and_servers("10.3.0.0/24", "10.9.0.0/24")):
        copy = stand_in(desired, [], [])
        assert table_space(copy) == table_space(desired)
        assert not any(isinstance(s, Counter) for chain in copy.chains for rule in chain.rules for s in rule.statements)
        assert all(name.startswith(PREFIX) for name in objects(copy))


def test_the_chains_of_all_entries_of_a_role_are_one_in_the_stand_in() -> None:
    entries = "".join(f"  - {{name: e{port}, ports: udp/{port}}}\n" for port in range(100))
    copy = stand_in(table(f"bypass:\n{entries}"), [], [])
    assert len(copy.chains) < 10


def test_a_stand_in_that_was_left_behind_stays_until_another_stands_there() -> None:
    left = stand_in(table(METRICS), [], [])
    old, new = table(VXLAN), table("bypass: [{name: web, host-service: tcp/80}]")
    live = replace(old, chains=(*old.chains, *left.chains), sets=(*old.sets, *left.sets), maps=(*old.maps, *left.maps))
    first, second, _ = transactions(live, new)
    ours = objects(left)
    added = {name for kind in ("chain", "set", "map") for name in names(first, kind)}
    assert added
    assert not added & ours
    assert ours <= {name for kind in ("chain", "set", "map") for name in names(second, kind)}
    (only,) = transactions(live, old)
    assert {kind for kind, _ in commands(only)} == {"flush", "delete"}


def test_what_somebody_added_is_deleted_without_building_the_table_anew() -> None:
    desired = table(VXLAN)
    live = replace(desired, others=(Other("counter", "mine"), Other("map", "pairs")))
    (document,) = transactions(live, desired)
    assert [(kind, *body) for kind, body in commands(document)] == [("delete", "map"), ("delete", "counter")]


def test_a_table_with_flags_is_built_anew_for_asleep_it_leaves_nothing_untracked() -> None:
    live = replace(table(VXLAN), others=(Other(FLAGS, "dormant"),))
    (document,) = transactions(live, table(VXLAN))
    assert [kind for kind, _ in commands(document)][:3] == ["add", "delete", "add"]


def test_rules_that_ask_a_set_which_is_replaced_are_written_again() -> None:
    desired = peers("10.9.0.0/24")
    (named,) = (one for one in desired.sets if one.flags)
    live = replace(desired, sets=tuple(replace(one, flags=frozenset()) for one in desired.sets))
    edits = difference(live, desired).edits
    assert edits
    for edit in edits:
        assert edit.removed == tuple(rule for rule, _ in edit.added)
        assert all(SetReference(named.name) in operands(rule) for rule in edit.removed)


def operands(rule: Rule) -> list[object]:
    return [statement.operand for statement in rule.statements if isinstance(statement, Match)]


def test_a_table_with_what_nobody_can_copy_is_put_back_in_one_transaction() -> None:
    edited = replace(
        table(METRICS), chains=(*table(METRICS).chains, Chain("x", None, (Rule((Unmodelled('{"log": null}'),)),)))
    )
    assert len(transactions(table(VXLAN), edited)) == 1


def test_no_name_that_is_compiled_is_a_stand_ins() -> None:
    entry = "groups: {stand-in: [10.0.0.0/24, 10.2.0.0/24], stand: [10.3.0.0/24, 10.5.0.0/24]}\nbypass:\n"
    entry += "  - {name: stand, ports: udp/1, interfaces: [a, b]}\n  - {name: in, overlay: vxlan, peers: stand-in}\n"
    entry += "  - {name: stand-in, host-service: tcp/80, peers: stand}"
    compiled = table(entry)
    assert not any(name.startswith(PREFIX) for name in objects(compiled))


def test_the_owners_chain_has_no_stand_in() -> None:
    owned = Table("inet", "ctpolicy", (Chain(OWNER_CHAIN),))
    assert not stand_in(owned, [], []).chains


def test_ports_of_a_service_that_come_and_go_are_asked_twice_on_loopback() -> None:
    old = table("bypass: [{name: s, host-service: [tcp/80, tcp/90]}]")
    new = table("bypass: [{name: s, host-service: [tcp/80, tcp/100]}]")
    assert len(transactions(old, new)) == 3
