"""Where an accept rule goes in the tables of a host, and the host with the rule in it.

Nearest to what drops: before the rule, or at the end of the chain whose policy it is. But chains that many lead to
would let in more than was lost, and chains of a program that writes its rules anew would not keep it. Then it goes into
the base chain, before what leads there. Firewalls that have a place for rules of others get them there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from ctpolicy.hazards.rules import Chain, Decision, Hook, HostRules, Rule, Step, Table, Verdict

_JUMPS: Final = frozenset({Verdict.JUMP, Verdict.GOTO})


class Keeper(Enum):
    """Who keeps the rules of a place."""

    NOBODY = "nobody known"
    UFW = "ufw"
    FIREWALLD = "firewalld"
    FIREWALLD_DIRECT = "firewalld (direct rules)"
    DOCKER = "Docker"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule goes.

    Args:
        table: at which place in the host's tables its table is.
        like: a rule of that table and chain, or one with their names.
        chain: the chain.
        hook: of the base chain by which packets come there.
        before: the rule that it goes before; None for the end of the chain.
        at_head: whether it goes before all others.
        keeper: who has this chain for such rules, or writes it anew.
    """

    table: int
    like: Rule
    chain: str
    hook: Hook
    before: Rule | None = None
    at_head: bool = False
    keeper: Keeper = Keeper.NOBODY

    def __str__(self) -> str:
        rule = self.like
        table = f"table {rule.family} {rule.table}" if rule.tool == "nft" else f"{rule.tool} table {rule.table}"
        where = f"before rule {self.before.number}" if self.before else "at the end"
        return f"{table}, chain {self.chain}, {'at the head' if self.at_head else where}"


def places(host: HostRules, dropping: Rule, hook: Hook) -> Iterator[Place]:
    """Where rules may go that accept what a rule drops that comes by a hook, the best place first."""
    for at, table in enumerate(host.tables):
        bases = [chain for chain in table.chains.values() if _is_at(chain, hook)]
        leading = [base for base in bases if dropping.chain in _reached(table, base.name)]
        if leading and _is_of(table, dropping):
            yield from _in_table(at, table, dropping, leading[0], hook)


def with_steps(host: HostRules, place: Place, steps: tuple[Step, ...]) -> HostRules:
    """The host with rules put in."""
    table = host.tables[place.table]
    chain = table.chains[place.chain]
    at = len(chain.steps)
    if place.at_head:
        at = 0
    elif place.before is not None:
        at = next(number for number, step in enumerate(chain.steps) if step.rule == place.before)
    changed = replace(chain, steps=chain.steps[:at] + steps + chain.steps[at:])
    tables = list(host.tables)
    tables[place.table] = replace(table, chains={**table.chains, place.chain: changed})
    return replace(host, tables=tuple(tables))


def _in_table(at: int, table: Table, dropping: Rule, base: Chain, hook: Hook) -> Iterator[Place]:
    yield from _kept_for_others(at, table, dropping, base, hook)
    keeper = Keeper.FIREWALLD if dropping.owner == Keeper.FIREWALLD.value else Keeper.NOBODY
    near = Place(at, dropping, dropping.chain, hook, dropping if dropping.number else None, keeper=keeper)
    if base.name == dropping.chain:
        yield near
        return
    leads = _step_to(table, base, dropping.chain)
    far = [] if leads is None else [Place(at, leads.rule, base.name, hook, leads.rule, keeper=keeper)]
    is_rewritten = bool(dropping.owner) and keeper is Keeper.NOBODY
    yield from [*far, near] if is_rewritten else [near, *far]


def _kept_for_others(at: int, table: Table, dropping: Rule, base: Chain, hook: Hook) -> Iterator[Place]:
    """The chains that ufw, firewalld with iptables and Docker leave to people."""
    word = hook.value
    ufw = ("ufw6" if dropping.family == "ip6" else "ufw") + f"-before-{word}"
    for name, keeper in (
        (ufw, Keeper.UFW),
        (f"{base.name}_direct", Keeper.FIREWALLD_DIRECT),
        ("DOCKER-USER", Keeper.DOCKER),
    ):
        if name in table.chains and name in _reached(table, base.name) and dropping.tool != "nft":
            yield Place(at, dropping, name, hook, at_head=True, keeper=keeper)


def _is_of(table: Table, rule: Rule) -> bool:
    """Whether a rule is one of a table's."""
    return any(
        step.rule == rule
        for chain in table.chains.values()
        if chain.name == rule.chain
        for step in (*chain.steps, *([chain.base.policy] if chain.base else []))
    )


def _is_at(chain: Chain, hook: Hook) -> bool:
    return chain.base is not None and chain.base.hook is hook and not chain.base.is_nat


def _targets(chain: Chain) -> Iterator[tuple[Step, str]]:
    for step in chain.steps:
        if isinstance(step.action, Decision) and step.action.verdict in _JUMPS:
            yield step, step.action.target


def _reached(table: Table, name: str) -> set[str]:
    """The chains that packets of a chain may come to, itself among them."""
    found: set[str] = set()
    left = [name]
    while left:
        one = left.pop()
        if one in table.chains and one not in found:
            found.add(one)
            left += [target for _, target in _targets(table.chains[one])]
    return found


def _step_to(table: Table, base: Chain, name: str) -> Step | None:
    """The first step of a base chain that leads to a chain."""
    return next((step for step, target in _targets(base) if name in _reached(table, target)), None)
