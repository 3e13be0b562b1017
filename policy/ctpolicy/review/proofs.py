"""Proofs that what a policy compiles to leaves untracked exactly the packets that the policy means, every one.

What is proven is what is rendered: the rules are read back from what the kernel's tools would be given, and those are
turned into what they do to every packet (netfilter/treatment.py). Both sides are diagrams, of which there is only one
for each set of packets, so that no packet is left out. A proof is of three things:

1. the rules that are read back are those that were compiled;
2. nothing keeps them from being in force: hooks, priorities, types, policies, jumps, sets that are not there;
3. of what the policy means they leave all untracked, and all the rest they let go on to conntrack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ctpolicy.errors import CtpolicyError, InputError
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.language.policy import ANY_ADDRESS, Entry, Match, Overlay, Policy, addresses_of
from ctpolicy.meaning import decide
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.backend import Backend, Json
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import Table
from ctpolicy.packetspace.box_text import box_text
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace, bounded
from ctpolicy.review.review import Check, Level, Progress, Remark, Result, Subject
from ctpolicy.review.spaces import Spaces

MOST_WORK: Final = 20_000_000
"""For one proof, as `bounded` counts."""

MOST_IN_IPTABLES: Final = 2_500
"""Services, of policies whose rules of iptables are proven: a tree of chains takes 3 to 4 ms for each, so that
10,000 would take half a minute. Without ipset each interval of addresses counts too, because it is rules of its own."""

_REMEDY: Final = "this is a fault of ctpolicy's compiler, not of the policy: do not apply it, and report it"

_MOST_BOXES: Final = 3
"""That tell in words which packets differ."""

Own = TypeVar("Own")

IPTABLES: Final = IptablesBackend(Variant.LEGACY)
IPTABLES_ALONE: Final = IptablesBackend(Variant.LEGACY, with_sets=False)


def prove(policy: Policy, progress: Progress, spaces: Spaces | None = None) -> list[Check]:
    """A proof for each backend. Rules of iptables-nft differ from those of iptables-legacy in the names of ipsets.

    Args:
        policy: that is compiled.
        progress: told what is begun.
        spaces: the policy's, if they are known already.
    """
    meant = spaces.untracked if spaces else _within_bounds(lambda: bypass_space(policy))
    progress("proving the rules of nftables")
    checks = [_proof(policy, NFTABLES, "nftables", meant)]
    for name, backend, size in (
        ("iptables with ipset", IPTABLES, services(policy)),
        ("iptables without ipset", IPTABLES_ALONE, services(policy) + intervals(policy)),
    ):
        progress(f"proving the rules of {name}")
        if size > MOST_IN_IPTABLES:
            checks.append(Check(Subject.PROOFS, name, Result.NOT_ASKED, _too_many(size)))
        else:
            checks.append(_proof(policy, backend, name, meant))
    return checks


def _too_many(size: int) -> str:
    return f"not proven: {size:,} services and lists of addresses, and {MOST_IN_IPTABLES:,} are followed of iptables"


def fits_iptables(policy: Policy) -> bool:
    """Whether the rules of iptables with ipset are small enough to be followed."""
    return services(policy) <= MOST_IN_IPTABLES


def fits_iptables_alone(policy: Policy) -> bool:
    """The same of iptables without ipset."""
    return services(policy) + intervals(policy) <= MOST_IN_IPTABLES


def services(policy: Policy) -> int:
    """How many protocols with ports there are, in all entries, each on its own."""
    return sum(map(_services, policy.entries()))


def _services(entry: Entry) -> int:
    match entry:
        case Overlay():
            return len(entry.tunnel.ports)
        case Match():
            return sum(len(box.source_ports) + len(box.destination_ports) - 1 for box in entry.boxes)
    return sum(len(service.ports) for service in entry.services)


def intervals(policy: Policy) -> int:
    """How many intervals of addresses there are, in all entries."""
    lists = (values for entry in policy.entries() for _, values in addresses_of(entry) if values != ANY_ADDRESS)
    return sum(len(values.ipv4) + len(values.ipv6) for values in lists)


def _within_bounds(find: Callable[[], PacketSpace]) -> PacketSpace | None:
    try:
        with bounded(MOST_WORK):
            return find()
    except TooLargeError:
        return None


def _proof(policy: Policy, backend: Backend[Own], name: str, meant: PacketSpace | None) -> Check:
    """The proof of what a backend compiles; not asked where it has no words for the policy."""
    if meant is None:
        return _given_up(name)
    try:
        own = backend.compile(policy)
    except InputError as error:
        return Check(Subject.PROOFS, name, Result.NOT_ASKED, f"nothing is compiled: {error}")
    return proof_of(policy, backend, own, name, meant)


def proof_of(
    policy: Policy, backend: Backend[Own], own: Own | None, name: str = "", meant: PacketSpace | None = None
) -> Check:
    """The proof of something that was compiled, through its rendered form.

    Args:
        policy: what it was compiled from.
        backend: whose it is.
        own: what was compiled.
        name: of the check; the backend's if it is left out.
        meant: what the policy means, if that is known already.
    """
    try:
        document = backend.document(None, own)
    except (CtpolicyError, ValueError) as error:
        space = bypass_space(policy) if meant is None else meant
        remark = _Proof(policy, backend, name or backend.name, space).error(f"it cannot be rendered: {error}", space)
        return Check(Subject.PROOFS, name or backend.name, Result.BROKEN, "not proven", (remark,))
    return proof_of_rendered(policy, backend, own, document, name, meant)


def proof_of_rendered(
    policy: Policy,
    backend: Backend[Own],
    own: Own | None,
    document: Json,
    name: str = "",
    meant: PacketSpace | None = None,
) -> Check:
    """The proof of what was rendered: `document` is what the kernel's tools are given. Other arguments as above."""
    name = name or backend.name
    try:
        with bounded(MOST_WORK):
            space = bypass_space(policy) if meant is None else meant
            remarks = tuple(_Proof(policy, backend, name, space).remarks(own, document))
    except TooLargeError:
        return _given_up(name)
    if remarks:
        return Check(Subject.PROOFS, name, Result.BROKEN, "not proven", remarks)
    told = f"equal, every packet; {size_of(own)}, read back as rendered"
    if isinstance(own, RawTables) and own.sets:
        told += "; iptables-nft has other names of ipsets"
    return Check(Subject.PROOFS, name, Result.HELD, told)


