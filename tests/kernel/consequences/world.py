"""The namespaces in which a host is tried, cabled and routed: see `places.py` for the map."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from kernel.consequences.places import OUTSIDE, PATH_MTU, STANDS_IN, Inside, Places
from kernel.namespace import Namespace, make_namespace

_PATIENCE: Final = 5.0
_SETTINGS: Final[dict[str, int | str]] = {
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/icmp_ratelimit": 0,  # errors are what is tried here: each counts
    "ipv6/icmp/ratelimit": 0,
    "ipv4/ping_group_range": "0 2147483647",
    "ipv6/conf/all/accept_dad": 0,
    "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/default/accept_ra": 0,
    "ipv6/conf/default/router_solicitations": 0,
}
_FORWARDING: Final[dict[str, int | str]] = {
    "ipv4/ip_forward": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv4/conf/all/send_redirects": 0,
    "ipv4/conf/default/send_redirects": 0,
}


@dataclass(frozen=True, slots=True)
class World:
    """The namespaces by name, and the addresses in them."""

    namespaces: dict[str, Namespace]
    places: Places

    def __getitem__(self, name: str) -> Namespace:
        """The namespace that has the addresses of this name."""
        return self.namespaces[STANDS_IN.get(name, name)]

    def forget_path_mtus(self) -> None:
        """Make every sender find out anew how much its path takes."""
        for namespace in self.namespaces.values():
            namespace.run("sh", "-c", "ip -4 route flush cache; ip -6 route flush cache")


@contextmanager
def world(inside: Inside, vxlan: str = "") -> Iterator[World]:
    """A world for one host.

    Args:
        inside: the net behind the host.
        vxlan: options for the devices of a VXLAN between client and host, such as `dstport 4789`; none if empty.
    """
    names = ["client", "router", "host", "server", *(["neighbour"] if inside.bridge else [])]
    with ExitStack() as stack:
        made = World({name: stack.enter_context(make_namespace()) for name in names}, Places(inside))
        for name, namespace in made.namespaces.items():
            _set(namespace, _SETTINGS | (_FORWARDING if name in {"router", "host"} else {}))
        _lay_cables(made)
        _give_addresses(made)
        if vxlan:
            _lay_overlay(made, vxlan)
        _wait_for_carriers(made)
        yield made


def _set(namespace: Namespace, settings: Mapping[str, int | str]) -> None:
    for setting, value in settings.items():
        namespace.write(setting, value)


def _lay_cables(made: World) -> None:
    """Lay veth pairs whose two ends differ in index: where these are equal, a carrier is noticed once a second only.

    (The kernel takes a device whose link is its own index for one that stands alone, and its news for not urgent.)
    """
    inside = made.places.inside
    made["router"].ip(
        f"link add eth0 mtu {PATH_MTU} index 10 type veth peer name eth0 mtu 1500 netns {made['client'].path}",
        f"link add eth1 index 11 type veth peer name eth0 netns {made['host'].path}",
    )
    if not inside.bridge:
        made["host"].ip(f"link add {inside.device} index 12 type veth peer name eth0 netns {made['server'].path}")
        return
    made["host"].ip(
        f"link add {inside.device} type bridge forward_delay 0",
        *(
            line
            for index, name in enumerate(("server", "neighbour"), 12)
            for line in (
                f"link add {name}0 index {index} type veth peer name eth0 netns {made[name].path}",
                f"link set {name}0 master {inside.device} up",
            )
        ),
    )


def _give_addresses(made: World) -> None:
    inside = made.places.inside
    first = {"client": ("198.51.100.1", "2001:db8:1::1"), "host": OUTSIDE["router"]}
    first["server"] = first["neighbour"] = inside.addresses["inside"]
    _up(made["client"], "eth0", OUTSIDE["client"], (24, 64), first["client"], more=OUTSIDE["stranger"])
    _up(made["router"], "eth0", first["client"], (24, 64))
    _up(made["router"], "eth1", OUTSIDE["router"], (24, 64), OUTSIDE["host"])
    _up(made["host"], "eth0", OUTSIDE["host"], (24, 64), first["host"])
    _up(made["host"], inside.device, inside.addresses["inside"], inside.lengths)
    for name in ("server", "neighbour"):
        if name in made.namespaces:
            _up(made[name], "eth0", inside.addresses[name], inside.lengths, first[name])


def _up(
    namespace: Namespace,
    device: str,
    addresses: tuple[str, str],
    lengths: tuple[int, int],
    gateways: tuple[str, str] = ("", ""),
    more: tuple[str, ...] = (),
) -> None:
    pairs = list(zip(addresses, lengths, strict=True)) + list(zip(more, lengths, strict=bool(more)))
    namespace.ip(
        *(f"address add {address}/{length} dev {device}" for address, length in pairs),
        f"link set {device} up",
        *(f"route add default via {gateway} dev {device}" for gateway in gateways if gateway),
    )


def _lay_overlay(made: World, options: str) -> None:
    for here, there in (("client", "host"), ("host", "client")):
        remote = OUTSIDE[there][0]
        made[here].ip(f"link add vxlan0 mtu 1450 type vxlan id 7 remote {remote} {options} dev eth0")
        _up(made[here], "vxlan0", OUTSIDE[f"overlay-{here}"], (24, 64))


def _wait_for_carriers(made: World) -> None:
    """A veth device is operational a little after it was set up; a packet that is sent before is lost."""
    deadline = time.monotonic() + _PATIENCE
    for namespace in made.namespaces.values():
        while not all(_carries_packets(link) for link in json.loads(namespace.run("ip", "-j", "address").stdout)):
            assert time.monotonic() < deadline, namespace.run("ip", "address").stdout
            time.sleep(0.005)


def _carries_packets(link: dict[str, object]) -> bool:
    addresses = link["addr_info"]
    assert isinstance(addresses, list)
    return link["operstate"] in {"UP", "UNKNOWN"} and not any(address.get("tentative") for address in addresses)
