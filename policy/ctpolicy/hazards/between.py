"""The hazards of leaving packets untracked on a host with these rules.

Each question is two walks of the same packets, as conntrack showed them to rules before and as it does now:

    requests   new before, untracked now; what was dropped for being new, and no longer is, too
    replies    established before (if the flow's first packet was accepted), untracked now; and those that stay
               tracked while what they answer does not, which are invalid (tcp) or new (others) now
    errors     ICMP errors that senders act on: related before, invalid now

and, of the walks before, what NAT and other users of conntrack did to them. A packet of the space is looked at as a
request and as a reply, because nothing tells which it is; as a reply only if what it would answer is accepted, and
certainly only if that is to be untracked too: what goes into tunnels is not answered port for port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.hazards.fates import Walked
from ctpolicy.hazards.hazard import Hazard, Traffic, certain_and_possible, gathered
from ctpolicy.hazards.losing import losses, possibly_accepted, usually_accepted
from ctpolicy.hazards.reversing import Answers, errors, reverse
from ctpolicy.hazards.roles import Roles
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import HostRules
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.taking import (
    proxies_met,
    proxies_passed,
    services_lost,
    translations_lost,
    unanswered_translations,
)
from ctpolicy.hazards.views import ANY_ICMP_TYPE, Known
from ctpolicy.hazards.walk import walk
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Family
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Field

_ERRORS: Final = {
    Family.IPV4: (("HZ003", IntervalSet.single(3)),),
    Family.IPV6: (("HZ003", IntervalSet.single(2)), ("HZ020", IntervalSet.single(1))),
}
"""The ICMP types that senders act on, by what is lost with them. IPv4 says with one type what is unreachable, and that
a packet is too big for its path."""
_TCP: Final = PacketSpace.of_boxes([{Field.PROTOCOL: IntervalSet.single(PROTOCOL_NUMBERS["tcp"])}])


Told = Callable[[int, int, str], None]
"""Is told how many parts are done, of how many, and what is begun."""


def hazards_between(
    host: HostRules,
    newly: PacketSpace,
    untracked: PacketSpace,
    roles: Roles | None = None,
    told: Told = lambda _done, _of, _words: None,
) -> list[Hazard]:
    """What breaks, or may break, what is certain first.

    Args:
        host: its rules, but for ours.
        newly: packets that were tracked, and are to be untracked.
        untracked: all packets that are to be untracked, those of `newly` and others.
        roles: what the policy says of which are requests and which are answers; if nobody says, each may be both.
        told: is told how far it is.
    """
    asked = _Question(host, newly, untracked, roles or Roles.unknown())
    found: list[Hazard] = []
    for done, route in enumerate(Route):
        told(done, len(Route), f"looking for hazards: {route.value}")
        found += asked.of(route)
    told(len(Route), len(Route), "looking for hazards")
    return gathered([*found, *_not_followed(host, newly)])


def _not_followed(host: HostRules, newly: PacketSpace) -> Iterator[Hazard]:
    for title in host.unwalked:
        yield Hazard("HZ015", False, Traffic.REQUESTS, None, newly, note=f"in {title}")


@dataclass(slots=True)
class _Question:
    host: HostRules
    newly: PacketSpace
    untracked: PacketSpace
    roles: Roles
    walked: dict[tuple[Route, Situation, PacketSpace, IntervalSet], Walked] = field(default_factory=dict)
    known: Known = field(default_factory=Known)

    def of(self, route: Route) -> Iterator[Hazard]:
        """The hazards of packets of one route."""
        space = self.newly & route.packets
        if requests := space - self.roles.never_requests:
            yield from self._requests(route, requests)
        if answers := space - self.roles.never_answers:
            yield from self._replies(route, answers)
        if space:
            yield from unanswered_translations(self.host, self.newly, route, self.known)

    def _requests(self, route: Route, space: PacketSpace) -> Iterator[Hazard]:
        """Packets as the first of flows."""
        requests, after = self._walk(route, Situation.NEW, space), self._walk(route, Situation.UNTRACKED, space)
        for loss in losses(requests, after):
            yield from certain_and_possible(
                "HZ001", Traffic.REQUESTS, loss.step, loss.possibly, loss.certainly, loss.before
            )
        for gain in losses(after, requests):
            yield from certain_and_possible("HZ018", Traffic.REQUESTS, gain.step, gain.possibly, gain.certainly)
        yield from translations_lost(requests, route)
        yield from services_lost(requests, Traffic.REQUESTS)
        yield from proxies_passed(requests, after)
        yield from proxies_met(after)
        yield from self._half_flows(route, requests)
        yield from self._errors(route, possibly_accepted(requests), usually_accepted(requests))

    def _walk(
        self, route: Route, situation: Situation, space: PacketSpace, types: IntervalSet = ANY_ICMP_TYPE
    ) -> Walked:
        key = (route, situation, space, types)
        if key not in self.walked:
            self.walked[key] = walk(self.host, route, situation, space, types, self.known)
        return self.walked[key]

    def _replies(self, route: Route, space: PacketSpace) -> Iterator[Hazard]:
        """Packets as answers, where what they answer is accepted."""
        after = self._walk(route, Situation.UNTRACKED, space)
        asked = reverse(space, route)
        requests = self._walk(asked.route, Situation.NEW, asked.space)
        possible = reverse(possibly_accepted(requests), asked.route).space & space
        unusual = asked.space - (usually_accepted(requests) & self.untracked)
        certain = possible - reverse(unusual, asked.route).space if asked.is_exact else PacketSpace.none()
        before = self._walk(route, Situation.REPLY, space)
        for loss in losses(before, after):
            lost = loss.possibly & possible
            yield from certain_and_possible(
                "HZ002", Traffic.REPLIES, loss.step, lost, loss.certainly & certain, loss.before
            )
        yield from services_lost(before, Traffic.REPLIES)
        yield from self._errors(route, possibly_accepted(before) & possible, certain)

    def _half_flows(self, route: Route, requests: Walked) -> Iterator[Hazard]:
        """Answers that stay tracked, to packets that do not. Whether there are any, nothing tells."""
        answers = reverse(possibly_accepted(requests) - self.roles.unanswered, route)
        tracked = answers.space - self.untracked
        for situation, space in ((Situation.INVALID, tracked & _TCP), (Situation.NEW, tracked - _TCP)):
            if space:
                before = self._walk(answers.route, Situation.REPLY, space)
                for loss in losses(before, self._walk(answers.route, situation, space)):
                    yield Hazard("HZ002", False, Traffic.REPLIES, loss.step.rule, loss.possibly, loss.before)

    def _errors(self, route: Route, possible: PacketSpace, certain: PacketSpace) -> Iterator[Hazard]:
        """ICMP errors about packets that were accepted."""
        for family in Family:
            about = errors(possible, route, family)
            sure = errors(certain, route, family)
            for code, types in _ERRORS[family]:
                yield from self._errors_of(code, types, about, sure.space if sure.is_exact else PacketSpace.none())

    def _errors_of(self, code: str, types: IntervalSet, about: Answers, certain: PacketSpace) -> Iterator[Hazard]:
        for situation, space in (
            (Situation.INVALID, about.space - self.untracked),
            (Situation.UNTRACKED, about.space & self.newly),
        ):
            if space:
                before = self._walk(about.route, Situation.RELATED, space, types)
                after = self._walk(about.route, situation, space, types)
                for loss in losses(before, after):
                    yield from certain_and_possible(
                        code, Traffic.ERRORS, loss.step, loss.possibly, loss.certainly & certain, loss.before
                    )
