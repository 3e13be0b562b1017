"""Hypothesis strategies for policies, entries, packets and sets of packets.

They are for the tests of whoever writes policies, or tools about them; docs/testing.md has a page of examples.

    @given(packets(protocol="tcp", destination_port=22))
    def test_ssh_is_never_bypassed(ctpolicy_space, packet):
        assert packet not in ctpolicy_space

Packets are made from boxes, never picked out of all packets, so narrow constraints cost nothing. What fails shrinks to
an ordinary packet: path in, udp, an address kept for documentation, unless it has to be another.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from random import Random
from typing import Unpack

from hypothesis import strategies as st

from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Entry, Forward, HostClient, HostService, Match, Overlay, Policy, Ports
from ctpolicy.meaning_space import bypass_space, entries_space
from ctpolicy.packetspace.fields import Path
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.testing.boundaries import boundary_packets
from ctpolicy.testing.constraints import Constraints, in_words, space_of
from ctpolicy.testing.documents import dump, one_entry_documents, policy_documents
from ctpolicy.testing.entry_documents import KINDS
from ctpolicy.testing.walks import Walks

__all__ = [
    "boundary_packets",
    "dump",
    "entries",
    "entry_named",
    "packets",
    "packets_inside",
    "packets_near",
    "packets_outside",
    "policies",
    "policy_documents",
    "reverse_of",
    "spaces",
]

Packets = Policy | PacketSpace | Overlay | HostService | HostClient | Forward | Ports | Match
"""What packets can be inside or outside of: a policy (what it leaves untracked), an entry (what it covers), a set."""


def policies(kinds: Collection[str] = KINDS, max_entries: int | None = None) -> st.SearchStrategy[Policy]:
    """A valid policy.

    Args:
        kinds: of its entries, by their keys: `overlay`, `host-service`, `host-client`, `forward`, `ports`, `match`.
        max_entries: bypass and track together. If not said, some have a few dozen, or an entry with hundreds of peers.

    Raises:
        ValueError: there is no such kind, or none is given.
    """
    _check_kinds(kinds)
    return policy_documents(kinds, max_entries).map(lambda document: load_text(dump(document)))


def entries(kinds: Collection[str] = KINDS) -> st.SearchStrategy[Entry]:
    """A valid entry, as of `bypass:`.

    Args:
        kinds: by their keys.

    Raises:
        ValueError: there is no such kind, or none is given.
    """
    _check_kinds(kinds)
    return one_entry_documents(kinds).map(lambda document: load_text(dump(document)).bypass[0])


def spaces() -> st.SearchStrategy[PacketSpace]:
    """A set of packets: what an entry covers, unions, intersections and differences of such, nothing, everything."""
    ends = st.sampled_from((PacketSpace.none(), PacketSpace.all()))
    one = st.one_of(entries().map(lambda entry: entries_space([entry])), ends)
    return st.recursive(
        one,
        lambda parts: st.one_of(
            st.builds(lambda left, right: left | right, parts, parts),
            st.builds(lambda left, right: left & right, parts, parts),
            st.builds(lambda left, right: left - right, parts, parts),
        ),
        max_leaves=4,
    )


def packets(**asked: Unpack[Constraints]) -> st.SearchStrategy[Packet]:
    """Any packet that a host can meet and that is as asked: see Constraints.

    Raises:
        ValueError: an argument is no such value, or no packet can be all of this (a port of gre, `lo` on path in).
    """
    return _in_space(space_of(asked))


def packets_inside(what: Packets, **asked: Unpack[Constraints]) -> st.SearchStrategy[Packet]:
    """Packets that a policy leaves untracked, that an entry covers, or that are in a set; and are as asked.

    Raises:
        ValueError: as of `packets`, or none of its packets is as asked.
    """
    return _some_of(_space(what) & space_of(asked), "inside", asked)


def packets_outside(what: Packets, **asked: Unpack[Constraints]) -> st.SearchStrategy[Packet]:
    """Packets that a policy tracks, that an entry does not cover, or that are not in a set; and are as asked.

    Raises:
        ValueError: as of `packets`, or all packets that are as asked are inside.
    """
    return _some_of(space_of(asked) - _space(what), "outside", asked)


def packets_near(policy: Policy, path: Path | str | None = None) -> st.SearchStrategy[Packet]:
    """Packets on, just inside and just outside of what a policy names.

    Args:
        policy: its entries, groups and ranges say where.
        path: `in`, `forward` or `out`; any if not said.

    Raises:
        ValueError: there is no such path.
    """
    if path is None:
        return st.randoms(use_true_random=False).map(lambda random: boundary_packets(policy, random, 1)[0])
    wanted = Path(path)

    def near(seed: int) -> Packet:
        return boundary_packets(policy, Random(seed), 1, lambda packet: packet.path is wanted)[0]  # noqa: S311

    # By a seed: what Hypothesis chooses for a Random is the first of everything at the end, for ever on one path.
    return st.integers(0, 2**32 - 1).map(near)


def reverse_of(packet: Packet) -> Packet:
    """The packet that answers this one, on the path that the answer takes."""
    return packet.reverse()


def entry_named(policy: Policy, name: str) -> Entry:
    """An entry of a policy.

    Raises:
        LookupError: it has none of this name.
    """
    for entry in policy.entries():
        if entry.name == name:
            return entry
    raise LookupError(f"{policy.name} has no entry `{name}`, only {', '.join(e.name for e in policy.entries())}")


def _check_kinds(kinds: Collection[str]) -> None:
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not kinds or isinstance(kinds, str):
        raise ValueError(f"kinds are some of {', '.join(KINDS)}, not {', '.join(unknown) or 'none'}")


def _space(what: Packets) -> PacketSpace:
    return what if isinstance(what, PacketSpace) else _space_of_policy_or_entry(what)


@lru_cache(maxsize=8)
def _space_of_policy_or_entry(what: Policy | Entry) -> PacketSpace:
    """Kept for a few: a test draws from the same policy for each of its examples."""
    return bypass_space(what) if isinstance(what, Policy) else entries_space([what])


def _some_of(space: PacketSpace, where: str, asked: Constraints) -> st.SearchStrategy[Packet]:
    if space.witness() is None:
        raise ValueError(f"no packet is {where} of it: {in_words(asked)}")
    return _in_space(space)


@lru_cache(maxsize=8)
def _in_space(space: PacketSpace) -> st.SearchStrategy[Packet]:
    walks = Walks(space)
    return _walked(walks)


@st.composite
def _walked(draw: st.DrawFn, walks: Walks) -> Packet:
    return walks.packet(draw)
