"""The kernel's own word: compiled rules are loaded in scratch namespaces, and it is asked about packets.

Proofs rest on what ctpolicy knows of the kernel. Here the kernel is asked: whether it takes the rules, whether it lists
them as they were sent, and what it does with packets near the policy's boundaries. The host's own ruleset is neither
read nor changed (oracle/asking.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from ctpolicy.boundaries import boundary_source
from ctpolicy.errors import InputError
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.language.policy import Policy
from ctpolicy.meaning import decide
from ctpolicy.meaning_space import bypass_space
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.render_text import text
from ctpolicy.nftables.ruleset import Table
from ctpolicy.oracle.asking import Answer, Answers, IptablesQuestion, NftablesQuestion, NotAsked, Question, Refused, ask
from ctpolicy.oracle.sendable import can_be_sent, devices_for
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace, bounded
from ctpolicy.review.proofs import MOST_IN_IPTABLES, MOST_WORK, fits_iptables, services, size_of
from ctpolicy.review.review import Check, Level, Progress, Remark, Result, Subject
from ctpolicy.review.spaces import Spaces

MOST_PACKETS: Final = 20_000
"""About which the kernel is asked at once."""

_TRIES: Final = 4
"""Packets that are made for each one that is asked about: not all can be sent."""

Ask = Callable[[Question], Answer]


def _nobody_waits(_: str) -> None:
    """For who does not look on."""


def ask_kernel(
    policy: Policy,
    packets: int,
    progress: Progress = _nobody_waits,
    ask: Ask = ask,
    spaces: Spaces | None = None,
) -> list[Check]:
    """What the kernel says of the compiled rules, by backend.

    Args:
        policy: whose rules.
        packets: how many it is asked about.
        progress: told what is begun.
        ask: the door to the kernel.
        spaces: the policy's, if they are known already.
    """
    try:
        with bounded(MOST_WORK):
            space = spaces.untracked if spaces else bypass_space(policy)
    except TooLargeError:
        remark = Remark("RV012", Level.WARNING, "the kernel was not asked: the policy has too many different packets")
        return [Check(Subject.KERNEL, "nftables", Result.BROKEN, "given up", (remark,))]
    shown, devices = packets_to_show(policy, min(packets, MOST_PACKETS))
    progress("asking the kernel about the rules of nftables")
    table = NFTABLES.compile(policy)
    question = NftablesQuestion(text(table), json.dumps(load_document(table)), shown, devices)
    checks = [check_of("nftables", policy, space, table, shown, ask(question))]
    for variant in Variant:
        progress(f"asking the kernel about the rules of iptables-{variant.value}")
        checks.append(_of_iptables(policy, space, variant, shown, devices, ask))
    return checks


def packets_to_show(policy: Policy, count: int) -> tuple[list[Packet], tuple[str, ...]]:
    """Packets near the policy's boundaries that can be sent, the same each time, and the devices that they need."""
    source, random = boundary_source(policy), Random(0)  # noqa: S311
    made = [source(random) for _ in range(_TRIES * count)]
    devices = devices_for(packet.interface for packet in made)
    return [packet for packet in made if can_be_sent(packet, devices)][:count], devices


def _of_iptables(
    policy: Policy, space: PacketSpace, variant: Variant, shown: Sequence[Packet], devices: tuple[str, ...], ask: Ask
) -> Check:
    backend = IptablesBackend(variant)
    if not fits_iptables(policy):
        told = f"{services(policy):,} services, and {MOST_IN_IPTABLES:,} are asked about by iptables"
        return Check(Subject.KERNEL, backend.name, Result.NOT_ASKED, told)
    try:
        tables = backend.compile(policy)
    except InputError as error:
        return Check(Subject.KERNEL, backend.name, Result.NOT_ASKED, f"nothing is compiled: {error}")
    question = IptablesQuestion(variant, tables or RawTables(), shown, devices)
    return check_of(backend.name, policy, space, tables, shown, ask(question))


def check_of(
    name: str,
    policy: Policy,
    space: PacketSpace,
    sent: Table | RawTables | None,
    shown: Sequence[Packet],
    answer: Answer,
) -> Check:
    """What came of asking.

    Args:
        name: of the backend.
        policy: whose rules it was asked about.
        space: what the policy means.
        sent: the rules.
        shown: the packets.
        answer: the kernel's.
    """
    match answer:
        case NotAsked(reason):
            return Check(Subject.KERNEL, name, Result.NOT_ASKED, reason)
        case Refused(reason):
            remark = Remark("RV007", Level.ERROR, f"the kernel refuses the rules of {name}: {reason}", remedy=_REMEDY)
            return Check(Subject.KERNEL, name, Result.BROKEN, "refused", (remark,))
        case Answers(listed, untracked):
            remarks = [*_not_as_sent(name, sent, listed), *_otherwise(name, policy, space, shown, untracked)]
            count = sum(untracked)
            told = f"{len(shown):,} packets, {count:,} untracked and {len(shown) - count:,} tracked; {size_of(sent)}"
            result = Result.BROKEN if remarks else Result.HELD
            return Check(Subject.KERNEL, name, result, told, tuple(remarks))


_REMEDY: Final = "do not apply the policy on such a kernel, and report this with the versions of kernel and tools"
_MOST_SHOWN: Final = 3


def _not_as_sent(name: str, sent: Table | RawTables | None, listed: tuple[str, ...] | RawTables | None) -> list[Remark]:
    if isinstance(listed, tuple):
        is_as_sent = all(read_text(listing) == (sent,) for listing in listed)
    else:
        is_as_sent = listed == sent
    if is_as_sent:
        return []
    return [
        Remark(
            "RV007", Level.ERROR, f"the kernel lists the rules of {name} otherwise than they were sent", remedy=_REMEDY
        )
    ]


def _otherwise(
    name: str, policy: Policy, space: PacketSpace, shown: Sequence[Packet], untracked: Sequence[bool]
) -> list[Remark]:
    """Packets that the kernel treats otherwise than the policy means: the first few."""
    wrong = [(packet, found) for packet, found in zip(shown, untracked, strict=True) if found is not (packet in space)]
    remarks = []
    for packet, found in wrong[:_MOST_SHOWN]:
        decision = decide(policy, packet)
        entry = next(iter(decision.tracked_by or decision.bypassed_by), "")
        said = "leaves untracked what the policy tracks" if found else "tracks what the policy bypasses"
        message = f"by the rules of {name} the kernel {said}: {len(wrong):,} of {len(shown):,} packets"
        remarks.append(Remark("RV007", Level.ERROR, message, remedy=_REMEDY, witness=packet, entry=entry))
    return remarks
