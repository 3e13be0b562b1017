"""Random rulesets of what the walk models, as nftables text, and packets that they tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from random import Random
from typing import Final

from ctpolicy.packetspace.fields import LOOPBACK, PROTOCOLS_WITH_PORTS, Path
from ctpolicy.packetspace.packet import Packet

_HEADERS: Final = (
    *("ip saddr 10.0.0.0/31", "ip daddr { 10.0.0.1, 10.0.1.0/24 }", "ip saddr != 10.0.0.2", "ip6 saddr fd00::/127"),
    *("ip6 daddr != { fd00::1, fd00::8 }", "tcp dport 22", "tcp dport != 22", "udp sport != 53", "udp dport 22-60"),
    *("th dport { 22, 53 }", "meta l4proto tcp", "meta l4proto != udp", "meta l4proto { icmp, gre }"),
    *("ip protocol udp", "meta nfproto ipv6", "ip saddr . tcp dport { 10.0.0.1 . 22, 10.0.0.2 . 53 }"),
    *("ip saddr . ip daddr != { 10.0.0.1 . 10.0.0.2 }", "ip saddr @addresses", "ip daddr != @addresses"),
    "meta l4proto . th sport { tcp . 22, udp . 53 }",
)
"""Questions of which nft takes one a rule: two may contradict each other."""
_MATCHES: Final = (
    *('iifname "eth*"', 'iifname != "eth0"', 'oifname "lo"', 'oifname != "bond0"', 'iifname { "eth0", "lo" }'),
    *("fib daddr type local", "fib daddr type != local", "fib daddr type { unicast, multicast }"),
    'iifname . oifname { "eth0" . "eth1", "lo" . "lo" }',
)
_OF_CONNTRACK: Final = (
    *("ct state new", "ct state established,related", "ct state { new, untracked }", "ct state != untracked"),
    *("ct state invalid", "ct state != { new, invalid }", "ct state ! new,invalid", "ct state != new,established"),
    *("ct state & (new | untracked) == new", "ct state & (new | invalid) != 0", "ct state untracked"),
    *("ct direction reply", "ct direction != reply", "ct direction original", "ct status seen-reply"),
    *("ct status ! seen-reply,assured", "ct mark != 7", "ct mark 0", "ct status confirmed", "ct status ! confirmed"),
)
_MAPS: Final = (
    "tcp dport vmap {{ 22 : {0}, 53 : {1}, 80-90 : {2} }}",
    "ct state vmap {{ invalid : {0}, new : {1}, untracked : {2} }}",
    "ct state vmap {{ established : {0}, related : {0}, new : {1} }}",
    "meta l4proto . th dport vmap {{ tcp . 22 : {0}, udp . 53 : {1}, udp . 22 : {2} }}",
    'iifname vmap {{ "eth0" : {0}, "lo" : {1}, "bond*" : {2} }}',
    "ip saddr vmap @verdicts",
    "ip daddr vmap {{ 10.0.0.1 : {0}, 10.0.0.2-10.0.0.9 : {1} }}",
    "meta nfproto vmap {{ ipv4 : {0}, ipv6 : {1} }}",
)
_CHAINS: Final = ("one_", "two_", "three_", "four_")
_HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting")
_PRIORITIES: Final = (-300, -150, -10, 0, 50)

_ADDRESSES: Final = ("10.0.0.1", "10.0.0.2", "10.0.1.7", "fd00::1", "fd00::9")
_PORTS: Final = (22, 53, 85, 40000)
_PROTOCOLS: Final = (1, 6, 17, 47)


def random_ruleset(random: Random) -> str:
    """A table `inet walked`."""
    chains = [_chain(random, name, _CHAINS[at + 1 :]) for at, name in enumerate(_CHAINS)]
    for number in range(random.randint(2, 5)):
        hook, priority = random.choice(_HOOKS), random.choice(_PRIORITIES)
        policy = random.choice(("accept", "accept", "drop"))
        header = f"type filter hook {hook} priority {priority}; policy {policy};"
        chains.append(_chain(random, f"base_{number}", _CHAINS, header))
    verdicts = [_verdict(random, _CHAINS[-1:]) for _ in range(2)]
    pairs = f"10.0.0.1 : {verdicts[0]}, 10.0.1.7 : {verdicts[1]}"
    sets = (
        "set addresses { type ipv4_addr; flags interval; elements = { 10.0.0.2, 10.0.1.0/24 } }\n"
        f"map verdicts {{ type ipv4_addr : verdict; elements = {{ {pairs} }} }}"
    )
    # Chains that are led to come first: nft looks names up in the order of the text.
    return "table inet walked {\n" + "\n".join([f"chain {name} {{ }}" for name in _CHAINS] + [sets, *chains]) + "\n}\n"


def _chain(random: Random, name: str, targets: Sequence[str], header: str = "") -> str:
    rules = [_rule(random, targets) for _ in range(random.randint(1, 5))]
    return f"chain {name} {{\n" + "\n".join([header, *rules]) + "\n}"


def _rule(random: Random, targets: Sequence[str]) -> str:
    matches = [random.choice(_MATCHES)] if random.random() < 0.4 else []
    if random.random() < 0.5:
        matches.append(random.choice(_OF_CONNTRACK))
    if random.random() < 0.25:
        # The named map leads to the last chain, which leads nowhere: a loop would be refused.
        lookup = random.choice(_MAPS).format(*(_verdict(random, targets) for _ in range(3)))
        if "@verdicts" not in lookup or targets:
            return " ".join([*matches, lookup])
    if random.random() < 0.5:
        matches.append(random.choice(_HEADERS))
    does = random.choice(("counter", "meta mark set 1", *(_verdict(random, targets) for _ in range(6))))
    return " ".join([*matches, does])


def _verdict(random: Random, targets: Sequence[str]) -> str:
    verdicts = ["accept", "drop", "return", "continue"]
    verdicts += [f"{word} {target}" for target in targets for word in ("jump", "goto")]
    return random.choice(verdicts)


def random_packets(random: Random, count: int, protocols: Sequence[int] = _PROTOCOLS) -> list[Packet]:
    """Packets that these rules tell apart, on every path; no two of one flow."""
    found: dict[tuple[object, ...], Packet] = {}
    for _ in range(count):
        path = random.choice(list(Path))
        source = ip_address(random.choice(_ADDRESSES))
        destination = ip_address(random.choice([one for one in _ADDRESSES if (":" in one) is (source.version == 6)]))
        protocol = random.choice(protocols)
        ports = [random.choice(_PORTS) if protocol in PROTOCOLS_WITH_PORTS else None for _ in range(2)]
        interfaces = ("eth0", "eth1", "bond0") + ((LOOPBACK,) * 3 if path is Path.OUT else ())
        interface = random.choice(interfaces)
        packet = Packet(path, protocol, source, destination, ports[0], ports[1], interface)
        ends = frozenset({(source, ports[0]), (destination, ports[1])})
        if len(ends) == 2:  # what has one end alone is its own answer
            found.setdefault((path is Path.IN or interface == LOOPBACK, protocol, ends), packet)
    return list(found.values())
