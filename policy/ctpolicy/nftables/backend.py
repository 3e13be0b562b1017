"""The nftables backend, as plans know it: `Own` is our table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ctpolicy.errors import HostError
from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.backend import Counted, EntryKey, Names, ObjectChange, Step, Turn, Way
from ctpolicy.netfilter.drift import Drift
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.nftables import evaluate, written
from ctpolicy.nftables.change import difference, is_ours
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.differing import treatments_where_they_differ
from ctpolicy.nftables.drift import drifts
from ctpolicy.nftables.evaluate import Tracer
from ctpolicy.nftables.faults import faults
from ctpolicy.nftables.first_load import after_first_load
from ctpolicy.nftables.objects import changed_objects
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.render_json import Json
from ctpolicy.nftables.render_text import rule_text, table_lines, verdict_text
from ctpolicy.nftables.ruleset import Counter, Table
from ctpolicy.nftables.sample import sample
from ctpolicy.nftables.space import ruleset_treatment
from ctpolicy.nftables.transaction import transactions
from ctpolicy.nftables.ways import entry_chains, entry_of_chain, entry_ways
from ctpolicy.packetspace.packet import Packet


class NftablesBackend:
    """See netfilter.backend.Backend."""

    name: Final = "nftables"
    by_hand: Final = (
        f"Look at it with `nft list table {TABLE_FAMILY} {TABLE_NAME}`. To start again: `nft delete table "
        f"{TABLE_FAMILY} {TABLE_NAME}`, then apply the policy once more."
    )

    def compile(self, policy: Policy) -> Table:
        """Our table for a policy."""
        return compile_policy(policy)

    def refuse_foreign(self, live: Table | None) -> None:
        """Raise HostError if a table of our name is there that ctpolicy did not make."""
        if live is not None and not is_ours(live):
            raise HostError(
                f"A table {live.family} {live.name} is there that ctpolicy did not make; it is left alone. If nobody "
                f"needs it, remove it with `nft delete table {live.family} {live.name}` and run this again."
            )

    def treatment(self, own: Table | None) -> Treatment:
        """What the table does to packets."""
        return ruleset_treatment(() if own is None else (own,))

    def differing(self, live: Table, desired: Table) -> tuple[Treatment, Treatment]:
        """What each does where they may differ."""
        return treatments_where_they_differ(live, desired)

    def deciding(self, own: Table | None) -> Names:
        """The entry of ours that leaves a packet untracked."""
        if own is None:
            return lambda _: ()
        tracer = Tracer(own)

        def names(packet: Packet) -> tuple[str, ...]:
            way = tracer.trace(packet)
            entry = _entry(way) if way.untracked else None
            return (entry[1],) if entry else ()

        return names

    def marks(self, own: Table | None) -> Mapping[EntryKey, int]:
        """Fingerprints of the ways to each entry's rule."""
        return entry_ways(own) if own else {}

    def objects(self, live: Table | None, desired: Table | None) -> Iterator[ObjectChange]:
        """The objects of the table that change."""
        if desired is not None:
            yield from changed_objects(difference(live, desired))
        elif live is not None:
            name = f"{live.family} {live.name}"
            yield ObjectChange("table", name, Turn.REMOVED, removed=(line.expandtabs(4) for line in table_lines(live)))

    def document(self, live: Table | None, desired: Table | None) -> Json:
        """The transactions, as libnftables JSON: one, or several as steps."""
        match transactions(live, desired):
            case ():
                return {"nftables": []}
            case (only,):
                return only
            case several:
                return {"steps": list(several)}

    def first_load(self, document: Json) -> Table | None:
        """The inverse, where nothing was live."""
        return after_first_load(document)

    def counted(self, own: Table | None) -> Iterator[Counted]:
        """What each entry's chain has counted."""
        if own is None:
            return
        chains = {chain.name: chain for chain in own.chains}
        for (role, name), chain in sorted(entry_chains(own).items()):
            counters = [rule.counter or Counter() for rule in chains[chain].rules]
            yield Counted(name, role, sum(c.packets for c in counters), sum(c.bytes for c in counters))

    def faults(self, own: Table | None) -> Iterator[str]:
        """What is wrong with the live table."""
        return faults(own)

    def drifts(self, live: Table | None, desired: Table | None) -> Iterator[Drift]:
        """What was done to the live table."""
        return drifts(live, desired)

    def way(self, own: Table | None, packet: Packet) -> Way:
        """One packet's way through the table."""
        way = evaluate.trace(own or Table(TABLE_FAMILY, TABLE_NAME), packet)
        return Way(way.untracked, tuple(map(_step, way.steps)), _entry(way))

    def written(self, own: Table) -> str:
        """The table as libnftables JSON."""
        return written.written(own)

    def read_written(self, text: str) -> Table:
        """The inverse."""
        return written.read_written(text)

    def lost(self, own: Table) -> Iterator[str]:
        """What of the table could not be made again."""
        return written.lost(own)

    def restorable(self, own: Table) -> Table:
        """The table without what could not be made again."""
        return written.restorable(own)

    def sample(self, own: Table, most: int) -> Table:
        """The table with few elements."""
        return sample(own, most)


def _entry(way: evaluate.Trace) -> EntryKey | None:
    """The entry in whose chain a packet's way ends."""
    return entry_of_chain(way.steps[-1].chain) if way.steps else None


def _step(step: evaluate.Step) -> Step:
    text = rule_text(step.rule)
    verdict = None if step.verdict is None else verdict_text(step.verdict)
    return Step(step.chain, step.number, text, None if verdict is None or text.endswith(verdict) else verdict)


NFTABLES: Final = NftablesBackend()
