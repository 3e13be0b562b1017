"""What a packet pays: compiled policies against the one rule, and the long list, that people write by hand.

Measured is the way of a UDP packet from AF_PACKET through a veth pair to a drop at the end of the input hook, on a host
where conntrack is active, as it is wherever somebody wants to bypass it: the raw hook, conntrack, the route, the input
hook. No socket takes the packet, which would cost more again. Packets hit entries all over the policy in turn.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks.measuring import Measurement, least
from benchmarks.sending import BATCH, Sender, best_clock, stay_on_one_processor
from ctpolicy.language.load import load_text
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_text import text
from ctpolicy.oracle.wire import frame
from ctpolicy.packetspace.packet import Packet, parse_packet
from kernel.namespace import Namespace

PORT_LIMIT: Final = 1.3
PREFIX_LIMIT: Final = 1.7
BUSY: Final = 16
"""Peers that send in turn, from all over the list. With all of 100,000 sending alike, the kernel's tree of intervals
falls out of the processor's cache, in a rule by hand just as in ours: that is shown beside it, without a limit."""
ROUNDS: Final = 60
"""Short ones: the least is what was measured while nobody else had the processor."""
_RECEIVER: Final = "02:00:00:00:00:01"
HEADER: Final = "apiVersion: ctpolicy/v1\nname: measured\n"
NOTHING: Final = "no rules: tracked, one established flow"
ONE_RULE: Final = "one hand-written rule with a counter"
_SINK: Final = """
table inet sink {
  chain input {
    type filter hook input priority 300;
    iifname "eth0" ct state { new, established, untracked } counter drop
  }
}
"""
"""It asks for the state, so conntrack is active; and it counts, so a packet that was lost on the way is noticed."""


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """A ruleset, or what installs one, the packets that it is measured with, and how many of them in one run."""

    name: str
    ruleset: str | Callable[[Namespace], None]
    packets: Sequence[Packet]
    limit: float | None = None
    batches: int = 16


def measure_ports() -> list[Measurement]:
    """Policies of many entries, each with a port of its own."""
    lists = [(count, [10_000 + 5 * number for number in range(count)]) for count in (1, 100, 10_000)]
    variants = [
        Variant(NOTHING, "", to_ports([4789])),
        Variant(ONE_RULE, _by_hand(["udp dport 4789"]), to_ports([4789])),
        *(
            Variant(f"policy, {many(count, 'port')}", _entries(ports), to_ports(ports), PORT_LIMIT)
            for count, ports in lists
        ),
        *(
            Variant(f"policy, {many(count, 'port')}, a packet that it does not concern", _entries(ports), to_ports([9]))
            for count, ports in lists
        ),
        *(
            Variant(
                f"linear list, {many(count, 'port')}",
                _by_hand(f"udp dport {port}" for port in ports),
                to_ports(ports),
                batches=1,
            )
            for count, ports in lists[1:]
        ),
    ]
    return measure("a packet, by the number of entries with a port of their own (at its destination)", variants)


def measure_prefixes() -> list[Measurement]:
    """One entry whose peers are many prefixes."""
    lists = [(count, _prefixes(count)) for count in (10, 10_000, 100_000)]
    variants = [
        Variant(NOTHING, "", to_ports([4789])),
        Variant(ONE_RULE, _by_hand(["udp dport 4789"]), to_ports([4789])),
        *(
            Variant(
                f"policy, {many(count, 'prefix')}, {BUSY} busy peers",
                _peers(prefixes),
                _from(prefixes, BUSY),
                PREFIX_LIMIT,
            )
            for count, prefixes in lists
        ),
        *(
            Variant(f"policy, {many(count, 'prefix')}, all peers alike", _peers(prefixes), _from(prefixes))
            for count, prefixes in lists
        ),
        *(
            Variant(
                f"one rule with a set, {many(count, 'prefix')}, all peers alike",
                _by_hand_with_a_set(prefixes),
                _from(prefixes),
            )
            for count, prefixes in lists
        ),
        *(
            Variant(
                f"linear list, {many(count, 'prefix')}",
                _by_hand(f"ip saddr {prefix} udp dport 4789" for prefix in prefixes),
                _from(prefixes),
                batches=1,
            )
            for count, prefixes in lists[:2]
        ),
    ]
    return measure("a packet, by the number of the peers' prefixes (overlay, paths in and out)", variants)


