"""The oracle with iptables: what a policy compiles to is put into both of its worlds by the backend itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.language.policy import Policy
from kernel.namespace import make_namespace
from kernel.oracle import Oracle


@dataclass(frozen=True, slots=True)
class Way:
    """One way to have a policy in force: by which variant of iptables, and whether with ipsets."""

    variant: Variant
    with_sets: bool

    def __str__(self) -> str:
        return f"{self.variant.value}-{'ipset' if self.with_sets else 'plain'}"

    def compile(self, policy: Policy) -> RawTables:
        """What the policy compiles to on this way."""
        return compile_policy(policy, self.with_sets, self.variant)


WAYS: Final = tuple(Way(variant, with_sets) for variant in Variant for with_sets in (True, False))


class RawOracle:
    """Two worlds whose raw tables are changed as a host's are, from what is there to what is wanted.

    Args:
        asked: the oracle; nothing of ours is there yet.
        variant: of iptables.
    """

    def __init__(self, asked: Oracle, variant: Variant) -> None:
        self.asked = asked
        self._hosts = [IptablesHost(IptablesTools(world.namespace.path), variant) for world in asked.worlds]
        self._live: RawTables | None = None
        self._is_known = True

    def load(self, desired: RawTables | None) -> None:
        """Change both worlds alike; what is then read back from the first is what was wanted."""
        is_known, self._is_known = self._is_known, False  # a change that fails must not make all later ones fail
        for host in self._hosts:
            host.change(self._live if is_known else host.read(), desired)
        self._live = self._hosts[0].read()
        self._is_known = True
        assert self._live == (desired if desired and desired.tables else None)


@contextmanager
def raw_oracle(variant: Variant) -> Iterator[RawOracle]:
    """An oracle of its own, because legacy tables stay in a namespace for good."""
    asked = Oracle(make_namespace(), make_namespace())
    try:
        yield RawOracle(asked, variant)
    finally:
        asked.close()
