"""Packets that our entries bypass, and that somebody else's rules keep from being untracked: exactly which, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from ctpolicy.netfilter.backend import Backend
from ctpolicy.netfilter.drift import BY_APPLY, Drift, DriftKind
from ctpolicy.netfilter.shadow import Shadow
from ctpolicy.packetspace.box_text import box_text
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import PacketSpace, bounded
from ctpolicy.plan.live import Live

Own = TypeVar("Own")

MOST_BOXES: Final = 4
"""Boxes that describe what one chain of somebody else's keeps from us."""

MOST_WORK: Final = 15_000_000
"""What a status may do for it: some 15 s, as a plan. One list of 100,000 prefixes takes 7 million in nftables and 12
in iptables, but only on a host where somebody else keeps any packets from conntrack."""

BY_HAND: Final = "change that rule; `ctpolicy apply` leaves it alone"


def shadowed(backend: Backend[Own], own: Own | None, live: Live) -> tuple[Drift, ...] | None:
    """What others' rules keep from ours; None if these are too many different packets to tell.

    Args:
        backend: that ours are of.
        own: ours, as they are to be.
        live: everything on the host.
    """
    try:
        with bounded(MOST_WORK):
            return tuple(_shadowed(backend, own, live))
    except TooLargeError:
        return None


def _shadowed(backend: Backend[Any], own: Any, live: Live) -> Iterator[Drift]:
    shadows = [shadow for shadow in live.shadows(backend) if shadow.possibly]
    if not shadows or own is None:
        return
    ours = backend.treatment(own).untracked.certainly
    for shadow in shadows:
        certain = ours & shadow.certainly
        yield from _told(shadow, certain, is_certain=True)
        yield from _told(shadow, (ours & shadow.possibly) - certain, is_certain=False)


def _told(shadow: Shadow, packets: PacketSpace, is_certain: bool) -> Iterator[Drift]:
    described = packets.describe(MOST_BOXES)
    for number, box in enumerate(described.boxes, start=1):
        witness = (PacketSpace.of_boxes([box]) & packets).witness()
        if witness is None:
            continue
        place, rule = shadow.decider(witness)
        is_cut = number == len(described.boxes) and not described.is_complete
        yield Drift(
            DriftKind.SHADOWED,
            place,
            found=(rule,) if rule else (),
            packets=box_text(box) + (", and more" if is_cut else ""),
            witness=witness,
            is_certain=is_certain,
            remedy=BY_APPLY if shadow.is_mended else BY_HAND,
        )
