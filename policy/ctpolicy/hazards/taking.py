"""What NAT and other users of conntrack did to packets that are untracked now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Final

from ctpolicy.hazards.fates import Outcome, Touch, Walked, together
from ctpolicy.hazards.hazard import Hazard, Traffic, certain_and_possible
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import Asked, HostRules, Nat, Service, Step, Translation, Use
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.views import Known
from ctpolicy.hazards.walk import walk
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field, family_set, path_set

_SERVICES: Final = {
    Service.HELPER: "HZ007",
    Service.CT_MARK: "HZ008",
    Service.LABEL: "HZ008",
    Service.RESTORED_MARK: "HZ009",
    Service.LIMIT: "HZ010",
    Service.ZONE: "HZ011",
    Service.OFFLOAD: "HZ012",
    Service.TIMEOUT: "HZ014",
}
_SOURCES: Final = frozenset({Nat.SOURCE, Nat.MASQUERADE})


def translations_lost(requests: Walked, route: Route) -> Iterator[Hazard]:
    """NAT rules that the packets met, as first packets of flows."""
    sure = requests.certainly({Outcome.TRANSLATED})
    for fate in requests.of({Outcome.TRANSLATED}):
        assert fate.step is not None
        code = "HZ005" if _nat(fate.step) in _SOURCES else "HZ004"
        # This host's own packets mostly have the address already that masquerading would give them.
        changes_nothing = _nat(fate.step) is Nat.MASQUERADE and route is not Route.FORWARD
        certain = PacketSpace.none() if changes_nothing else sure
        yield from certain_and_possible(code, Traffic.REQUESTS, fate.step, fate.space, certain)


def services_lost(walked: Walked, traffic: Traffic) -> Iterator[Hazard]:
    """Rules that the packets met and that need conntrack."""
    for touch in walked.touches:
        action = touch.step.action
        if isinstance(action, Use) and action.service in _SERVICES:
            certain = touch.space if not touch.doubt else PacketSpace.none()
            yield from certain_and_possible(_SERVICES[action.service], traffic, touch.step, touch.space, certain)


def proxies_met(after: Walked) -> Iterator[Hazard]:
    """SYNPROXY on packets that are untracked now: of a connection that it opens, it has to see the others tracked."""
    for touch in _uses(after, Service.SYNPROXY):
        certain = touch.space if not touch.doubt else PacketSpace.none()
        yield from certain_and_possible("HZ013", Traffic.REQUESTS, touch.step, touch.space, certain)


def proxies_passed(before: Walked, after: Walked) -> Iterator[Hazard]:
    """TPROXY rules that the packets met, and do not meet now; those that ask nothing of conntrack take them as ever."""
    for touch in _uses(before, Service.TPROXY):
        still = together(one.space for one in _uses(after, Service.TPROXY) if one.step is touch.step)
        surely = touch.space if not touch.doubt else PacketSpace.none()
        yield from certain_and_possible("HZ019", Traffic.REQUESTS, touch.step, touch.space - still, surely)


def _uses(walked: Walked, service: Service) -> Iterator[Touch]:
    for touch in walked.touches:
        if isinstance(touch.step.action, Use) and touch.step.action.service is service:
            yield touch


def unanswered_translations(host: HostRules, newly: PacketSpace, route: Route, known: Known) -> Iterator[Hazard]:
    """Flows that stay tracked and translated, whose answers are among the packets that do not."""
    if route is Route.IN:
        if any(action.nat in _SOURCES for _, action in _translations(host)):
            yield from _answers_to_masqueraded(host, newly & route.packets, known)
    elif route in {Route.OUT, Route.FORWARD}:
        yield from _answers_to_destinations(host, newly & route.packets)


def _answers_to_masqueraded(host: HostRules, answers: PacketSpace, known: Known) -> Iterator[Hazard]:
    """What comes in from where forwarded flows go that get this host's address."""
    boxes = list(_asked_by(answers))
    flows = walk(host, Route.FORWARD, Situation.NEW, PacketSpace.of_boxes(boxes), known=known)
    for fate in flows.of({Outcome.TRANSLATED}):
        assert fate.step is not None
        if _nat(fate.step) in _SOURCES:
            found = answers & _answering(fate.space)
            yield Hazard("HZ006", False, Traffic.REPLIES, fate.step.rule, found)


def _asked_by(answers: PacketSpace) -> Iterable[Box]:
    """Forwarded packets that may be answered so: to where an answer comes from, by protocol and port."""
    for family in Family:
        of_family = answers & PacketSpace.of_boxes([{Field.FAMILY: family_set(family)}])
        if of_family:
            yield {
                Field.PATH: path_set(Path.FORWARD),
                Field.FAMILY: family_set(family),
                Field.PROTOCOL: of_family.values(Field.PROTOCOL),
                Field.DESTINATION: of_family.values(Field.SOURCE),
                Field.DESTINATION_PORT: of_family.values(Field.SOURCE_PORT),
            }


def _answering(flows: PacketSpace) -> PacketSpace:
    """Packets that come in from where flows go."""
    found = []
    for family in Family:
        of_family = flows & PacketSpace.of_boxes([{Field.FAMILY: family_set(family)}])
        if of_family:
            found.append(
                {
                    Field.PATH: path_set(Path.IN),
                    Field.FAMILY: family_set(family),
                    Field.PROTOCOL: of_family.values(Field.PROTOCOL),
                    Field.SOURCE: of_family.values(Field.DESTINATION),
                    Field.SOURCE_PORT: of_family.values(Field.DESTINATION_PORT),
                }
            )
    return PacketSpace.of_boxes(found)


def _answers_to_destinations(host: HostRules, answers: PacketSpace) -> Iterator[Hazard]:
    """What comes from the place to which flows are translated, by its address and port as far as the rule says."""
    for step, action in _translations(host):
        if action.nat not in _SOURCES and _tells_where(action):
            found = answers.within({**_protocols(step), **_from(action)})
            if found:
                yield Hazard("HZ006", False, Traffic.REPLIES, step.rule, found)


def _translations(host: HostRules) -> Iterator[tuple[Step, Translation]]:
    for table in host.tables:
        for chain in table.chains.values():
            for step in chain.steps:
                if isinstance(step.action, Translation):
                    yield step, step.action


def _tells_where(action: Translation) -> bool:
    return bool(action.to) or action.port is not None


def _protocols(step: Step) -> Box:
    """The protocols that a rule asks for."""
    asked = [one.boxes[0] for one in step.fields if len(one.boxes) == 1 and not one.negated]
    found = [values[Asked.PROTOCOL] for values in asked if Asked.PROTOCOL in values]
    return {Field.PROTOCOL: found[0]} if found else {}


def _from(action: Translation) -> Box:
    box: dict[Field, IntervalSet] = {}
    try:
        address = ip_address(action.to)
        family = Family.IPV4 if address.version == 4 else Family.IPV6
        box[Field.FAMILY] = family_set(family)
        box[Field.SOURCE] = IntervalSet.single(int(address))
    except ValueError:
        pass
    if action.port is not None:
        box[Field.SOURCE_PORT] = IntervalSet.single(action.port)
    if action.nat is Nat.REDIRECT:
        box[Field.PATH] = path_set(Path.OUT)
    return box


def _nat(step: Step) -> Nat:
    assert isinstance(step.action, Translation)
    return step.action.nat