def measure(group: str, variants: Sequence[Variant], rounds: int = ROUNDS) -> list[Measurement]:
    """What a packet costs in each variant, in turn, and its ratio to the one rule by hand."""
    stay_on_one_processor()
    with ExitStack() as stack:
        hosts = {variant: stack.enter_context(Namespace()) for variant in variants}
        senders = {variant: _furnish(namespace, variant) for variant, namespace in hosts.items()}
        clock = best_clock(senders[variants[0]])
        runs = {variant.name: partial(sender.send, variant.batches, clock) for variant, sender in senders.items()}
        costs = least(rounds, runs)
        for variant, sender in senders.items():
            _check_all_arrived(hosts[variant], sender)
    yardstick = costs[ONE_RULE]
    return [Measurement(group, v.name, costs[v.name], "ns", costs[v.name] / yardstick, v.limit) for v in variants]


def _furnish(namespace: Namespace, variant: Variant) -> Sender:
    namespace.ip(
        f"link add eth0 address {_RECEIVER} type veth peer name wire",
        "address add 10.255.255.1/32 dev eth0",
        "link set eth0 up",
        "link set wire up",
    )
    for device in ("all", "eth0"):
        namespace.write(f"ipv4/conf/{device}/rp_filter", 0)
    namespace.load(_SINK)
    if callable(variant.ruleset):
        variant.ruleset(namespace)
    elif variant.ruleset:
        namespace.load(variant.ruleset)
    receiver = bytes.fromhex(_RECEIVER.replace(":", ""))
    return Sender(namespace, "wire", [frame(packet, 1, receiver) for packet in variant.packets])


def _check_all_arrived(namespace: Namespace, sender: Sender) -> None:
    """A packet that was lost on the way cost nothing, and would make its ruleset look good."""
    listing = json.loads(namespace.run("nft", "-j", "list", "table", "inet", "sink").stdout)
    (rule,) = (item["rule"] for item in listing["nftables"] if "rule" in item)
    (counted,) = (part["counter"]["packets"] for part in rule["expr"] if "counter" in part)
    if counted < sender.sent:
        raise RuntimeError(f"{sender.sent - counted} of {sender.sent} packets were lost before the hook")


def _by_hand(matches: Iterable[str], sets: str = "") -> str:
    rules = "\n".join(f"{match} counter notrack" for match in matches)
    return f"""
table ip byhand {{
  {sets}
  chain prerouting {{
    type filter hook prerouting priority -300;
    {rules}
  }}
}}
"""


def _by_hand_with_a_set(prefixes: Sequence[str]) -> str:
    nodes = f"set nodes {{ type ipv4_addr; flags interval; elements = {{ {', '.join(prefixes)} }} }}"
    return _by_hand(["udp dport 4789 ip saddr @nodes"], nodes)


def _entries(ports: Sequence[int]) -> str:
    entries = "".join(f"  - {{name: port-{port}, ports: udp/{port}}}\n" for port in ports)
    return text(compile_policy(load_text(f"{HEADER}bypass:\n{entries}")))


def _peers(prefixes: Sequence[str]) -> str:
    entry = "bypass:\n  - {name: vxlan, overlay: vxlan, peers: nodes}\n"
    return text(compile_policy(load_text(f"{HEADER}groups:\n  nodes: [{', '.join(prefixes)}]\n{entry}")))


def _prefixes(count: int) -> list[str]:
    """Prefixes of /28, none beside another."""
    first = int(ipaddress.ip_address("11.0.0.0"))
    return [f"{ipaddress.ip_address(first + 32 * number)}/28" for number in range(count)]


def _spread(values: Sequence[str]) -> Iterator[str]:
    """As many values as a batch holds, from all over the list, in no order that a cache could learn."""
    for number in range(BATCH):
        yield values[number * 7919 * (len(values) // BATCH + 1) % len(values)]


def to_ports(ports: Sequence[int]) -> list[Packet]:
    """Packets to as many of these ports as a batch holds."""
    spread = _spread([str(port) for port in ports])
    return [parse_packet(f"in udp 11.0.0.1:40000 -> 10.255.255.1:{port}") for port in spread]


def _from(prefixes: Sequence[str], peers: int | None = None) -> list[Packet]:
    """Packets from so many of the prefixes, or from as many as a batch holds."""
    chosen = prefixes[:: max(1, len(prefixes) // peers)] if peers else prefixes
    hosts = (prefix.partition("/")[0] for prefix in _spread(chosen))
    return [parse_packet(f"in udp {host}:40000 -> 10.255.255.1:4789") for host in hosts]


def many(count: int, what: str) -> str:
    """`1,000 ports`."""
    plural = what if count == 1 else f"{what}es" if what.endswith("x") else f"{what}s"
    return f"{count:,} {plural}"
