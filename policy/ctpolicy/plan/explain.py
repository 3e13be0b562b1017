"""One packet and the packet that answers it: which entries and which rules decide them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Decision, Meaning
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.evaluate import Step, Trace, Tracer
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.render_text import rule_text, verdict_text
from ctpolicy.nftables.ruleset import Table
from ctpolicy.packetspace.packet import Packet
from ctpolicy.plan.ways import entry_of_chain


@dataclass(frozen=True, slots=True)
class Explanation:
    """What decides one packet.

    Args:
        packet: itself.
        decision: the policy's; None if only a live table was asked.
        trace: the packet's way through the table.
    """

    packet: Packet
    decision: Decision | None
    trace: Trace


def explain_policy(packet: Packet, policy: Policy) -> tuple[Explanation, Explanation]:
    """What a policy and the rules that it compiles to say of a packet, and of its answer."""
    meaning, tracer = Meaning.of(policy), Tracer(compile_policy(policy))
    there, back = (Explanation(p, meaning.decide(p), tracer.trace(p)) for p in (packet, packet.reverse()))
    return there, back


def explain_table(packet: Packet, live: Table | None) -> tuple[Explanation, Explanation]:
    """What our live table says of a packet, and of its answer."""
    tracer = Tracer(live or Table(TABLE_FAMILY, TABLE_NAME))
    there, back = (Explanation(p, None, tracer.trace(p)) for p in (packet, packet.reverse()))
    return there, back


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """The explanation as people read it."""
    yield str(explanation.packet)
    yield f"  {_verdict(explanation)}"
    for step in explanation.trace.steps:
        yield f"    {step.chain} rule {step.number}: {_step(step)}"


def _verdict(explanation: Explanation) -> str:
    word = {True: "untracked", False: "tracked", None: "unknown"}[explanation.trace.untracked]
    decision = explanation.decision
    if decision is None:
        entry = _deciding_entry(explanation.trace)
        return f"{word}: {entry}" if entry else f"{word}: no entry of ours concerns it"
    if decision.tracked_by:
        beside = f", which outweighs bypass {', '.join(decision.bypassed_by)}" if decision.bypassed_by else ""
        return f"{word}: track {', '.join(decision.tracked_by)}{beside}"
    if decision.bypassed_by:
        return f"{word}: bypass {', '.join(decision.bypassed_by)}"
    return f"{word}: no entry concerns it"


def _deciding_entry(way: Trace) -> str | None:
    if not way.steps:
        return None
    entry = entry_of_chain(way.steps[-1].chain)
    return " ".join(entry) if entry else None


def _step(step: Step) -> str:
    text = rule_text(step.rule)
    if step.verdict is None or text.endswith(verdict_text(step.verdict)):
        return text
    return f"{text}: {verdict_text(step.verdict)}"


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as one object, by schemas/explain-v1.schema.json."""
    decision = explanation.decision
    entries = {"bypassedBy": list(decision.bypassed_by), "trackedBy": list(decision.tracked_by)} if decision else {}
    return {
        "packet": str(explanation.packet),
        "untracked": explanation.trace.untracked,
        **entries,
        "rules": [
            {"chain": step.chain, "number": step.number, "rule": rule_text(step.rule)}
            | ({"verdict": verdict_text(step.verdict)} if step.verdict else {})
            for step in explanation.trace.steps
        ],
    }
