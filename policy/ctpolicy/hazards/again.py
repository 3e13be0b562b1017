"""The hazards of tracking packets again: their flows are in mid-stream, and conntrack has never seen them begin.

With net.netfilter.nf_conntrack_tcp_loose, as it is unless somebody says otherwise, the next packet of such a flow is
its first for conntrack, whichever side sends it: it is new, and NAT chains see it. Without, packets of tcp that are no
SYN are invalid for as long as the flow lives. Flows that begin later are tracked from their beginning.

What is lost in one direction is no loss where the other side's next packet makes the flow known. Whether there are
such flows at all, no rule tells, so none of these hazards is certain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ctpolicy.hazards.fates import Outcome, Walked
from ctpolicy.hazards.hazard import Hazard, Traffic, gathered
from ctpolicy.hazards.losing import losses, possibly_accepted, usually_accepted
from ctpolicy.hazards.reversing import reverse
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import HostRules, Nat, Rule, Translation
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.views import Known
from ctpolicy.hazards.walk import walk
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Field

CODE: Final = "HZ016"

_NEW: Final = "the next packet of a flow in mid-stream is new to conntrack"
_STRICT: Final = "packets in mid-stream are invalid while net.netfilter.nf_conntrack_tcp_loose is 0"
_IF_STRICT: Final = f"{_STRICT}; whether it is, is not known"
_TRANSLATED: Final = "NAT takes the next packet of a flow in mid-stream for its first, and translates it"
_TCP: Final = PacketSpace.of_boxes([{Field.PROTOCOL: IntervalSet.single(PROTOCOL_NUMBERS["tcp"])}])
_OWN: Final = frozenset({Route.OUT, Route.LOOPBACK})


def hazards_of_tracking(host: HostRules, again: PacketSpace, *, is_loose: bool | None = None) -> list[Hazard]:
    """What may break when packets are tracked again.

    Args:
        host: its rules, but for ours.
        again: packets that were untracked, and are to be tracked.
        is_loose: whether conntrack takes up connections of tcp in mid-stream; None if nobody knows.
    """
    known: Known = Known()
    return gathered(hazard for route in Route for hazard in _of(host, again, route, is_loose, known))


def _of(host: HostRules, again: PacketSpace, route: Route, is_loose: bool | None, known: Known) -> Iterator[Hazard]:
    space = again & route.packets
    if not space:
        return
    before = walk(host, route, Situation.UNTRACKED, space, known=known)
    taken_up = space if is_loose is not False else space - _TCP
    after = walk(host, route, Situation.NEW, taken_up, known=known)
    healed = _healed(host, again, route, taken_up, known)
    for loss in losses(before, after):
        yield _hazard(loss.step.rule, loss.possibly - healed, _NEW)
    passed = possibly_accepted(before)
    for fate in after.of({Outcome.TRANSLATED}):
        assert fate.step is not None
        assert isinstance(fate.step.action, Translation)
        # What this host sends has the address already that it would get, in all likelihood.
        if route not in _OWN or fate.step.action.nat is not Nat.MASQUERADE:
            yield _hazard(fate.step.rule, fate.space & passed, _TRANSLATED)
    if is_loose is not True:
        yield from _invalid(host, before, space & _TCP, known, _STRICT if is_loose is False else _IF_STRICT)


def _invalid(host: HostRules, before: Walked, space: PacketSpace, known: Known, note: str) -> Iterator[Hazard]:
    for loss in losses(before, walk(host, before.route, Situation.INVALID, space, known=known)):
        yield _hazard(loss.step.rule, loss.possibly & space, note)


def _healed(host: HostRules, again: PacketSpace, route: Route, space: PacketSpace, known: Known) -> PacketSpace:
    """Packets whose flow becomes known by what the other side sends."""
    other = reverse(space, route)
    theirs = walk(host, other.route, Situation.NEW, other.space & again, known=known)
    back = reverse(usually_accepted(theirs), other.route)
    return back.space if other.is_exact and back.is_exact else PacketSpace.none()


def _hazard(rule: Rule, space: PacketSpace, note: str) -> Hazard:
    return Hazard(CODE, False, Traffic.MIDSTREAM, rule, space, note=note)
