"""The iptables backend, as plans know it: `Own` is our chains, jumps and ipsets, of one variant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ctpolicy.iptables import written
from ctpolicy.iptables.change import difference
from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.drift import drifts
from ctpolicy.iptables.evaluate import Tracer
from ctpolicy.iptables.faults import faults
from ctpolicy.iptables.first_load import after_first_load
from ctpolicy.iptables.objects import TOOLS, changed_objects
from ctpolicy.iptables.own import SOMEBODY_ELSE
from ctpolicy.iptables.render import rule_text
from ctpolicy.iptables.ruleset import RawTable, RawTables, Variant
from ctpolicy.iptables.sample import sample
from ctpolicy.iptables.space import raw_treatment
from ctpolicy.iptables.transaction import steps
from ctpolicy.iptables.ways import entry_marks, role_of
from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.backend import Counted, EntryKey, Json, Names, ObjectChange, Step, Way
from ctpolicy.netfilter.drift import Drift
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.packetspace.packet import Packet


@dataclass(frozen=True, slots=True)
class IptablesBackend:
    """See netfilter.backend.Backend.

    Args:
        variant: of iptables.
        with_sets: whether long lists become ipsets.
    """

    variant: Variant
    with_sets: bool = True

    @property
    def name(self) -> str:
        """As `--backend` takes it."""
        return f"iptables-{self.variant.value}"

    @property
    def by_hand(self) -> str:
        """What people run to look at what is ours and to start again."""
        return (
            f"Look at it with `{self.name}-save -t raw`, `ip6tables-{self.variant.value}-save -t raw` and `ipset "
            f"save`: what is ours begins with CTPOLICY- and ctpolicy-. To start again: `ctpolicy remove --backend "
            f"{self.name}`, then apply the policy once more."
        )

    def compile(self, policy: Policy) -> RawTables | None:
        """Our chains and ipsets for a policy; None if it covers nothing."""
        tables = compile_policy(policy, self.with_sets, self.variant)
        return tables if tables.tables else None

    def refuse_foreign(self, live: RawTables | None) -> None:
        """Nothing to refuse: what begins with our prefixes is ours."""

    def treatment(self, own: RawTables | None) -> Treatment:
        """What our chains do to packets."""
        return raw_treatment(_without_others(own)) if own else Treatment.none()

    def differing(self, live: RawTables, desired: RawTables) -> tuple[Treatment, Treatment]:
        """What each does, all of it."""
        return self.treatment(live), self.treatment(desired)

    def deciding(self, own: RawTables | None) -> Names:
        """The entries whose rules leave a packet untracked."""
        if own is None:
            return lambda _: ()
        tracer = Tracer(_without_others(own))

        def names(packet: Packet) -> tuple[str, ...]:
            rules = (step.rule for step in tracer.trace(packet).steps)
            return tuple(dict.fromkeys(rule.comment or "" for rule in rules if role_of(rule) == "bypass"))

        return names

    def marks(self, own: RawTables | None) -> Mapping[EntryKey, int]:
        """Fingerprints of what each entry's rules are about."""
        return entry_marks(own) if own else {}

    def objects(self, live: RawTables | None, desired: RawTables | None) -> Iterator[ObjectChange]:
        """The chains and ipsets that change."""
        return changed_objects(difference(live, desired), self.variant)

    def document(self, live: RawTables | None, desired: RawTables | None) -> Json:
        """What the tools are given, call by call."""
        return {
            "steps": [
                {"tool": _tool(step.family and TOOLS[step.family], self.variant), "text": step.text}
                for step in steps(difference(live, desired))
            ]
        }

    def first_load(self, document: Json) -> RawTables | None:
        """The inverse, where nothing was live."""
        return after_first_load(document)

    def counted(self, own: RawTables | None) -> Iterator[Counted]:
        """What the rules of each entry have counted. A packet that several entries cover counts for each of them."""
        found: dict[EntryKey, list[int]] = {}
        for table in own.tables.values() if own else ():
            for chain in table.chains:
                for rule in chain.rules:
                    if role := role_of(rule):
                        sums = found.setdefault((role, rule.comment or ""), [0, 0])
                        sums[0] += rule.packets
                        sums[1] += rule.bytes
        for (role, name), (packets, octets) in sorted(found.items()):
            yield Counted(name, role, packets, octets)

    def faults(self, own: RawTables | None) -> Iterator[str]:
        """What is wrong with what is live."""
        return faults(own, self.variant)

    def drifts(self, live: RawTables | None, desired: RawTables | None) -> Iterator[Drift]:
        """What was done to our chains, jumps and ipsets."""
        return drifts(live, desired, self.variant)

    def way(self, own: RawTables | None, packet: Packet) -> Way:
        """One packet's way through our chains."""
        trace = Tracer(_without_others(own or RawTables())).trace(packet)
        found = [Step(step.chain, step.number, rule_text(step.rule, packet.family), None) for step in trace.steps]
        deciding = next((step.rule for step in trace.steps if role_of(step.rule)), None)
        entry = (role_of(deciding) or "", deciding.comment or "") if deciding else None
        return Way(trace.untracked, tuple(found), entry)

    def written(self, own: RawTables) -> str:
        """Our part as the tools save it."""
        return written.written(own, self.variant)

    def read_written(self, text: str) -> RawTables:
        """The inverse."""
        return written.read_written(text, self.variant)

    def lost(self, own: RawTables) -> Iterator[str]:
        """The ipsets that could not be made again."""
        return written.lost(own)

    def restorable(self, own: RawTables) -> RawTables:
        """All of it: a change never takes away what it could not make again, but refuses (change.py)."""
        return own

    def sample(self, own: RawTables, most: int) -> RawTables:
        """Our part with few elements in its ipsets."""
        return sample(own, most)


def _tool(tool: str | None, variant: Variant) -> str:
    return f"{tool}-{variant.value}-restore --noflush --counters" if tool else "ipset restore"


def _without_others(own: RawTables) -> RawTables:
    """Our chains without the places that stand for others' rules."""
    tables = {
        family: RawTable(
            tuple(
                replace(chain, rules=tuple(rule for rule in chain.rules if rule != SOMEBODY_ELSE))
                for chain in table.chains
            )
        )
        for family, table in own.tables.items()
    }
    return replace(own, tables=tables)
