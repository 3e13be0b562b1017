"""The oracle with iptables, for tests: what is read back has to be what was wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.language.policy import Policy
from ctpolicy.oracle import raw_worlds
from ctpolicy.oracle.worlds import Oracle
from kernel.namespace import make_namespace


@dataclass(frozen=True, slots=True)
class Way:
    """How iptables is to have a policy in force: by which variant of iptables, and whether with ipsets."""

    variant: Variant
    with_sets: bool

    def __str__(self) -> str:
        return f"{self.variant.value}-{'ipset' if self.with_sets else 'plain'}"

    def compile(self, policy: Policy) -> RawTables:
        """What the policy compiles to on this way."""
        return compile_policy(policy, self.with_sets, self.variant)


WAYS: Final = tuple(Way(variant, with_sets) for variant in Variant for with_sets in (True, False))


class RawOracle(raw_worlds.RawOracle):
    """Two worlds whose raw tables are changed as a host's are, from what is there to what is wanted."""

    def load(self, desired: RawTables | None) -> None:
        """Change both worlds alike; what is then read back from the first is what was wanted."""
        live = self.change(desired)
        assert live == (desired if desired and desired.tables else None)


@contextmanager
def raw_oracle(variant: Variant) -> Iterator[RawOracle]:
    """An oracle of its own, because legacy tables stay in a namespace for good."""
    asked = Oracle(make_namespace(), make_namespace())
    try:
        yield RawOracle(asked, variant)
    finally:
        asked.close()
