"""What other people's rules do before conntrack sees a packet, whatever tool they were made with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from ctpolicy.netfilter.owners import Owner
from ctpolicy.netfilter.treatment import Treatment, Untracked


def title_of(place: str, owner: Owner | None) -> str:
    """A place, with whose rules stand there if that is known."""
    return place + (f" ({owner.name})" if owner else "")


@dataclass(frozen=True, slots=True)
class ForeignBypass:
    """Somebody else's `notrack` rules: those of one chain that belong to one owner.

    Args:
        place: where they stand, such as `table inet ovn_notrack, chain prerouting`.
        owner: whose they are; None if nobody known.
        untracked: what they leave untracked.
    """

    place: str
    owner: Owner | None
    untracked: Untracked

    @property
    def title(self) -> str:
        """Where they stand and whose they are: `table inet ovn_notrack, chain output (OpenShift OVN-Kubernetes)`."""
        return title_of(self.place, self.owner)


@dataclass(frozen=True, slots=True)
class PacketBypass:
    """Somebody else's rules that leave one packet untracked: where, and whether certainly."""

    title: str
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Foreign:
    """Everything on a host that is not ctpolicy's.

    Args:
        treatment: what it does to packets; of a packet that it drops it does not matter what ctpolicy says.
        bypasses: its `notrack` rules, by place and owner.
    """

    treatment: Treatment
    bypasses: tuple[ForeignBypass, ...] = ()

    @classmethod
    def none(cls) -> Foreign:
        """Of a host where nobody else has rules."""
        return cls(Treatment.none())

    @classmethod
    def together(cls, several: Iterable[Foreign]) -> Foreign:
        """What several tools have made, on one host."""
        return reduce(lambda one, other: cls(one.treatment & other.treatment, one.bypasses + other.bypasses), several)
