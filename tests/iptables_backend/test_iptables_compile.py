"""What the compiler emits for iptables, as a person would review it: one small scenario a folder.

A scenario's `expected.rules` is what `ipset save`, `iptables-save` and `ip6tables-save` print of what is ours, without
counters: tests/kernel loads each, and reads it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ctpolicy.errors import InputError
from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.hook import MOST_RULES
from ctpolicy.iptables.names import LONGEST_CHAIN, LONGEST_SET
from ctpolicy.iptables.render import save_lines
from ctpolicy.iptables.render_sets import ipset_lines
from ctpolicy.iptables.ruleset import Notrack, RawTables, Rule
from ctpolicy.language.load import load_files
from ctpolicy.packetspace.fields import Family
from policies import policy

SCENARIOS = Path(__file__).parents[1] / "scenarios" / "iptables"
TITLES = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}


def shown(tables: RawTables) -> str:
    """All of it, as a person reads it."""
    return "".join(f"{line}\n" for line in _lines(tables))


def _lines(tables: RawTables) -> Iterator[str]:
    if tables.sets:
        yield "# ipset"
        yield from (line for one in tables.sets for line in ipset_lines(one))
    for family, table in tables.tables.items():
        yield f"# {TITLES[family]}"
        yield from save_lines(table, family)


@pytest.mark.parametrize("scenario", sorted(path.name for path in SCENARIOS.iterdir()))
def test_scenario_compiles_to_the_reviewed_rules(scenario: str, request: pytest.FixtureRequest) -> None:
    folder = SCENARIOS / scenario
    found = shown(compile_policy(load_files([folder / "policy.yaml"])))
    if request.config.getoption("--regenerate"):
        (folder / "expected.rules").write_text(found)
    assert found == (folder / "expected.rules").read_text()


def own_rules(tables: RawTables, chain: str = "CTPOLICY-PREROUTING") -> list[Rule]:
    table = tables.tables[Family.IPV4]
    found = table.chain(chain)
    assert found is not None, [one.name for one in table.chains]
    return list(found.rules)


def services(count: int, more: str = "") -> str:
    return "bypass:\n" + "".join(f"  - {{name: e{n}, host-service: tcp/{2000 + n}{more}}}\n" for n in range(count))


def test_few_rules_stand_one_after_the_other() -> None:
    rules = own_rules(compile_policy(policy(services(MOST_RULES))))
    assert [isinstance(rule.target, Notrack) for rule in rules] == [False, *[True] * MOST_RULES]


def test_no_chain_grows_with_the_number_of_services() -> None:
    def longest(count: int) -> int:
        tables = compile_policy(policy(services(count)))
        return max(len(chain.rules) for table in tables.tables.values() for chain in table.chains)

    assert longest(500) <= longest(50) <= MOST_RULES + 2


def test_a_new_service_changes_no_more_than_the_chains_on_its_way() -> None:
    one = compile_policy(policy(services(500))).tables[Family.IPV4]
    other = compile_policy(policy(f"{services(500)}  - {{name: new, host-service: tcp/9999}}\n")).tables[Family.IPV4]
    assert len(set(other.chains) ^ set(one.chains)) <= 20 < len(one.chains)


def test_without_ipset_there_are_no_sets_and_no_rule_asks_for_one() -> None:
    tables = compile_policy(policy(services(100, ", peers: [10.0.0.1, 10.0.0.9, 10.0.7.0/24]")), with_sets=False)
    assert tables.sets == ()
    assert "InSet" not in str(tables)


def test_names_are_within_the_kernels_limits_and_differ() -> None:
    long = "a-name-of-as-many-characters-as-one-may-b"[:39]
    entries = "".join(
        f"  - {{name: {long}{n}, host-service: [{', '.join(f'tcp/{100 * n + 2 * m}' for m in range(1, 20))}], "
        f"peers: [10.0.{n}.1, 10.0.{n}.3]}}\n"
        for n in range(1, 10)
    )
    tables = compile_policy(policy(f"bypass:\n{entries}"))
    chains = [chain.name for table in tables.tables.values() for chain in table.chains]
    assert max(map(len, chains)) <= LONGEST_CHAIN
    assert max(len(one.name) for one in tables.sets) <= LONGEST_SET
    assert len({one.name for one in tables.sets}) == len(tables.sets) >= 18


def test_loopback_packets_are_not_counted_again_at_prerouting() -> None:
    assert "-i lo -j RETURN" in shown(compile_policy(policy(services(1))))


def test_a_family_without_entries_has_no_table() -> None:
    tables = compile_policy(policy("bypass: [{name: web, host-service: tcp/80, peers: 10.0.0.0/8}]"))
    assert set(tables.tables) == {Family.IPV4}


def test_an_interface_that_iptables_cannot_name_is_told() -> None:
    with pytest.raises(InputError, match=r"eth\+"):
        compile_policy(policy("bypass: [{name: web, host-service: tcp/80, interfaces: ['eth+']}]"))
