"""The rules of kube-proxy for as many services as wanted, in both of its modes, as it writes them.

Each service is TCP port 80 of a virtual address, with a node port and two endpoints that listen on 8080; one in four is
UDP port 53 as well, as a resolver is. Chains and their order are those of kube-proxy 1.29 (iptables) and 1.31 (nft).
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final

from ctpolicy.hazards.rules import HostRules
from ctpolicy.iptables.host_rules import host_rules as rules_of_iptables
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from hazards.listings import ACCEPT, DROP, Expression, Rule, chain, host, jump, match, meta, payload, state, table

NODE: Final = "192.0.2.10"
PODS: Final = ("10.244.0.0", 14)
SERVICES: Final = ("10.96.0.0", 12)
_FIRST_NODE_PORT: Final = 30_000


@dataclass(frozen=True, slots=True)
class Port:
    """One port of one service."""

    name: str
    protocol: str
    address: str
    number: int
    node_port: int | None
    endpoints: tuple[tuple[str, int], ...]

    def chain(self, kind: str, endpoint: str = "") -> str:
        """Its chain in iptables mode: a word and 16 letters of a hash."""
        digest = sha256(f"{self.name}{self.protocol}{endpoint}".encode()).digest()
        return f"KUBE-{kind}-{b32encode(digest).decode()[:16]}"

    def words(self, kind: str) -> str:
        """Its chain in nft mode."""
        return f"{kind}-{self.chain('')[6:14]}-{self.name.replace(':', '/')}"


def ports(services: int) -> Iterator[Port]:
    """The ports of so many services, in no order of addresses, which are all over
    their range."""
    for number in range(services):
        place = number * 7919 % services
        value = place * 48_271 % 1_048_573 + 10
        address = f"10.{96 + (value >> 16)}.{value >> 8 & 255}.{value & 255}"
        pods = tuple(f"10.244.{place // 120}.{place % 120 * 2 + which + 1}" for which in (0, 1))
        web = tuple((pod, 8080) for pod in pods)
        node_port = _FIRST_NODE_PORT + place
        yield Port(f"team-{place % 20}/service-{number}:web", "tcp", address, 80, node_port, web)
        if number % 4 == 0:
            dns = tuple((pod, 5353) for pod in pods)
            yield Port(f"team-{place % 20}/service-{number}:dns", "udp", address, 53, None, dns)


def in_iptables_mode(services: int) -> HostRules:
    """A node with kube-proxy in iptables mode."""
    return rules_of_iptables([(Variant.NFT, Family.IPV4, listing(services))]).rules


def listing(services: int) -> str:
    """What `iptables-save` prints of it."""
    every = list(ports(services))
    chains = [name for port in every for name in _chains(port)]
    named = ["KUBE-EXTERNAL-SERVICES", "KUBE-MARK-MASQ", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-SERVICES"]
    bases = ["PREROUTING ACCEPT", "INPUT ACCEPT", "OUTPUT ACCEPT", "POSTROUTING ACCEPT"]
    head = ["*nat", *(f":{one} [0:0]" for one in bases), *(f":{one} - [0:0]" for one in (*sorted(chains), *named))]
    rules = [*_NAT_RULES, *(rule for port in every for rule in _rules(port)), _NODE_PORTS]
    return "\n".join([*head, *rules, "COMMIT", *_FILTER, ""])


_NAT_RULES: Final = (
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
)
_NODE_PORTS: Final = (
    '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this '
    'chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'
)
_FILTER: Final = (
    "*filter",
    ":INPUT ACCEPT [0:0]",
    ":FORWARD DROP [0:0]",
    ":OUTPUT ACCEPT [0:0]",
    ":KUBE-FIREWALL - [0:0]",
    ":KUBE-FORWARD - [0:0]",
    "-A INPUT -j KUBE-FIREWALL",
    '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
    f"-A FORWARD -s {PODS[0]}/{PODS[1]} -j ACCEPT",
    f"-A FORWARD -d {PODS[0]}/{PODS[1]} -j ACCEPT",
    "-A OUTPUT -j KUBE-FIREWALL",
    '-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" '
    "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
    "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
    "-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
    "-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "COMMIT",
)


def _chains(port: Port) -> Iterator[str]:
    yield port.chain("SVC")
    if port.node_port is not None:
        yield port.chain("EXT")
    for address, _ in port.endpoints:
        yield port.chain("SEP", address)


def _rules(port: Port) -> Iterator[str]:
    service, external, to = port.chain("SVC"), port.chain("EXT"), port.protocol
    comment = f'-m comment --comment "{port.name}'
    asked = f'-d {port.address}/32 -p {to} {comment} cluster IP" -m {to} --dport {port.number}'
    yield f"-A KUBE-SERVICES {asked} -j {service}"
    if port.node_port is not None:
        yield f'-A KUBE-NODEPORTS -p {to} {comment}" -m {to} --dport {port.node_port} -j {external}'
        yield f'-A {external} -m comment --comment "masquerade traffic for {port.name} external" -j KUBE-MARK-MASQ'
        yield f"-A {external} -j {service}"
    yield f"-A {service} ! -s {PODS[0]}/{PODS[1]} {asked} -j KUBE-MARK-MASQ"
    for left, (address, number) in zip(range(len(port.endpoints), 0, -1), port.endpoints, strict=True):
        chance = f" -m statistic --mode random --probability {1 / left:.11f}" if left > 1 else ""
        one = port.chain("SEP", address)
        yield f'-A {service} {comment} -> {address}:{number}"{chance} -j {one}'
        yield f'-A {one} -s {address}/32 {comment}" -j KUBE-MARK-MASQ'
        yield f'-A {one} -p {to} {comment}" -m {to} -j DNAT --to-destination {address}:{number}'


def in_nft_mode(services: int) -> HostRules:
    """A node with kube-proxy in nft mode, and a forward chain that drops."""
    return host(*tables(services))


def tables(services: int) -> list[list[Expression]]:
    """What `nft -j list ruleset` prints of it."""
    every = list(ports(services))
    of_service = [({"concat": [one.address, one.protocol, one.number]}, one.words("service")) for one in every]
    of_node = [
        ({"concat": [one.protocol, one.node_port]}, one.words("external")) for one in every if one.node_port is not None
    ]
    chains: dict[str, Expression] = dict(_FIXED)
    for port in every:
        chains.update(_nft_chains(port))
    kube = table("kube-proxy", chains, "ip")
    of = {"family": "ip", "table": "kube-proxy"}
    address, port_type = "ipv4_addr", ["inet_proto", "inet_service"]
    sets: list[Expression] = [
        {"set": {**of, "name": "cluster-ips", "type": address, "elem": sorted({one.address for one in every})}},
        {"set": {**of, "name": "nodeport-ips", "type": address, "elem": [NODE]}},
        {"map": {**of, "name": "service-ips", "type": [address, *port_type], "map": "verdict", **_leads(of_service)}},
        {"map": {**of, "name": "service-nodeports", "type": port_type, "map": "verdict", **_leads(of_node)}},
        {"map": {**of, "name": "no-endpoint-services", "type": [address, *port_type], "map": "verdict"}},
    ]
    pods = {"prefix": {"addr": PODS[0], "len": PODS[1]}}
    forward = chain(
        [state("established", "related"), ACCEPT],
        [state("invalid"), DROP],
        [match(payload("ip saddr"), pods), ACCEPT],
        [match(payload("ip daddr"), pods), ACCEPT],
        hook="forward",
        policy="drop",
    )
    return [[kube[0], *sets, *kube[1:]], table("filter", {"forward": forward}, "ip")]


def _leads(pairs: Sequence[tuple[Expression, str]]) -> Mapping[str, object]:
    return {"elem": [[key, {"goto": {"target": chain}}] for key, chain in pairs]}


_KEY: Final = [payload("ip daddr"), meta("l4proto"), payload("th dport")]
_MARK: Final = {"mangle": {"key": meta("mark"), "value": {"|": [meta("mark"), 0x4000]}}}
_UNMARK: Final = {"mangle": {"key": meta("mark"), "value": {"^": [meta("mark"), 0x4000]}}}


def _vmap(name: str, *key: Expression) -> Expression:
    return {"vmap": {"key": {"concat": list(key)}, "data": f"@{name}"}}


_checks = partial(chain, kind="filter")
_FIXED: Final = {
    "filter-input": _checks([state("new"), jump("service-endpoints-check")], hook="input", priority=-110),
    "filter-forward": _checks(
        [state("new"), jump("service-endpoints-check")],
        [state("new"), jump("cluster-ips-check")],
        hook="forward",
        priority=-110,
    ),
    "filter-output": _checks([state("new"), jump("service-endpoints-check")], hook="output", priority=-110),
    "filter-output-post-dnat": _checks([state("new"), jump("cluster-ips-check")], hook="output", priority=-90),
    "nat-prerouting": chain([jump("services")], hook="prerouting", priority=-100, kind="nat"),
    "nat-output": chain([jump("services")], hook="output", priority=-100, kind="nat"),
    "nat-postrouting": chain([jump("masquerading")], hook="postrouting", priority=100, kind="nat"),
    "cluster-ips-check": chain(
        [match(payload("ip daddr"), "@cluster-ips"), {"reject": {"type": "icmp", "expr": "port-unreachable"}}],
        [match(payload("ip daddr"), {"prefix": {"addr": SERVICES[0], "len": SERVICES[1]}}), DROP],
    ),
    "mark-for-masquerade": chain([_MARK]),
    "masquerading": chain(
        [match({"&": [meta("mark"), 0x4000]}, 0), {"return": None}],
        [_UNMARK],
        [{"masquerade": {"flags": "fully-random"}}],
    ),
    "service-endpoints-check": chain([_vmap("no-endpoint-services", *_KEY)]),
    "services": chain(
        [_vmap("service-ips", *_KEY)],
        [match(payload("ip daddr"), "@nodeport-ips"), _vmap("service-nodeports", *_KEY[1:])],
    ),
}


def _nft_chains(port: Port) -> Iterator[tuple[str, Expression]]:
    masquerade = jump("mark-for-masquerade")
    if port.node_port is not None:
        yield port.words("external"), chain([masquerade], [jump(port.words("service"), "goto")])
    endpoints = [f"{port.words('endpoint')}__{address}/{number}" for address, number in port.endpoints]
    pods = {"prefix": {"addr": PODS[0], "len": PODS[1]}}
    asked: Rule = [
        match(payload("ip daddr"), port.address),
        match(payload(f"{port.protocol} dport"), port.number),
        match(payload("ip saddr"), pods, "!="),
    ]
    chosen = [[number, jump(name, "goto")] for number, name in enumerate(endpoints)]
    random = {"numgen": {"mode": "random", "mod": len(endpoints), "offset": 0}}
    yield port.words("service"), chain([*asked, masquerade], [{"vmap": {"key": random, "data": {"set": chosen}}}])
    for name, (address, number) in zip(endpoints, port.endpoints, strict=True):
        to = {"dnat": {"addr": address, "port": number}}
        yield (
            name,
            chain([match(payload("ip saddr"), address), masquerade], [match(meta("l4proto"), port.protocol), to]),
        )
