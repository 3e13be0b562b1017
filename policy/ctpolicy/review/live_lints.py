"""Other people's live rules that say `notrack` and do not do what they seem to.

    CT101  wrong-hook   a notrack where packets have met conntrack already, or never do
    CT102  too-late     a notrack at a priority at or after conntrack's
    CT103  loopback     a notrack in prerouting for packets of `lo`, which output has decided
    CT104  unreached    a notrack that no packet comes to
    CT105  half-flow    packets are untracked while those that answer them are tracked

The kernel takes the first four in silence, and their counters count. A rule is useless only if it is so for all base
chains that lead to it. Rules of iptables-nft are not read: nft prints a NOTRACK, a zone and a helper all alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import and_
from typing import Final

from ctpolicy.netfilter.owners import owner
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.nftables.arrivals import BEFORE_IP, Arrival, NotrackRule, notrack_rules
from ctpolicy.nftables.evaluate import CONNTRACK_PRIORITY
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.ruleset import Ruleset, Table
from ctpolicy.nftables.space import ruleset_treatment
from ctpolicy.packetspace.fields import LOOPBACK
from ctpolicy.packetspace.interface_values import interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.review.finding import Finding, Place, Severity
from ctpolicy.review.half_flows import HalfFlow, Way, half_flow

_LOOPBACK: Final = IntervalSet.single(interface_value(LOOPBACK))

_REMEDIES: Final = {
    "CT101": "does nothing{where}: only prerouting and output come before conntrack. "
    "Move it to chains at priority raw (-300) there",
    "CT102": "comes too late{where}: conntrack has the packet at priority -200, and beside it the order of loading "
    "decides. Give the base chain priority raw (-300)",
    "CT103": "does nothing{where}: packets of `lo` are decided once, at output. Say notrack in an output chain, with "
    'oifname "lo"',
    "CT104": "is met by no packet: {why}",
}


def live_lints(ruleset: Ruleset) -> list[Finding]:
    """What the lints find in all tables but ours, by place and code.

    Raises:
        TooLargeError: too many different packets; see packetspace.space.bounded.
    """
    foreign = [table for table in ruleset if (table.family, table.name) != (TABLE_FAMILY, TABLE_NAME)]
    useless = [finding for table in foreign if not _may_sleep(table) for finding in _useless(table)]
    found = [*useless, *_half_flows(ruleset, foreign)]
    return sorted(found, key=lambda finding: (finding.about, finding.code, finding.severity.value))


def _may_sleep(table: Table) -> bool:
    """Whether the table has flags: a dormant one does nothing at all, and is meant to."""
    return any(other.kind == "flags" for other in table.others)


def _useless(table: Table) -> Iterator[Finding]:
    for said in notrack_rules(table):
        codes = [_fault(table.family, arrival) for arrival in said.arrivals]
        if not codes:
            why = _why_unreached(table, said)
            yield Finding("CT104", _place(table, said), _REMEDIES["CT104"].format(why=why), None)
        elif None not in codes:
            code = min(filter(None, codes))
            message = _REMEDIES[code].format(where=_where(said.arrivals))
            yield Finding(code, _place(table, said), message, None)


def _fault(family: str, arrival: Arrival) -> str | None:
    """The code of why a notrack does nothing to these packets; None if it does what it says."""
    hook = arrival.hook
    if (family, hook.hook) in BEFORE_IP:
        return None
    if family not in {"ip", "ip6", "inet"} or hook.hook not in {"prerouting", "output"}:
        return "CT101"
    if hook.priority >= CONNTRACK_PRIORITY:
        return "CT102"
    return "CT103" if hook.hook == "prerouting" and arrival.interfaces == _LOOPBACK else None


def _why_unreached(table: Table, said: NotrackRule) -> str:
    chain = table.chain(said.chain)
    if chain is not None and chain.hook is not None:
        return "what it asks of interfaces is never so at this hook (prerouting knows no oifname, output no iifname)"
    return (
        "no base chain leads to this chain, or only for interfaces that cannot be there. A chain that should have a "
        'hook has none if its priority was given as text in JSON ("prio": "raw"): write the number, -300'
    )


def _where(arrivals: Iterable[Arrival]) -> str:
    bases = dict.fromkeys(f"{arrival.hook.hook} at priority {arrival.hook.priority}" for arrival in arrivals)
    return f" in {' and '.join(bases)}"


def _place(table: Table, said: NotrackRule) -> Place:
    whose = owner(table.family, table.name, said.chain, said.rule.comment)
    return Place(table.family, table.name, said.chain, said.number, whose.name if whose else "")


def _half_flows(ruleset: Ruleset, foreign: Iterable[Table]) -> Iterator[Finding]:
    treatments = {(table.family, table.name): ruleset_treatment((table,)) for table in ruleset}
    host = reduce(and_, treatments.values(), Treatment.none())
    untracked, spared = host.untracked.certainly, ~host.tracked
    for table in foreign:
        bypassed = untracked & treatments[table.family, table.name].untracked.certainly
        for way in Way:
            if half := half_flow(bypassed, spared, way):
                yield _half_flow(table, half, way)
                if way in {Way.IN, Way.OUT}:  # what else is half is the same fault once more
                    break


def _half_flow(table: Table, half: HalfFlow, way: Way) -> Finding:
    whose = owner(table.family, table.name)
    place = Place(table.family, table.name, owner=whose.name if whose else "")
    what = {Way.FORWARDED: "packets that this host may pass on", Way.LOOPBACK: "packets from this host to itself"}
    message = (
        f"leaves {what.get(way, 'packets')} untracked and tracks what answers them ({half.answer}): say notrack of the "
        "answers too, with ports exchanged (of a tunnel, with the same port), or of neither"
    )
    severity = Severity.INFORMATION if way in what else Severity.WARNING
    return Finding("CT105", place, message, half.packet, severity)
