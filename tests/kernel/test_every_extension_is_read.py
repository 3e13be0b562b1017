"""Each match and target that this kernel takes, loaded, listed, and read without loss."""

from __future__ import annotations

from typing import Final

import pytest

from ctpolicy.hazards.rules import Decision, Step, Verdict
from ctpolicy.iptables.host_rules import host_rules
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from iptables_extensions import MATCHES, MATCHES_OF_IPV6, TARGETS, TARGETS_OF_IPV6, samples
from kernel.loaded_rules import TOOLS
from kernel.namespace import Namespace

pytestmark = [pytest.mark.kernel, pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)]

CHAINS: Final = {"raw": "PREROUTING", "mangle": "PREROUTING", "nat": "POSTROUTING", "filter": "INPUT"}
FEWEST: Final = 45
"""How many of them any kernel takes for which this is meant; it may lack the modules of others."""


def load(host: Namespace, variant: Variant, family: Family, table: str, chain: str, words: str) -> bool:
    text = f"*{table}\n-A {chain} {words}\nCOMMIT\n"
    done = host.run(f"{TOOLS[family]}-{variant.value}-restore", "-n", "-w", "30", stdin=text, check=False)
    return done.returncode == 0


def read(host: Namespace, variant: Variant, family: Family) -> tuple[int, list[Step]]:
    """How many rules are listed, and the steps that they become."""
    listing = host.run(f"{TOOLS[family]}-{variant.value}-save").stdout
    found = host_rules([(variant, family, listing)])
    assert not found.unshown
    steps = [step for table in found.rules.tables for chain in table.chains.values() for step in chain.steps]
    return sum(line.startswith("-A ") for line in listing.splitlines()), steps


def test_matches(namespace: Namespace, variant: Variant) -> None:
    namespace.run("ipset", "create", "somebodys", "hash:net")
    taken = []
    for name, text, family in samples(MATCHES, MATCHES_OF_IPV6):
        places = [("mangle", "PREROUTING"), ("mangle", "OUTPUT"), ("filter", "INPUT"), ("nat", "POSTROUTING")]
        if any(load(namespace, variant, family, *place, f"{text} -j DROP") for place in places):
            taken.append(name)
    loaded = [read(namespace, variant, family) for family in Family]
    assert sum(number for number, _ in loaded) == len(taken)
    drops = [step for _, steps in loaded for step in steps if step.action == Decision(Verdict.DROP)]
    assert len(drops) == len(taken)
    certain = [step for step in drops if not step.open and not step.fields and step.tracking.is_always]
    assert [step.rule.text.split()[2:4] for step in certain] == [["-m", "comment"]]
    print(f"{len(taken)} matches taken; not: {sorted({*MATCHES, *MATCHES_OF_IPV6} - set(taken))}")
    assert len(taken) >= FEWEST


def test_targets(namespace: Namespace, variant: Variant) -> None:
    namespace.run("ipset", "create", "somebodys", "hash:net")
    taken = 0
    for name, options, family in samples(TARGETS, TARGETS_OF_IPV6):
        before = [read(namespace, variant, one) for one in Family]
        words = f"-p tcp -m tcp --tcp-flags SYN,RST SYN -j {name} {options}".rstrip()
        places = [(table, chain) for table, chain in CHAINS.items()]
        places += [("nat", "PREROUTING"), ("mangle", "OUTPUT"), ("mangle", "POSTROUTING"), ("security", "INPUT")]
        if not any(load(namespace, variant, family, *place, words) for place in places):
            print(f"not taken: {words}")
            continue
        taken += 1
        after = [read(namespace, variant, one) for one in Family]
        assert sum(number for number, _ in after) == sum(number for number, _ in before) + 1
    assert taken >= 20
