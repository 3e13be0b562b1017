"""What of a table could bypass conntrack: candidates for policy entries, each with what is for and against it.

A candidate is safe if nothing that is known of the host speaks against it. What is known is the table, of one moment,
and the rules that could be read; so whatever is in doubt is refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ctpolicy.conntrack.inventory import (
    EPHEMERAL,
    MANY_PORTS,
    TUNNEL_PORTS,
    Excluded,
    Inventory,
    Role,
    Side,
    Tally,
    Use,
)
from ctpolicy.conntrack.peers import Peers
from ctpolicy.language.policy import (
    ANY_ADDRESS,
    ANY_PORT,
    Addresses,
    Entry,
    Forward,
    HostClient,
    HostService,
    Overlay,
    Policy,
    ProtocolPorts,
)
from ctpolicy.language.protection import DEFAULT, uncovered
from ctpolicy.meaning_space import entries_space
from ctpolicy.netfilter.stateful import Dependence, Kind, TooManyRulesError
from ctpolicy.packetspace.fields import PROTOCOL_NAMES, PROTOCOL_NUMBERS, PROTOCOLS_WITH_PORTS, Family
from ctpolicy.packetspace.intervals import IntervalSet

UNNAMED: Final = ""
"""The name of a candidate's entry; whoever shows or writes it gives it one."""

MOST_PREFIXES: Final = 2
"""Prefixes of one family that are suggested as peers; more would have to be a group."""

MOST_CANDIDATES: Final = 100
"""Candidates that are judged; of each, all rules of the host are asked."""

FEWEST: Final = 8
"""Entries of a port that clients get by themselves, before it is taken for a service's."""

_UDP: Final = PROTOCOL_NUMBERS["udp"]
_TCP: Final = PROTOCOL_NUMBERS["tcp"]
_NONE: Final = IntervalSet()


