"""A host in memory, on which policies are planned and applied without privilege, by the code that does it on real ones.

    host = FakeHost()
    host.load(Path("worker.json").read_text())     # what `nft -j list ruleset` printed: other people's rules
    host.apply(policy)
    assert host.untracked(parse_packet("in udp 192.168.7.72:40000 -> 192.168.7.71:4789"))

Behind it is the fake of nf_tables, which takes what ctpolicy sends and refuses what the kernel refuses of that. What a
packet meets is told from the rules that are there, ours and others', and not from the policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from ctpolicy.apply.commit import commit_plan
from ctpolicy.errors import InputError
from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.host import NftablesHost
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_text import table_lines
from ctpolicy.nftables.ruleset import Table
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.plan.live import Live
from ctpolicy.plan.plan import Plan, plan_policy, plan_removal
from ctpolicy.testing.fake_nftables import FakeLibnftables

Json = dict[str, Any]

_ORDER: Final = ("table", "set", "map", "chain", "element", "rule")
"""What comes later may name what comes before."""


class FakeHost:
    """A host with nf_tables and nothing else; at first it has no rules.

    `kernel` is its door, of which any call can be made to fail: see FailingDoor.
    """

    def __init__(self) -> None:
        self.kernel = FakeLibnftables()
        self._host = NftablesHost(self.kernel)
        self._known: tuple[str, Untracked] | None = None

    def plan(self, policy: Policy) -> Plan[Table]:
        """What applying a policy would change here.

        Raises:
            HostError: a table of our name is there that is not ours.
        """
        return plan_policy(NFTABLES, policy, self.read(), lambda: self._live().foreign(NFTABLES))

    def apply(self, policy: Policy) -> Plan[Table]:
        """Make a policy the live one, and read back whether it is; what was done. Raises as `ctpolicy apply` does."""
        plan = self.plan(policy)
        commit_plan(plan, self._host)
        return plan

    def remove(self) -> Plan[Table]:
        """Remove everything of ours; what was done. Raises as `ctpolicy remove` does."""
        plan = plan_removal(NFTABLES, self.read())
        commit_plan(plan, self._host)
        return plan

    def load(self, listing: str) -> None:
        """Add other people's rules.

        Args:
            listing: what `nft -j list ruleset` printed, on whatever host.

        Raises:
            InputError: it is no such listing.
            RefusedError: the kernel would not take it.
            ValueError: it has what the fake does not know, such as objects other than tables, chains, sets, maps and
                rules.
        """
        read_text(listing)  # tells what is no listing
        self.kernel.commit({"nftables": [{"add": one} for one in _in_order(json.loads(listing)["nftables"])]})

    def read(self) -> Table | None:
        """Our table as it is now; None if there is none."""
        return self._host.read()

    def ruleset(self) -> str:
        """All tables as text, much as `nft list ruleset` prints them."""
        return "".join(f"{line}\n" for table in self._live().tables for line in table_lines(table))

    def untracked(self, packet: Packet) -> bool:
        """Whether a packet stays untracked here.

        Raises:
            InputError: that hangs on something that others' rules ask and ctpolicy does not model.
        """
        untracked = self._untracked()
        if packet in untracked.possibly and packet not in untracked.certainly:
            raise InputError(
                f"Whether {packet} is untracked hangs on what others' rules ask that ctpolicy cannot tell."
            )
        return packet in untracked.certainly

    def space(self) -> PacketSpace:
        """The packets that stay untracked here, whatever others' rules ask that ctpolicy does not model."""
        return self._untracked().certainly

    def _live(self) -> Live:
        return Live(read_text(self.kernel.undisturbed().listing()))

    def _untracked(self) -> Untracked:
        listing = self.kernel.undisturbed().listing()
        if self._known is None or self._known[0] != listing:
            self._known = listing, Live(read_text(listing)).untracked()
        return self._known[1]


def _in_order(listed: list[Json]) -> Iterator[Json]:
    """A listing's objects so that each can be added: sets before chains, chains before the elements that lead there."""
    parts: dict[str, list[Json]] = {kind: [] for kind in _ORDER}
    for one in listed:
        ((kind, body),) = one.items()
        if kind == "metainfo":
            continue
        if kind not in parts:
            raise ValueError(f"this fake of nf_tables does not know what a {kind} is")
        if body.get("elem"):
            parts["element"].append({key: body[key] for key in ("family", "table", "name", "elem")})
        parts[kind].append({key: value for key, value in body.items() if key not in {"handle", "elem"}})
    yield from ({kind: body} for kind in _ORDER for body in parts[kind])
