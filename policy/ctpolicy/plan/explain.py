"""One packet and the packet that answers it: which entries and which rules decide them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Decision, Meaning
from ctpolicy.netfilter.owners import table_title
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.evaluate import Step, Trace, Tracer
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.read import find_table
from ctpolicy.nftables.render_text import rule_text, verdict_text
from ctpolicy.nftables.ruleset import Ruleset, Table
from ctpolicy.nftables.space import packet_outcome
from ctpolicy.packetspace.packet import Packet
from ctpolicy.plan.ways import entry_of_chain


@dataclass(frozen=True, slots=True)
class ForeignBypass:
    """Somebody else's table that leaves the packet untracked too; possibly, if its rules ask what is not modelled."""

    table: str
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """What decides one packet.

    Args:
        packet: itself.
        decision: the policy's; None if only a live table was asked.
        trace: the packet's way through our table.
        foreign: other tables that leave it untracked, whatever ours does.
    """

    packet: Packet
    decision: Decision | None
    trace: Trace
    foreign: tuple[ForeignBypass, ...] = ()

    @property
    def untracked(self) -> bool | None:
        """Whether the packet stays untracked; None if rules ask what ctpolicy does not model."""
        if self.trace.untracked or any(bypass.is_certain for bypass in self.foreign):
            return True
        return None if self.trace.untracked is None or self.foreign else False


def explain_policy(packet: Packet, policy: Policy) -> tuple[Explanation, Explanation]:
    """What a policy and the rules that it compiles to say of a packet, and of its answer."""
    meaning, tracer = Meaning.of(policy), Tracer(compile_policy(policy))
    there, back = (Explanation(p, meaning.decide(p), tracer.trace(p)) for p in (packet, packet.reverse()))
    return there, back


def explain_ruleset(packet: Packet, live: Ruleset) -> tuple[Explanation, Explanation]:
    """What a host's ruleset says of a packet, and of its answer: our table rule by rule, others as a whole."""
    ours = find_table(live, TABLE_FAMILY, TABLE_NAME) or Table(TABLE_FAMILY, TABLE_NAME)
    tracer = Tracer(ours)
    others = [table for table in live if table is not ours]
    there, back = (
        Explanation(p, None, tracer.trace(p), tuple(_foreign(p, others))) for p in (packet, packet.reverse())
    )
    return there, back


def _foreign(packet: Packet, others: Iterable[Table]) -> Iterator[ForeignBypass]:
    """The tables that leave the packet untracked. Only its own way is followed, so no ruleset is too large."""
    for table in others:
        outcome = packet_outcome(table, packet)
        if outcome.is_possibly_untracked:
            yield ForeignBypass(table_title(table.family, table.name), outcome.is_certainly_untracked)


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """The explanation as people read it."""
    yield str(explanation.packet)
    yield f"  {_verdict(explanation)}"
    for step in explanation.trace.steps:
        yield f"    {step.chain} rule {step.number}: {_step(step)}"


def _verdict(explanation: Explanation) -> str:
    word = {True: "untracked", False: "tracked", None: "unknown"}[explanation.untracked]
    decision = explanation.decision
    if decision is None:
        entry = _deciding_entry(explanation.trace)
        others = [f"{'' if other.is_certain else 'possibly '}{other.table}" for other in explanation.foreign]
        return f"{word}: {', '.join(filter(None, [entry, *others])) or 'no entry of ours concerns it'}"
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
        "untracked": explanation.untracked,
        **entries,
        "foreign": [{"table": other.table, "certain": other.is_certain} for other in explanation.foreign],
        "rules": [
            {"chain": step.chain, "number": step.number, "rule": rule_text(step.rule)}
            | ({"verdict": verdict_text(step.verdict)} if step.verdict else {})
            for step in explanation.trace.steps
        ],
    }
