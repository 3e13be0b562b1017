"""Others' rules that decide about packets that ours bypass: which packets those are, the kernel is asked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from random import Random
from typing import Any, Final

import pytest

from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.host import read_raw_tables
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.netfilter.backend import Backend
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_text import text
from ctpolicy.oracle.sendable import can_be_sent
from ctpolicy.oracle.worlds import Oracle, OracleError
from ctpolicy.packetspace.fields import Path
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.plan.live import Live
from ctpolicy.plan.shadowing import shadowed
from kernel.near import packets_near
from kernel.raw_oracle import RawOracle, raw_oracle
from kernel.raw_tables import restore
from policies import policy

pytestmark = pytest.mark.kernel

POLICY: Final = policy("""
groups:
  nodes: [192.168.7.0/24, 10.1.0.0/16]
bypass:
  - {name: metrics, host-service: tcp/9100, peers: nodes}
  - {name: busy, ports: udp/20000-20999}
""")
PACKETS: Final = 2_500


# Rules of somebody else's, and whether they drop; those that begin with -I come before our jump.
BY_IPTABLES: Final = {
    "an accept before ours": (["-I PREROUTING -p udp -m udp --dport 20000:20099 -j ACCEPT"], False),
    "a return before ours": (["-I OUTPUT -d 10.1.2.0/24 -j RETURN"], False),
    "a zone before ours": (["-I PREROUTING -p udp -m udp --sport 20990 -j CT --zone 7"], False),
    "a chain that accepts before ours": (
        [":THEIRS - [0:0]", "-A THEIRS -s 192.168.7.0/25 -j ACCEPT", "-I PREROUTING -p tcp -j THEIRS"],
        False,
    ),
    "a drop before ours": (["-I PREROUTING -p udp -m udp --dport 20000:20099 -j DROP"], True),
    "a drop behind ours": (["-A PREROUTING -p udp -m udp --dport 20000:20099 -j DROP"], True),
    "an accept behind ours": (["-A PREROUTING -p udp -m udp --dport 20000:20099 -j ACCEPT"], False),
    "a notrack and an accept before ours": (
        [
            "-I PREROUTING -p udp -m udp --dport 20000:20099 -j ACCEPT",
            "-I PREROUTING -p udp -m udp --dport 20000:20049 -j CT --notrack",
        ],
        False,
    ),
}
HARMLESS: Final = {"an accept behind ours", "an accept", "later than conntrack"}

BY_NFT: Final = {
    "an earlier drop": ("prerouting", -310, "udp dport 20000-20099 drop", True),
    "a drop at raw": ("prerouting", -300, "ip saddr 192.168.7.0/25 drop", True),
    "a zone": ("prerouting", -250, "udp sport 20990 ct zone set 7", False),
    "an accept": ("prerouting", -310, "udp dport 20000-20099 accept", False),
    "later than conntrack": ("prerouting", -150, "udp dport 20000-20099 drop", False),
}


VARIANTS: Final = [
    pytest.param(Variant.NFT, id="nft"),
    pytest.param(Variant.LEGACY, id="legacy", marks=pytest.mark.soak),
]


@pytest.fixture(scope="module", params=VARIANTS)
def raw(request: pytest.FixtureRequest) -> Iterator[tuple[RawOracle, Variant]]:
    with raw_oracle(request.param) as asked:
        yield asked, request.param


@pytest.mark.parametrize("case", BY_IPTABLES)
def test_shadows_of_iptables(raw: tuple[RawOracle, Variant], case: str) -> None:
    asked, variant = raw
    backend = IptablesBackend(variant)
    lines, drops = BY_IPTABLES[case]
    undone = [line.replace("-I", "-D").replace("-A", "-D") for line in lines if line.startswith("-")]
    undone += ["-X THEIRS"] if ":THEIRS - [0:0]" in lines else []
    asked.load(backend.compile(POLICY))
    try:
        for world in asked.asked.worlds:
            restore(world.namespace, variant, *lines)
        live = Live(raw={variant: read_raw_tables(IptablesTools(asked.asked.home.namespace.path), variant)})
        check(asked.asked, backend, live, case, drops)
    finally:
        for world in asked.asked.worlds:
            restore(world.namespace, variant, *undone)


@pytest.mark.parametrize("case", BY_NFT)
def test_shadows_of_nftables(oracle: Oracle, case: str) -> None:
    hook, priority, rule, drops = BY_NFT[case]
    oracle.load(text(NFTABLES.compile(POLICY)))
    try:
        for world in oracle.worlds:
            world.namespace.load(
                f"table inet theirs {{ chain c {{ type filter hook {hook} priority {priority}; {rule}; }}; }}"
            )
        tables = read_text(oracle.home.namespace.run("nft", "-j", "list", "ruleset").stdout)
        live = Live(tuple(table for table in tables if table.name != "oracle"))
        check(oracle, NFTABLES, live, case, drops)
    finally:
        for world in oracle.worlds:
            world.namespace.run("nft", "delete table inet theirs; delete table inet ctpolicy")


def check(asked: Oracle, backend: Backend[Any], live: Live, case: str, drops: bool) -> None:
    own = live.own(backend)
    ours = backend.treatment(own).untracked.certainly
    shadows = [shadow for shadow in live.shadows(backend) if shadow.possibly]
    assert all(shadow.certainly == shadow.possibly for shadow in shadows)
    shadow = reduce(lambda one, other: one | other.certainly, shadows, PacketSpace.none())
    told = shadowed(backend, own, live)
    assert told is not None
    assert bool(told) is (case not in HARMLESS)
    assert (ours & shadow).witness() is None or told
    witnesses = [drift.witness for drift in told if drift.witness]
    assert all(witness in ours and witness in shadow for witness in witnesses)
    packets = [*packets_near((live.tables, *tables_of(live)), Random(case), PACKETS), *filter(can_be_sent, witnesses)]
    packets = [packet for packet in packets if packet in ours]
    assert len(packets) > 50
    kept = [packet for packet in packets if packet in shadow]
    assert bool(kept) is bool(told)
    passing = [packet for packet in packets if not drops or packet not in shadow]
    wrong = [
        str(packet)
        for packet, is_untracked in zip(passing, asked.untracked(passing), strict=True)
        if is_untracked is (packet in shadow)
    ]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(passing)}", *wrong[:10]])
    if drops:  # of which those at home are asked alone: the oracle tells of one world at a time
        kept = [packet for packet in kept if packet.path is Path.IN]
        with pytest.raises(OracleError, match=rf"^{len(kept)} of {len(kept)} packets were not seen"):
            asked.untracked(kept)


def tables_of(live: Live) -> Iterator[object]:
    for raw in live.raw.values():
        yield from raw.tables.values()
        yield raw.sets