class Verdict(IntEnum):
    """Whether a candidate may be bypassed; lower is better."""

    SAFE = 0
    NEEDS_ACCEPT = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy entry, and what it would do.

    Args:
        entry: of the policy language, without a name.
        entries: of the table, that it is about.
        answered: those of them of which both directions were seen.
        both_ways: whether both directions of this traffic were seen, in one entry or, of a tunnel, in two.
        peers: addresses at the other side.
        peers_are_exact: whether these were counted, or are an estimate.
        verdict: whether it may be bypassed.
        reasons: why it may not, or not yet; empty if it may.
        notes: what else there is to know.
    """

    entry: Entry
    entries: int
    answered: int
    both_ways: bool
    peers: int
    peers_are_exact: bool
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """What an inventory comes to.

    Args:
        total: entries of the table.
        candidates: the best first: by verdict, then by how many entries they are about.
        standing: entries that are bypassed already, by what bypasses them.
        unadvised: entries that no policy entry is advised for, such as those of ICMP.
        notes: what is not known.
    """

    total: int
    candidates: tuple[Candidate, ...]
    standing: tuple[tuple[str, int], ...] = ()
    unadvised: int = 0
    notes: tuple[str, ...] = ()

    def safe(self) -> list[Candidate]:
        """Those that may be bypassed."""
        return [one for one in self.candidates if one.verdict is Verdict.SAFE]


Dependences = Callable[[Entry], Iterable[Dependence]]
"""The rules of the host that the traffic of an entry depends on while it is tracked."""


def nothing_known(_: Entry) -> Iterable[Dependence]:
    """Where no rules were read."""
    return ()


def advise(
    found: Inventory, rules: Dependences = nothing_known, policy: Policy | None = None, notes: Iterable[str] = ()
) -> Advice:
    """Candidates for what an inventory has found.

    Args:
        found: the inventory.
        rules: what the host's rules take from conntrack.
        policy: that there is already; what it tracks or protects is not advised.
        notes: what is not known, for people.
    """
    drafts = [draft for draft in _drafts(found.uses) if draft.is_worth_a_look(found.total)]
    largest = sorted(drafts, key=lambda draft: (-draft.tally.entries, str(draft.entry)))[:MOST_CANDIDATES]
    candidates = sorted(
        (_judged(draft, found.excluded, rules, policy) for draft in largest),
        key=lambda one: (one.verdict, -one.entries, str(one.entry)),
    )
    return Advice(found.total, tuple(candidates), tuple(sorted(found.standing.items())), found.unadvised, tuple(notes))


@dataclass(frozen=True, slots=True)
class _Draft:
    """An entry for a use, or for the two of a tunnel."""

    entry: Entry
    tally: Tally
    service: ProtocolPorts
    sides: frozenset[Side]
    both_ways: bool

    @property
    def port(self) -> int:
        return self.service.ports.intervals[0][0] if self.service.ports != ANY_PORT else 0

    def is_worth_a_look(self, total: int) -> bool:
        """Whether it is about more than what one client's ports come to."""
        fewest = FEWEST if self.port >= EPHEMERAL and not isinstance(self.entry, Overlay) else 1
        return self.tally.entries >= max(fewest, total // 1000)


_SERVICE_SIDES: Final = frozenset({Side.IN_TO, Side.OUT_FROM, Side.LOOPBACK})
_CLIENT_SIDES: Final = frozenset({Side.OUT_TO, Side.IN_FROM, Side.LOOPBACK})
_FORWARD_SIDES: Final = frozenset({Side.FORWARD})
_TUNNEL_SIDES: Final = frozenset({Side.IN_TO, Side.OUT_TO, Side.LOOPBACK})


def _drafts(uses: dict[Use, Tally]) -> Iterator[_Draft]:
    tunnels = set(_tunnels(uses))
    for service in sorted(tunnels):
        yield _tunnel_draft(uses, *service)
    for use, tally in uses.items():
        if use.role is Role.FORWARD or (use.protocol, use.port) not in tunnels:
            draft = _draft(use, tally)
            if draft is not None:
                yield draft


def _tunnels(uses: dict[Use, Tally]) -> Iterator[tuple[int, int]]:
    """Protocols and ports by which this host tunnels: nobody answers port for port."""
    for role, protocol, port in uses:
        if role is Role.FORWARD:
            continue
        if protocol not in PROTOCOLS_WITH_PORTS:
            yield protocol, port
        elif protocol == _UDP:
            both = [uses.get(Use(one, protocol, port), Tally()) for one in (Role.SERVICE, Role.CLIENT)]
            if all(_looks_like_a_tunnel(one) for one in both) and (port in TUNNEL_PORTS or _goes_both_ways(both)):
                yield protocol, port


def _looks_like_a_tunnel(tally: Tally) -> bool:
    return tally.answered * 20 <= tally.entries


def _goes_both_ways(both: list[Tally]) -> bool:
    """Whether a port that is none of the known tunnels' is used as those are: many flows each way, no answers."""
    return all(not one.answered and one.entries >= FEWEST and one.has_many_ports for one in both)


def _tunnel_draft(uses: dict[Use, Tally], protocol: int, port: int) -> _Draft:
    to_us, by_us = (uses.get(Use(role, protocol, port), Tally()) for role in (Role.SERVICE, Role.CLIENT))
    tally = to_us.together(by_us)
    service = _service(protocol, port)
    entry = Overlay(name=UNNAMED, tunnel=service, peers=_suggested(tally.peers))
    return _Draft(entry, tally, service, _TUNNEL_SIDES, bool(tally.answered or (to_us.entries and by_us.entries)))


def _draft(use: Use, tally: Tally) -> _Draft | None:
    service = _service(use.protocol, use.port)
    if use.protocol not in PROTOCOL_NAMES:
        return None  # services are named; a number alone would be read as a port
    both_ways, services = bool(tally.answered), (service,)
    match use.role:
        case Role.SERVICE:
            entry: Entry = HostService(name=UNNAMED, services=services, peers=_suggested(tally.peers))
            return _Draft(entry, tally, service, _SERVICE_SIDES, both_ways)
        case Role.CLIENT:
            entry = HostClient(name=UNNAMED, services=services, peers=_suggested(tally.peers))
            return _Draft(entry, tally, service, _CLIENT_SIDES, both_ways)
    clients, servers = _suggested(tally.peers), _suggested(tally.servers)
    forward = Forward(name=UNNAMED, services=services, clients=clients, servers=servers)
    return _Draft(forward, tally, service, _FORWARD_SIDES, both_ways)


def _service(protocol: int, port: int) -> ProtocolPorts:
    return ProtocolPorts(protocol, IntervalSet.single(port) if protocol in PROTOCOLS_WITH_PORTS else ANY_PORT)


def _suggested(peers: dict[Family, Peers]) -> Addresses:
    """A few prefixes that hold all peers; any address if they are too far apart."""
    most = MOST_PREFIXES * (2 if len(peers) == 1 else 1)
    found = {}
    for family, known in peers.items():
        prefixes = known.prefixes(most)
        if prefixes is None:
            return ANY_ADDRESS
        found[family] = prefixes
    return Addresses(found.get(Family.IPV4, _NONE), found.get(Family.IPV6, _NONE))


def _judged(draft: _Draft, excluded: Excluded, rules: Dependences, policy: Policy | None) -> Candidate:
    refusals = [*_by_table(draft, excluded), *_by_policy(draft.entry, policy)]
    accepts: list[str] = []
    try:
        for one in rules(draft.entry):
            text = f"{one.why}: `{one.rule}` in {one.place}" if one.kind is Kind.LOST else f"{one.why} in {one.place}"
            (refusals if one.kind is Kind.LOST else accepts).append(text)
    except TooManyRulesError:
        refusals.append("the host's rules are too many to tell whether it depends on them")
    verdict = Verdict.REFUSED if refusals else Verdict.NEEDS_ACCEPT if accepts else Verdict.SAFE
    peers = draft.tally.peers.values()
    return Candidate(
        draft.entry,
        draft.tally.entries,
        draft.tally.answered,
        draft.both_ways,
        sum(one.count for one in peers),
        all(one.is_exact for one in peers),
        verdict,
        tuple(dict.fromkeys(refusals + accepts)),
        tuple(_notes(draft)),
    )


def _by_table(draft: _Draft, excluded: Excluded) -> Iterator[str]:
    """What entries of the table speak against it."""
    own = draft.tally.excluded
    for why, number in own.items():
        yield f"{_entries(number)} of it {'is' if number == 1 else 'are'} {why.value}"
    if not own and draft.sides == _TUNNEL_SIDES and _spares(draft, excluded):
        return
    for why in excluded.reasons(draft.sides, draft.service.protocol, draft.port):
        if why not in own:
            yield f"packets of entries {why.value} have this port where it would be bypassed"


def _spares(draft: _Draft, excluded: Excluded) -> bool:
    """Whether the peers of a tunnel are none of those whose packets must stay tracked, as far as those are known."""
    entry = draft.entry
    if not isinstance(entry, Overlay) or draft.port not in TUNNEL_PORTS or draft.service.protocol != _UDP:
        return False
    for side in draft.sides:
        known = excluded.at_tunnels.get((side, draft.port), set())
        if known is None or any(address in entry.peers.of(family) for family, address in known):
            return False
    return True


def _by_policy(entry: Entry, policy: Policy | None) -> Iterator[str]:
    """What a policy, or ctpolicy itself, says against it."""
    protected = uncovered(entry, policy.protect if policy else DEFAULT) or uncovered(entry, DEFAULT)
    if protected:
        yield f"it {protected}"
    if policy is not None:
        space = entries_space([entry])
        for tracking in policy.track:
            if space <= entries_space([tracking]):  # of what it tracks in part, the rest may be bypassed: track wins
                yield f"the policy tracks it: track {tracking.name}"


def _notes(draft: _Draft) -> Iterator[str]:
    if draft.service.protocol == _TCP:
        yield "of TCP, conntrack's states and its checks of sequence numbers are lost"
    if isinstance(draft.entry, Overlay) and draft.tally.has_many_ports:
        yield f"from {MANY_PORTS} source ports or more"


def _entries(number: int) -> str:
    return f"{number} entry" if number == 1 else f"{number} entries"
