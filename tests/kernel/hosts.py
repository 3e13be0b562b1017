"""Hosts in scratch namespaces, a cable between two of them, and real traffic: sockets that send and answer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Final

from kernel.namespace import Namespace, join, make_namespace

HERE_V4: Final = "10.1.0.1"
THERE_V4: Final = "10.1.0.2"
HERE_V6: Final = "fd00:1::1"
THERE_V6: Final = "fd00:1::2"
_PATIENCE: Final = 5.0

FIREWALL: Final = """
table inet firewall {
  counter untracked { }
  counter new { }
  counter established { }
  counter invalid { }
  counter discovery { }
  chain seen {
    icmpv6 type { 130-136, 143 } ct state untracked counter name discovery return
    ct state untracked counter name untracked
    ct state new counter name new
    ct state established counter name established
    ct state invalid counter name invalid
  }
  chain input { type filter hook input priority 0; jump seen; }
  chain forward { type filter hook forward priority 0; jump seen; }
  chain output { type filter hook output priority 0; jump seen; }
}
"""
"""A stateful ruleset that lets everything by and counts it by state: it makes conntrack active.

What IPv6 says by itself of neighbours and groups, which the kernel never tracks, counts as `discovery` alone.
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two hosts, `here` and `there`, on one cable between their devices `eth0`."""

    here: Namespace
    there: Namespace


@contextmanager
def pair(
    here: Sequence[str] = (f"{HERE_V4}/24", f"{HERE_V6}/64"),
    there: Sequence[str] = (f"{THERE_V4}/24", f"{THERE_V6}/64"),
) -> Iterator[Pair]:
    """A pair of hosts, both with the stateful ruleset, and with these addresses on `eth0`."""
    with make_namespace() as one, make_namespace() as other:
        for host in (one, other):
            set_up(host)
        join(one, other, ("eth0", "eth0"))
        give_addresses(one, "eth0", *here)
        give_addresses(other, "eth0", *there)
        yield Pair(one, other)


@dataclass(frozen=True, slots=True)
class Routed:
    """A client and a server, and a router between them: the client's cable is its `eth1`, the server's its `eth2`."""

    client: Namespace
    router: Namespace
    server: Namespace


@contextmanager
def routed(client: Sequence[str], server: Sequence[str], gateways: Sequence[str]) -> Iterator[Routed]:
    """A routed pair with the stateful ruleset on each host.

    Args:
        client: the client's addresses with their prefixes, on its `eth0`.
        server: likewise the server's.
        gateways: the router's addresses, one in each of those prefixes.
    """
    with make_namespace() as asking, make_namespace() as router, make_namespace() as answering:
        for host in (asking, router, answering):
            set_up(host)
        router.write("ipv4/ip_forward", 1)
        router.write("ipv6/conf/all/forwarding", 1)
        for host, device, addresses in ((asking, "eth1", client), (answering, "eth2", server)):
            join(host, router, ("eth0", device))
            give_addresses(host, "eth0", *addresses)
            for address in addresses:
                network = ip_interface(address).network
                gateway = next(g for g in gateways if ip_address(g) in network)
                give_addresses(router, device, f"{gateway}/{network.prefixlen}")
                host.ip(
                    f"route add {'::/0' if network.version == 6 else '0.0.0.0/0'} via {gateway} metric {len(address)}"
                )
        yield Routed(asking, router, answering)


def set_up(host: Namespace) -> None:
    """Addresses that can be used at once, and the stateful ruleset."""
    for scope in ("all", "default"):
        host.write(f"ipv6/conf/{scope}/accept_dad", 0)
        host.write(f"ipv6/conf/{scope}/accept_ra", 0)
    host.load(FIREWALL)


def give_addresses(host: Namespace, device: str, *addresses: str) -> None:
    """Give a device, whose cable is laid, its addresses, and wait until it carries packets.

    A veth device is operational a little after it was set up: a packet that is sent before is lost. Devices without a
    carrier, such as lo and vxlan, are of unknown state.
    """
    host.ip(*(f"address add {address} dev {device}" for address in addresses), f"link set {device} up")
    deadline = time.monotonic() + _PATIENCE
    while not _carries_packets(host, device):
        assert time.monotonic() < deadline, host.run("ip", "address", "show", "dev", device).stdout
        time.sleep(0.01)


def _carries_packets(host: Namespace, device: str) -> bool:
    (link,) = json.loads(host.run("ip", "-j", "address", "show", "dev", device).stdout)
    return link["operstate"] in {"UP", "UNKNOWN"} and not any(address.get("tentative") for address in link["addr_info"])


def states(host: Namespace) -> dict[str, int]:
    """Packets that the stateful ruleset has seen, by conntrack state."""
    listing = json.loads(host.run("nft", "-j", "list", "counters", "table", "inet", "firewall").stdout)
    return {item["counter"]["name"]: item["counter"]["packets"] for item in listing["nftables"] if "counter" in item}


def udp(client: Namespace, server: Namespace, address: str, port: int, source: str = "", source_port: int = 0) -> None:
    """A request and its answer.

    Args:
        client: who asks.
        server: who answers.
        address: of the server.
        port: likewise.
        source: the client's address; whatever the kernel chooses if empty.
        source_port: likewise.
    """
    with (
        _socket(server, address, socket.SOCK_DGRAM) as answering,
        _socket(client, address, socket.SOCK_DGRAM) as asking,
    ):
        answering.bind((address, port))
        _bind(asking, source, source_port)
        asking.sendto(b"ask", (address, port))
        request, asker = answering.recvfrom(100)
        assert request == b"ask"
        answering.sendto(b"answer", asker)
        assert asking.recvfrom(100)[0] == b"answer"


def tcp(client: Namespace, server: Namespace, address: str, port: int, source: str = "") -> None:
    """A connection: request, answer, and an orderly end. Arguments as for `udp`."""
    with (
        _socket(server, address, socket.SOCK_STREAM) as listening,
        _socket(client, address, socket.SOCK_STREAM) as asking,
    ):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen()
        _bind(asking, source, 0)
        asking.connect((address, port))
        answering, _ = listening.accept()
        with answering:
            answering.settimeout(_PATIENCE)
            asking.sendall(b"ask")
            assert answering.recv(100) == b"ask"
            answering.sendall(b"answer")
            assert asking.recv(100) == b"answer"
            asking.shutdown(socket.SHUT_WR)
            assert answering.recv(100) == b""


def ping(host: Namespace, address: str, count: int = 3) -> None:
    """Echo requests, each answered."""
    host.run("ping", "-q", "-i", "0.05", "-c", str(count), "-W", "3", address)


def _socket(host: Namespace, address: str, kind: socket.SocketKind) -> socket.socket:
    with host.entered():
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    opened.settimeout(_PATIENCE)
    return opened


def _bind(asking: socket.socket, source: str, port: int) -> None:
    if source or port:
        asking.bind((source, port))
