"""One packet and the packet that answers it: which entries and which rules decide them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Decision, Meaning
from ctpolicy.netfilter.backend import Backend, Step, Way
from ctpolicy.netfilter.foreign import PacketBypass
from ctpolicy.packetspace.packet import Packet
from ctpolicy.plan.live import Live

Own = TypeVar("Own")


@dataclass(frozen=True, slots=True)
class Explanation:
    """What decides one packet.

    Args:
        packet: itself.
        decision: the policy's; None if only what is live was asked.
        way: the packet's way through our rules.
        foreign: others' rules that leave it untracked, whatever ours do.
    """

    packet: Packet
    decision: Decision | None
    way: Way
    foreign: tuple[PacketBypass, ...] = ()

    @property
    def untracked(self) -> bool | None:
        """Whether the packet stays untracked; None if rules ask what ctpolicy does not model."""
        if self.way.untracked or any(bypass.is_certain for bypass in self.foreign):
            return True
        return None if self.way.untracked is None or self.foreign else False


def explain_policy(backend: Backend[Own], packet: Packet, policy: Policy) -> tuple[Explanation, Explanation]:
    """What a policy and the rules that it compiles to say of a packet, and of its answer."""
    meaning, own = Meaning.of(policy), backend.compile(policy)
    there, back = (Explanation(p, meaning.decide(p), backend.way(own, p)) for p in (packet, packet.reverse()))
    return there, back


def explain_live(backend: Backend[Own], packet: Packet, live: Live) -> tuple[Explanation, Explanation]:
    """What a host says of a packet, and of its answer: the rules of one backend one by one, others by place."""
    own = live.own(backend)
    there, back = (
        Explanation(p, None, backend.way(own, p), tuple(live.bypasses(backend, p))) for p in (packet, packet.reverse())
    )
    return there, back


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """The explanation as people read it."""
    yield str(explanation.packet)
    yield f"  {_verdict(explanation)}"
    for step in explanation.way.steps:
        yield f"    {step.chain} rule {step.number}: {_step(step)}"


def _verdict(explanation: Explanation) -> str:
    word = {True: "untracked", False: "tracked", None: "unknown"}[explanation.untracked]
    decision = explanation.decision
    if decision is None:
        entry = " ".join(explanation.way.entry or ())
        others = [f"{'' if other.is_certain else 'possibly '}{other.title}" for other in explanation.foreign]
        return f"{word}: {', '.join(filter(None, [entry, *others])) or 'no entry of ours concerns it'}"
    if decision.tracked_by:
        beside = f", which outweighs bypass {', '.join(decision.bypassed_by)}" if decision.bypassed_by else ""
        return f"{word}: track {', '.join(decision.tracked_by)}{beside}"
    if decision.bypassed_by:
        return f"{word}: bypass {', '.join(decision.bypassed_by)}"
    return f"{word}: no entry concerns it"


def _step(step: Step) -> str:
    return step.rule if step.verdict is None else f"{step.rule}: {step.verdict}"


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as one object, by schemas/explain-v1.schema.json."""
    decision = explanation.decision
    entries = {"bypassedBy": list(decision.bypassed_by), "trackedBy": list(decision.tracked_by)} if decision else {}
    return {
        "packet": str(explanation.packet),
        "untracked": explanation.untracked,
        **entries,
        "foreign": [{"place": other.title, "certain": other.is_certain} for other in explanation.foreign],
        "rules": [
            {"chain": step.chain, "number": step.number, "rule": step.rule}
            | ({"verdict": step.verdict} if step.verdict else {})
            for step in explanation.way.steps
        ],
    }
