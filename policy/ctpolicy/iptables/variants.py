"""Which variant of iptables is in use on a host: from what is in its tables, never from which tool is the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctpolicy.iptables.ruleset import Chain, RawTable, RawTables, Variant
from ctpolicy.packetspace.fields import Family


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows that a variant is in use, in one family.

    Args:
        variant: whose raw table it is.
        family: likewise.
        rules: how many there are, in all its chains.
        chains: of somebody's own, by name.
        policies: of the built-in chains that do not let everything through: `PREROUTING DROP`.
    """

    variant: Variant
    family: Family
    rules: int
    chains: tuple[str, ...]
    policies: tuple[str, ...]

    def __str__(self) -> str:
        """In words: `iptables-legacy: 3 rules and the chain DOCKER in the raw table of ipv4`."""
        named = f"{_counted(len(self.chains), 'chain')} {', '.join(self.chains)}" if self.chains else ""
        rules = f"{self.rules} rule{'s' if self.rules != 1 else ''}" if self.rules else ""
        policies = f"{_counted(len(self.policies), 'policy')} {', '.join(self.policies)}" if self.policies else ""
        found = " and ".join(part for part in (rules, named, policies) if part)
        return f"iptables-{self.variant.value}: {found} in the raw table of {self.family.value}"


def live_variants(found: Mapping[Variant, RawTables]) -> tuple[Evidence, ...]:
    """What shows which variants are in use; nothing if none is. A table that is empty shows nothing.

    Args:
        found: what each variant has; one that could not be asked is better not left out, but told.
    """
    shown = (
        _evidence(variant, family, found[variant].tables[family])
        for variant in Variant
        if variant in found
        for family in Family
        if family in found[variant].tables
    )
    return tuple(one for one in shown if one.rules or one.chains or one.policies)


def _evidence(variant: Variant, family: Family, table: RawTable) -> Evidence:
    return Evidence(
        variant,
        family,
        rules=sum(len(chain.rules) for chain in table.chains),
        chains=tuple(chain.name for chain in table.chains if chain.policy is None),
        policies=tuple(f"{chain.name} {chain.policy}" for chain in table.chains if _hinders(chain)),
    )


def _hinders(chain: Chain) -> bool:
    return chain.policy not in {None, "ACCEPT"}


def _counted(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"the {noun if number == 1 else plural}"
