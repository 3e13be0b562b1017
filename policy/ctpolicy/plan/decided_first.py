"""What a policy means to bypass, and others' rules drop or keep tracked whatever ours say: a bypass without effect.

`status` tells the same of what is live (shadowing.py); a plan tells it before anybody counts on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ctpolicy.hazards.hazard import Hazard, Traffic
from ctpolicy.netfilter.shadow import Shadow
from ctpolicy.packetspace.space import PacketSpace

CODE: Final = "HZ021"


def decided_first(meant: PacketSpace, shadows: Iterable[Shadow]) -> Iterator[Hazard]:
    """The packets that others decide about, a hazard for each of their chains; not what an apply puts right itself.

    Args:
        meant: what the policy leaves untracked.
        shadows: what others' rules keep from ours.
    """
    for shadow in shadows:
        if not shadow.is_mended and shadow.possibly:
            certain = meant & shadow.certainly
            yield from _told(shadow, certain, is_certain=True)
            yield from _told(shadow, (meant & shadow.possibly) - certain, is_certain=False)


def _told(shadow: Shadow, packets: PacketSpace, *, is_certain: bool) -> Iterator[Hazard]:
    witness = packets.witness()
    if witness is not None:
        place, rule = shadow.decider(witness)
        by = f"by `{rule}` in {place}" if rule else f"by {place}"
        yield Hazard(CODE, is_certain, Traffic.REQUESTS, None, packets, note=by)
