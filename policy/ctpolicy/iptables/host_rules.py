"""Tables of both variants of iptables in the form of hazards/rules.py: the whole host, but for our own rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.errors import HostError
from ctpolicy.hazards import rules
from ctpolicy.hazards.rules import Base, Hook, HostRules, Step, policy_step
from ctpolicy.iptables.following import filled_by_rules
from ctpolicy.iptables.host_modules import CHANGED_BY
from ctpolicy.iptables.host_questions import Known
from ctpolicy.iptables.host_steps import TableReader
from ctpolicy.iptables.ours import CHAIN_PREFIX
from ctpolicy.iptables.own import is_our_jump
from ctpolicy.iptables.read import read_table
from ctpolicy.iptables.ruleset import Chain, IpSet, RawTable, RawTables, Rule, UnmodelledTarget, Variant
from ctpolicy.netfilter.owners import CTPOLICY, IPTABLES_NFT, owner, table_title
from ctpolicy.packetspace.fields import Family

TABLES: Final = ("raw", "mangle", "nat", "filter", "security")

FAMILY_WORDS: Final = {Family.IPV4: "ip", Family.IPV6: "ip6"}
_TOOLS: Final = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}

_PRIORITIES: Final = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
_NAT_PRIORITIES: Final = {Hook.PREROUTING: -100, Hook.OUTPUT: -100, Hook.INPUT: 100, Hook.POSTROUTING: 100}
_HOOKS: Final = {hook.name: hook for hook in Hook}

Listing = tuple[Variant, Family, str]
"""What `iptables-save` or `ip6tables-save` of a variant has printed, all tables of it."""


Place = tuple[str, str]
"""A table's family by nft's words, and its name."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What listings show.

    Args:
        legacy: the tables of iptables-legacy.
        native: those that iptables-nft keeps, and nft shows too, but not as well.
        unshown: likewise those that iptables-nft says it cannot show.
        unknown: titles of tables of other names, that somebody's own kernel has; where their hooks are nobody knows.
    """

    legacy: tuple[rules.Table, ...] = ()
    native: Mapping[Place, rules.Table] = field(default_factory=dict)
    unshown: frozenset[Place] = frozenset()
    unknown: tuple[str, ...] = ()

    @property
    def rules(self) -> HostRules:
        """All that they show."""
        return HostRules(
            (*self.legacy, *self.native.values()),
            (*self.unknown, *(table_title(*one) for one in sorted(self.unshown))),
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """A table, and where it was found."""

    variant: Variant
    family: Family
    name: str
    table: RawTable

    @property
    def place(self) -> Place:
        """Where nft shows it, if it is iptables-nft's."""
        return FAMILY_WORDS[self.family], self.name

    @property
    def tool(self) -> str:
        """Whose table it is, by the name that its tool has."""
        return tool_name(self.variant, self.family)


def host_rules(listings: Iterable[Listing], sets: Sequence[IpSet] = (), *, with_ours: bool = False) -> Listed:
    """All tables of a host, whichever variant and family.

    Args:
        listings: of all that there are, so that it is known which sets rules fill.
        sets: all ipsets.
        with_ours: whether our own chains of the raw tables, and the jumps to them, are among the rules. Their owner is
            then `ctpolicy`.

    Raises:
        InputError: a listing is none of iptables-save, or was cut.
    """
    found: list[_Found] = []
    unshown: set[Place] = set()
    unknown: list[str] = []
    for variant, family, text in listings:
        names = _table_names(text)
        unknown += (f"{tool_name(variant, family)} table {name}" for name in names if name not in TABLES)
        for name in TABLES:
            try:
                table = read_table(text, family, name)
            except HostError:  # native rules of nftables are in it
                unshown.add((FAMILY_WORDS[family], name))
                continue
            if table is not None:
                found.append(_Found(variant, family, name, table))
    known = {family: _known(found, family, sets) for family in Family}
    tables = [(one, _Reading(one, known[one.family], with_ours).table()) for one in found]
    return Listed(
        tuple(table for one, table in tables if one.variant is Variant.LEGACY),
        {one.place: table for one, table in tables if one.variant is Variant.NFT},
        frozenset(unshown),
        tuple(unknown),
    )


def _table_names(listing: str) -> list[str]:
    return [line.strip()[1:] for line in listing.split("\n") if line.startswith("*")]


def tool_name(variant: Variant, family: Family) -> str:
    """The tool of a variant and family: `ip6tables-legacy`."""
    return f"{_TOOLS[family]}-{variant.value}"


def _known(found: Iterable[_Found], family: Family, sets: Iterable[IpSet]) -> Known:
    changing: set[str] = set()
    filled: set[str] = set()
    for one in found:
        filled.update(filled_by_rules(RawTables({one.family: one.table})))
        changing.update(*(CHANGED_BY.get(name, set()) for name in _target_names(one.table)))
    told = {one.name: one for one in sets if not one.unmodelled and one.name not in filled}
    return Known(family, told, frozenset(changing))


def _target_names(table: RawTable) -> Iterator[str]:
    for chain in table.chains:
        for rule in chain.rules:
            if isinstance(rule.target, UnmodelledTarget):
                yield rule.target.text.split()[1]


@dataclass(frozen=True, slots=True)
class _Reading:
    """One table on its way into the other form."""

    found: _Found
    known: Known
    with_ours: bool

    def table(self) -> rules.Table:
        """All of it."""
        reader = TableReader(self.found.table, self.known)
        chains = {
            chain.name: self._chain(chain, reader)
            for chain in self.found.table.chains
            if self.with_ours or not self._is_ours(chain)
        }
        title = f"{self.found.tool} table {self.found.name}"
        return rules.Table(title, frozenset({self.found.family}), chains)

    def _is_ours(self, chain: Chain) -> bool:
        return self.found.name == "raw" and chain.name.startswith(CHAIN_PREFIX)

    def _chain(self, chain: Chain, reader: TableReader) -> rules.Chain:
        steps: list[Step] = []
        for number, rule in enumerate(chain.rules, start=1):
            if self.with_ours or not self._leads_to_us(rule):
                steps += reader.steps(rule, self._told(chain, rule, number))
        return rules.Chain(chain.name, tuple(steps), self._base(chain))

    def _leads_to_us(self, rule: Rule) -> bool:
        return self.found.name == "raw" and is_our_jump(rule)

    def _base(self, chain: Chain) -> Base | None:
        if chain.policy is None or chain.name not in _HOOKS:
            return None
        hook, is_nat = _HOOKS[chain.name], self.found.name == "nat"
        priority = _NAT_PRIORITIES[hook] if is_nat else _PRIORITIES[self.found.name]
        policy = policy_step(self._policy(chain), drops=chain.policy == "DROP")
        return Base(hook, priority, is_nat, policy)

    def _policy(self, chain: Chain) -> rules.Rule:
        return self._rule(chain, f"policy {(chain.policy or '').lower()}", 0, "")

    def _told(self, chain: Chain, rule: Rule, number: int) -> rules.Rule:
        word = FAMILY_WORDS[self.found.family]
        whose = CTPOLICY if self._leads_to_us(rule) else owner(word, self.found.name, chain.name, rule.comment)
        # A table of iptables belongs to everybody.
        name = "" if whose is None or whose is IPTABLES_NFT else whose.name
        return self._rule(chain, f"-A {chain.name} {rule.spelling}".rstrip(), number, name)

    def _rule(self, chain: Chain, text: str, number: int, whose: str) -> rules.Rule:
        word = FAMILY_WORDS[self.found.family]
        return rules.Rule(text, self.found.tool, word, self.found.name, chain.name, number, None, whose)
