"""What the compiler emits, as a person would review it: one small scenario a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctpolicy.language.load import load_files
from ctpolicy.nftables.compile import MOST_RULES, compile_policy
from ctpolicy.nftables.render_text import text
from ctpolicy.nftables.ruleset import Chain, Table, VerdictLookup
from policies import table

SCENARIOS = Path(__file__).parents[1] / "scenarios" / "compile"


@pytest.mark.parametrize("scenario", sorted(path.name for path in SCENARIOS.iterdir()))
def test_scenario_compiles_to_the_reviewed_ruleset(scenario: str, request: pytest.FixtureRequest) -> None:
    folder = SCENARIOS / scenario
    found = text(compile_policy(load_files([folder / "policy.yaml"])))
    if request.config.getoption("--regenerate"):
        (folder / "expected.nft").write_text(found)
    assert found == (folder / "expected.nft").read_text()


def _chain(found: Table, name: str) -> Chain:
    chain = found.chain(name)
    assert chain is not None, f"no chain {name} among {[chain.name for chain in found.chains]}"
    return chain


def _many_peers(count: int) -> Table:
    entries = "\n".join(f"  - {{name: e{n}, host-service: tcp/443, peers: 10.0.{n}.0/24}}" for n in range(count))
    return table(f"bypass:\n{entries}")


def test_many_entries_on_one_port_are_looked_up_and_not_asked_one_by_one() -> None:
    rules = _chain(_many_peers(200), "prerouting_tcp_dport_443").rules
    assert len(rules) == 1
    assert isinstance(rules[0].statements[-1], VerdictLookup)


def test_few_entries_on_one_port_are_plain_rules() -> None:
    assert len(_chain(_many_peers(MOST_RULES), "prerouting_tcp_dport_443").rules) == MOST_RULES


def test_no_chain_grows_with_the_number_of_entries_on_distinct_ports() -> None:
    def longest(count: int) -> int:
        entries = "\n".join(f"  - {{name: e{n}, host-service: tcp/{1000 + n}}}" for n in range(count))
        return max(len(chain.rules) for chain in table(f"bypass:\n{entries}").chains)

    assert longest(300) == longest(3) <= 4


def test_one_service_beside_another_changes_no_chain_of_the_other() -> None:
    one = table("bypass: [{name: web, host-service: tcp/80}]")
    two = table("bypass: [{name: web, host-service: tcp/80}, {name: api, host-service: tcp/8080}]")
    assert set(one.chains) - set(two.chains) == set()


def test_addresses_that_are_the_same_integers_in_both_families_stay_apart() -> None:
    # 0.0.0.1 and ::1 are both the integer 1.
    found = table("bypass: [{name: low, match: {protocol: gre, source: [0.0.0.1, '::1'], paths: [out]}}]")
    assert len(_chain(found, "output_gre").rules) == 2


def test_equal_addresses_of_two_entries_are_one_set() -> None:
    peers = "[192.0.2.1, 198.51.100.0/24]"
    found = table(f"bypass: [{{name: a, host-service: tcp/1, peers: {peers}}}, {{name: b, ports: udp/9}}, "
                  f"{{name: c, host-client: tcp/2, peers: {peers}}}]")  # fmt: skip
    assert [named.name for named in found.sets if named.type == "ipv4_addr"] == ["a_peers_v4"]


def test_a_hook_that_no_entry_is_about_gets_no_base_chain() -> None:
    found = table("bypass: [{name: through, forward: tcp/11211}]")
    assert found.chain("output") is None
    assert found.chain("prerouting") is not None


def test_loopback_packets_are_not_counted_again_at_prerouting() -> None:
    found = text(table("bypass: [{name: web, host-service: tcp/80}]"))
    assert 'iifname "lo" accept' in found


def test_a_hook_of_ours_is_before_conntrack_and_accepts() -> None:
    hooks = [chain.hook for chain in table("bypass: [{name: web, host-service: tcp/80}]").chains if chain.hook]
    assert [(hook.type, hook.hook, hook.priority, hook.policy) for hook in hooks] == [
        ("filter", "output", -300, "accept"),
        ("filter", "prerouting", -300, "accept"),
    ]