def size_of(own: object) -> str:
    """What was compiled, in numbers."""
    match own:
        case Table():
            counts = (len(own.chains), sum(len(chain.rules) for chain in own.chains))
            elements = sum(len(one.elements) for one in own.sets) + sum(len(one.elements) for one in own.maps)
        case RawTables():
            chains = [chain for table in own.tables.values() for chain in table.chains]
            counts = (len(chains), sum(len(chain.rules) for chain in chains))
            elements = sum(len(one.values) + len(one.elements) for one in own.sets)
        case _:
            return "no rules"
    return f"{counts[0]:,} chains, {counts[1]:,} rules, {elements:,} elements"


def _given_up(name: str) -> Check:
    remark = Remark(
        "RV012",
        Level.WARNING,
        f"the proof of {name} was given up: too many different packets",
        remedy="give entries fewer addresses of their own, as groups that they share",
    )
    return Check(Subject.PROOFS, name, Result.BROKEN, "given up", (remark,))


@dataclass(frozen=True, slots=True)
class _Proof(Generic[Own]):
    """What is proven, and of whom."""

    policy: Policy
    backend: Backend[Own]
    name: str
    meant: PacketSpace

    def remarks(self, own: Own | None, document: Json) -> Iterator[Remark]:
        """What is wrong; nothing if it is proven."""
        try:
            read = self.backend.first_load(document)
        except (CtpolicyError, ValueError) as error:
            yield self.error(f"what is rendered cannot be read back: {error}", self.meant)
            return
        wrong = list(self._wrong(read))
        if read != own:
            drift = next(iter(self.backend.drifts(read, own)), None)
            about = "" if drift is None else f": {drift.object} ({drift.kind.value})"
            message = f"what is rendered reads back as other rules than were compiled{about}"
            yield self.error(message, PacketSpace.none() if wrong else self.meant)
        yield from wrong

    def _wrong(self, read: Own | None) -> Iterator[Remark]:
        """Packets that the rules treat otherwise than the policy means, and what keeps rules from being in force."""
        treatment = self.backend.treatment(read)
        lost = self.meant - treatment.untracked.certainly
        rest = ~self.meant
        untracked = rest & treatment.untracked.certainly
        others = rest - treatment.tracked - untracked
        if lost:
            yield self.error("packets that the policy bypasses do not stay untracked", lost)
        if untracked:
            yield self.error("packets that the policy does not bypass stay untracked", untracked)
        if others:
            yield self.error("packets that the policy does not bypass are dropped, or may be or stay untracked", others)
        if self.meant:  # of a policy that bypasses nothing, nothing has to be in force
            for fault in self.backend.faults(read):
                yield self.error(f"the rules are not, or not wholly, in force: {fault}", lost or self.meant)

    def error(self, message: str, packets: PacketSpace) -> Remark:
        """A remark about some packets."""
        witness = packets.witness()
        boxes = packets.describe(_MOST_BOXES) if packets else None
        shown = "; ".join(map(box_text, boxes.boxes)) + ("" if boxes.is_complete else "; and more") if boxes else ""
        entry = self._entry(witness)
        about = f" (`{entry}`)" if entry else ""
        text = f"{self.name}: {message}{about}" + (f": {shown}" if shown else "")
        return Remark("RV005", Level.ERROR, text, witness=witness, entry=entry, remedy=_REMEDY)

    def _entry(self, packet: Packet | None) -> str:
        """The entry that decides about a packet; empty if none does."""
        if packet is None:
            return ""
        decision = decide(self.policy, packet)
        return next(iter(decision.tracked_by or decision.bypassed_by), "")
