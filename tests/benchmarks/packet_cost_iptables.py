"""What a packet pays with iptables: compiled policies against the one rule, and the long list, written by hand.

See packet_cost.py for how it is measured. Each entry is a service with a port of its own. A packet that no entry
concerns is also tracked, so it is to be compared with the packet that meets no rules at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from benchmarks.measuring import Measurement
from benchmarks.packet_cost import HEADER, NOTHING, ONE_RULE, Variant, many, measure, to_ports
from ctpolicy.iptables import ruleset
from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.language.load import load_text
from kernel.namespace import Namespace
from kernel.raw_tables import restore

COUNTS: Final = (10, 100, 1_000, 10_000)
CONCERNED_LIMIT: Final = 2.5
"""For 10,000 services. A tree of 10,000 ports is five chains deep, because each service has a rule that counts."""

UNCONCERNED_LIMIT: Final = 1.5
"""With ipsets, however many services there are; what meets no rules, and is tracked as well, takes 1.1."""

_ROUNDS: Final = 30
_WAYS: Final = ((True, "ipset"), (False, "plain rules"))


def measure_iptables_ports() -> list[Measurement]:
    """Policies of many services, by variant and by whether there is ipset."""
    return [row for variant in ruleset.Variant for row in _measure(variant)]


def _measure(variant: ruleset.Variant) -> list[Measurement]:
    lists = [(count, [10_000 + 5 * number for number in range(count)]) for count in COUNTS]
    variants = [
        Variant(NOTHING, "", to_ports([4789])),
        Variant(ONE_RULE, _by_hand(variant, [4789]), to_ports([4789])),
    ]
    for count, ports in lists:
        for with_sets, word in _WAYS:
            installed, name = _entries(variant, tuple(ports), with_sets), f"policy, {word}, {many(count, 'port')}"
            limit = UNCONCERNED_LIMIT if with_sets else None
            variants += [
                Variant(name, installed, to_ports(ports), CONCERNED_LIMIT),
                Variant(f"{name}, a packet that no entry concerns", installed, to_ports([9]), limit),
                Variant(
                    f"{name}, a packet to a port between them", installed, to_ports([ports[count // 2] + 1]), limit
                ),
            ]
        variants.append(
            Variant(f"linear list, {many(count, 'port')}", _by_hand(variant, ports), to_ports(ports), batches=1)
        )
    return measure(f"a packet, iptables-{variant.value}, by the number of services", variants, _ROUNDS)


def _by_hand(variant: ruleset.Variant, ports: Sequence[int]) -> Callable[[Namespace], None]:
    rules = [f"-A PREROUTING -p udp -m udp --dport {port} -j CT --notrack" for port in ports]

    def install(namespace: Namespace) -> None:
        restore(namespace, variant, *rules)

    return install


def _entries(variant: ruleset.Variant, ports: tuple[int, ...], with_sets: bool) -> Callable[[Namespace], None]:
    tables = _compiled(ports, with_sets, variant)

    def install(namespace: Namespace) -> None:
        IptablesHost(IptablesTools(namespace.path), variant).change(None, tables)

    return install


@cache
def _compiled(ports: tuple[int, ...], with_sets: bool, variant: ruleset.Variant) -> ruleset.RawTables:
    entries = "".join(f"  - {{name: port-{port}, host-service: udp/{port}}}\n" for port in ports)
    return compile_policy(load_text(f"{HEADER}bypass:\n{entries}"), with_sets, variant)
