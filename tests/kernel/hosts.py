"""Hosts in scratch namespaces, a cable between two of them, and real traffic: sockets that send and answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
def pair() -> Iterator[Pair]:
    """A pair of hosts, both with the stateful ruleset."""
    with make_namespace() as here, make_namespace() as there:
        for host in (here, there):
            set_up(host)
        join(here, there, ("eth0", "eth0"))
        give_addresses(here, "eth0", f"{HERE_V4}/24", f"{HERE_V6}/64")
        give_addresses(there, "eth0", f"{THERE_V4}/24", f"{THERE_V6}/64")
        yield Pair(here, there)


def set_up(host: Namespace) -> None:
    """Addresses that can be used at once, and the stateful ruleset."""
    for scope in ("all", "default"):
        host.write(f"ipv6/conf/{scope}/accept_dad", 0)
        host.write(f"ipv6/conf/{scope}/accept_ra", 0)
    host.load(FIREWALL)


def give_addresses(host: Namespace, device: str, *addresses: str) -> None:
    """Give a device its addresses, and bring it up."""
    host.ip(*(f"address add {address} dev {device}" for address in addresses), f"link set {device} up")


def states(host: Namespace) -> dict[str, int]:
    """Packets that the stateful ruleset has seen, by conntrack state."""
    listing = json.loads(host.run("nft", "-j", "list", "counters", "table", "inet", "firewall").stdout)
    return {item["counter"]["name"]: item["counter"]["packets"] for item in listing["nftables"] if "counter" in item}


def udp(client: Namespace, server: Namespace, address: str, port: int, requests: int = 1) -> None:
    """Requests from one socket, and an answer to each."""
    domain = socket.AF_INET6 if ":" in address else socket.AF_INET
    with server.entered():
        answering = socket.socket(domain, socket.SOCK_DGRAM)
    with client.entered():
        asking = socket.socket(domain, socket.SOCK_DGRAM)
    with answering, asking:
        answering.bind((address, port))
        for one in (answering, asking):
            one.settimeout(_PATIENCE)
        for number in range(requests):
            asking.sendto(b"%d?" % number, (address, port))
            request, asker = answering.recvfrom(100)
            answering.sendto(request.replace(b"?", b"!"), asker)
            assert asking.recv(100) == b"%d!" % number


def tcp(client: Namespace, server: Namespace, address: str, port: int) -> None:
    """A connection: request, answer, and an orderly end."""
    domain = socket.AF_INET6 if ":" in address else socket.AF_INET
    with server.entered():
        listening = socket.socket(domain, socket.SOCK_STREAM)
    with client.entered():
        asking = socket.socket(domain, socket.SOCK_STREAM)
    with listening, asking:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in (listening, asking):
            one.settimeout(_PATIENCE)
        listening.bind((address, port))
        listening.listen()
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
