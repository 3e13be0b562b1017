"""What can be pasted against hazards: accept rules where packets are dropped, track entries where conntrack is needed.

    hazards ──▶ accept rules, walked (accepting.py) ──▶ what is left ──▶ entries, proved (keeping.py) ──▶ advice

What cannot be checked is no remedy. It is told, as advice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ctpolicy.hazards.accepting import accept_rules
from ctpolicy.hazards.dropping import LOSSES, of_half_flows
from ctpolicy.hazards.hazard import Hazard, Traffic
from ctpolicy.hazards.keeping import Bypass, kept_tracked, narrower
from ctpolicy.hazards.remedy import Kind, Remedy
from ctpolicy.hazards.rules import HostRules
from ctpolicy.language.policy import Policy
from ctpolicy.packetspace.space import PacketSpace

NOT_FOLLOWED = "HZ015"


def remedies(
    hazards: Sequence[Hazard],
    host: HostRules,
    newly: PacketSpace,
    untracked: PacketSpace,
    policy: Policy | None = None,
) -> list[Remedy]:
    """What helps, and advice where nothing was found: each packet of each hazard is in at least one of them.

    A remedy's hazards are those that were given, or parts of them: with fewer packets, and the same otherwise.

    Args:
        hazards: as `hazards_between(host, newly, untracked)` told them.
        host: its rules, but for ours.
        newly: packets that were tracked, and are to be untracked.
        untracked: all packets that are to be untracked.
        policy: that says so; with it names of entries are not taken twice, and narrower entries are looked for.
    """
    bypass = Bypass(host, newly, untracked, policy)
    accepted = accept_rules(host, newly, untracked, hazards)
    offered = list(accepted.remedies)
    accepted_left = [hazard for drop in accepted.left for hazard in drop.hazards]
    if not all(bypass.had(one, hazards) for one in accepted.hazards if one.code not in LOSSES):
        offered, accepted_left = [], [one for one in hazards if one.code in LOSSES]
    halves = [replace(one, space=half) for one in hazards if (half := of_half_flows(one, untracked))]
    others = [one for one in hazards if one.code not in LOSSES and one.code != NOT_FOLLOWED]
    taken = {entry.name for entry in (*policy.bypass, *policy.track)} if policy else set()
    for group in _by_code([*dict.fromkeys(accepted_left), *halves, *others]):
        kept = kept_tracked(bypass, group, taken)
        less = list(narrower(bypass, group))
        offered += [one for one in (kept, *less) if one is not None]
    return [*_joined(offered), *_advice(hazards, offered)]


def _by_code(hazards: Iterable[Hazard]) -> Iterator[list[Hazard]]:
    """Those of one code together, and what is certain apart from what may be: nobody gives up a bypass for that."""
    alike: dict[tuple[str, bool], list[Hazard]] = {}
    for one in hazards:
        alike.setdefault((one.code, one.is_certain), []).append(one)
    yield from alike.values()


def _joined(offered: Iterable[Remedy]) -> Iterator[Remedy]:
    """Entries that help against several codes once."""
    alike: dict[object, Remedy] = {}
    for one in offered:
        key = (one.kind, one.commands, one.replaces, one.text.partition("apiVersion")[2] or one.text)
        found = alike.get(key)
        if found is None:
            alike[key] = one
        else:
            hazards = (*found.hazards, *(hazard for hazard in one.hazards if hazard not in found.hazards))
            alike[key] = Remedy(
                one.kind, hazards, entries=one.entries, replaces=one.replaces, text=one.text, notes=one.notes
            )
    yield from alike.values()


def _advice(hazards: Iterable[Hazard], offered: Sequence[Remedy]) -> Iterator[Remedy]:
    helped: dict[tuple[object, ...], PacketSpace] = {}
    for one in (hazard for remedy in offered for hazard in remedy.hazards):
        helped[_what(one)] = helped.get(_what(one), PacketSpace.none()) | one.space
    for hazard in hazards:
        left = hazard.space - helped.get(_what(hazard), PacketSpace.none())
        if left:
            yield Remedy(Kind.ADVICE, (replace(hazard, space=left),), notes=(_words(hazard),))


def _what(hazard: Hazard) -> tuple[object, ...]:
    return hazard.code, hazard.is_certain, hazard.traffic, hazard.rule, hazard.note


def _words(hazard: Hazard) -> str:
    if hazard.code == NOT_FOLLOWED:
        return "These rules are not followed: look whether they ask for a connection of the packets."
    if hazard.traffic is Traffic.ERRORS:
        return "No rule was found that lets these ICMP errors through and nothing else; a smaller MTU needs none."
    if hazard.code in LOSSES:
        return (
            "No rule was found that lets these packets through and nothing else: bypass fewer, or leave the entry out."
        )
    return "No track entry was found that helps: leave the entry out that bypasses these packets."
