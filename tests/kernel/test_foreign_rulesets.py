"""Rulesets that others write, loaded, read back, and compared with the kernel packet by packet.

What the space calls certainly untracked the kernel leaves untracked, and what the kernel leaves untracked the space
calls possibly untracked. The two differ only where a rule asks for a mark.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path as File
from random import Random
from typing import Any, Final

import pytest

from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.render_text import text
from ctpolicy.nftables.ruleset import Ruleset, Unmodelled
from ctpolicy.nftables.space import ruleset_space
from ctpolicy.packetspace.fields import IPV6_EXTENSION_HEADERS, LOOPBACK, PROTOCOLS_WITH_PORTS, Path
from ctpolicy.packetspace.packet import Address, Packet
from kernel.namespace import Namespace
from kernel.oracle import DEVICES, UNNAMED, Oracle, can_be_sent

pytestmark = pytest.mark.kernel

FILES: Final = sorted((File(__file__).parent.parent / "scenarios" / "foreign").glob("*.nft"))
WITH_MARKS: Final = {"calico"}
PACKETS: Final = 20_000

PROTOCOLS: Final = (1, 6, 6, 6, 17, 17, 17, 17, 47, 58, 132)
INTERFACES: Final = ("", *(device for device in DEVICES if device != UNNAMED))
V4: Final = ("10.0.0.1", "192.0.2.1", "198.51.100.7", "224.0.0.5", "127.0.0.1")
V6: Final = ("fd00::1", "2001:db8::1", "fe80::1", "ff0e::1")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_space_of_a_foreign_ruleset_is_what_the_kernel_does(oracle: Oracle, file: File) -> None:
    for world in oracle.worlds:
        world.namespace.load(file.read_text())
    ruleset = listed(oracle)
    try:
        space = ruleset_space(ruleset)
        packets = packets_near(ruleset, Random(file.stem), PACKETS)
        in_kernel = oracle.untracked(packets)
    finally:
        for world in oracle.worlds:
            world.namespace.load("".join(f"delete table {table.family} {table.name}\n" for table in ruleset))
    wrong = [
        str(packet) for packet, answer in zip(packets, in_kernel, strict=True) if not agrees(space, packet, answer)
    ]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(packets)}", *wrong[:10]])
    certain = sum(packet in space.certainly for packet in packets)
    print(f"{file.stem}: {len(packets)} packets, {sum(in_kernel)} untracked, {certain} of them certainly")
    assert 0.02 < sum(in_kernel) / len(packets) < 0.98
    assert certain
    assert (space.certainly == space.possibly) is (file.stem not in WITH_MARKS)


def agrees(space: Untracked, packet: Packet, untracked: bool) -> bool:
    return untracked if packet in space.certainly else untracked <= (packet in space.possibly)


def listed(oracle: Oracle) -> Ruleset:
    """The ruleset as the kernel lists it, without the oracle's own table."""
    ruleset = read_text(oracle.home.namespace.run("nft", "-j", "list", "ruleset").stdout)
    return tuple(table for table in ruleset if table.name not in {"oracle", "ctpolicy"})


def packets_near(ruleset: Ruleset, random: Random, count: int) -> list[Packet]:
    """Packets whose fields are at the edges of what the rules name, or just beyond."""
    edges = {end + by for interval in intervals(ruleset) for end in interval for by in (-1, 0, 0, 1)} | {40000}
    ports = sorted(edge for edge in edges if 0 <= edge < 1 << 16)
    ends: dict[int, Sequence[Address]] = {
        4: [IPv4Address(edge) for edge in sorted(edges) if 1 << 24 < edge < 1 << 32] + [*map(IPv4Address, V4 * 2)],
        6: [IPv6Address(edge) for edge in sorted(edges) if 1 << 64 < edge < 1 << 128] + [*map(IPv6Address, V6 * 2)],
    }
    found: list[Packet] = []
    while len(found) < count:
        path, protocol, version = random.choice([*Path]), random.choice(PROTOCOLS), random.choice((4, 4, 6))
        source, destination = random.choice(ends[version]), random.choice(ends[version])
        has_ports = protocol in PROTOCOLS_WITH_PORTS
        first, second = (random.choice(ports), random.choice(ports)) if has_ports else (None, None)
        if random.random() < 0.1 and version == 4 and not has_ports:
            protocol = random.choice([number for number in range(256) if number not in PROTOCOLS_WITH_PORTS])
        interface = random.choice((*INTERFACES, LOOPBACK) if path is Path.OUT else INTERFACES)
        if version == 6 and protocol in IPV6_EXTENSION_HEADERS:
            continue
        packet = Packet(path, protocol, source, destination, first, second, interface)
        if can_be_sent(packet):
            found.append(packet)
    return found


def intervals(part: Any) -> Iterator[tuple[int, int]]:
    """Every interval that the rules name."""
    match part:
        case (int(first), int(last)):
            yield first, last
        case tuple():
            for inner in part:
                yield from intervals(inner)
        case _ if is_dataclass(part):
            for field in fields(part):
                yield from intervals(getattr(part, field.name))


REBUILT: Final = [file for file in FILES if file.stem != "web-front-end"]
"""All but the one whose set counts, and comments on elements: that is seen, and not made again."""


@pytest.mark.parametrize("file", REBUILT, ids=lambda file: file.stem)
@pytest.mark.parametrize("form", ["json", "text"])
def test_what_is_read_of_a_foreign_ruleset_is_rendered_the_same(namespace: Namespace, file: File, form: str) -> None:
    namespace.load(file.read_text())
    ruleset = read_text(namespace.run("nft", "-j", "list", "ruleset").stdout)
    for table in ruleset:
        if form == "json":
            namespace.run("nft", "-j", "-f", "-", stdin=json.dumps(load_document(table)))
        elif not any(
            isinstance(part, Unmodelled) for chain in table.chains for rule in chain.rules for part in rule.statements
        ):
            namespace.load(text(table))
    assert read_text(namespace.run("nft", "-j", "list", "ruleset").stdout) == ruleset
