"""A Hypothesis strategy for policies as people write them, over the whole language.

Every document is a valid policy; whatever protected traffic it bypasses, it acknowledges.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Any, Final

import yaml
from hypothesis import strategies as st

from ctpolicy.testing.entry_documents import (
    KINDS,
    WITH_PORTS,
    Document,
    Draw,
    entry_documents,
    group_documents,
    service_lists,
    service_texts,
)

_NAMES: Final = (
    "udp",
    "ct",
    "raw",
    "tcp",
    "accept",
    "map",
    "ip",
    "x",
    "vxlan",
    "a-b",
    "a--b",
    "z" * 40,
    "y" + "-9" * 19,
)
_WHY: Final = "a random policy"


@st.composite
def policy_documents(draw: Draw, kinds: Collection[str] = KINDS, max_entries: int | None = None) -> Document:
    """A valid policy as plain data, with groups and tracks.

    Args:
        draw: Hypothesis gives it.
        kinds: of its entries, by their keys; all six if not said.
        max_entries: bypass and track together; if not said, some policies have a few dozen, or hundreds of peers.
    """
    groups = draw(group_documents())
    most = 12 if max_entries is None else max_entries
    bypass = draw(st.lists(entry_documents(groups, kinds), max_size=min(8, most)))
    track = draw(st.lists(entry_documents(groups, kinds), max_size=min(4, most - len(bypass))))
    if max_entries is None and set(KINDS) <= set(kinds):
        bypass += draw(st.one_of(st.just([]), st.just([]), _crowds(), _ladders(), _long_lists()))
    _name([*bypass, *track], draw(st.permutations(_NAMES)))
    for entry in bypass:
        entry["acknowledge"] = _WHY
    document: Document = {"apiVersion": "ctpolicy/v1", "name": draw(st.sampled_from(_NAMES))}
    if draw(st.booleans()):
        document["description"] = draw(st.text("aé \"'#:{}%", max_size=12)) + "."
    if draw(st.booleans()):
        document["protect"] = draw(service_lists())
    parts = {"groups": groups, "bypass": bypass, "track": track}
    return document | {key: part for key, part in parts.items() if part}


@st.composite
def one_entry_documents(draw: Draw, kinds: Collection[str] = KINDS) -> Document:
    """A valid policy that bypasses one entry."""
    groups = draw(group_documents())
    entry = draw(entry_documents(groups, kinds))
    name, why = draw(st.sampled_from(_NAMES)), _WHY
    document = {"apiVersion": "ctpolicy/v1", "name": "one", "bypass": [entry | {"name": name, "acknowledge": why}]}
    return document | ({"groups": groups} if groups else {})


def dump(document: Document) -> str:
    """A document as the YAML text that ctpolicy reads; it takes no aliases."""
    return yaml.dump(document, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True)


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (PyYAML calls it)
        return True


def _name(entries: list[Document], names: list[str]) -> None:
    for number, entry in enumerate(entries):
        entry["name"] = names[number] if number < len(names) else f"entry-{number}"


@st.composite
def _crowds(draw: Draw) -> list[Document]:
    """Many entries about one port, each with peers of its own, as when tenants share a service."""
    service, step = draw(service_texts()), draw(st.sampled_from((1, 2, 256)))
    first = int(ipaddress.ip_address("10.0.0.0"))
    hosts = [str(ipaddress.ip_address(first + number * step)) for number in range(draw(st.integers(9, 40)))]
    key = draw(st.sampled_from(("host-service", "host-client")))
    return [{key: service, "peers": host} for host in hosts]


@st.composite
def _ladders(draw: Draw) -> list[Document]:
    """Many entries about neighbouring ports of one protocol, that touch or overlap."""
    protocol, width, step = draw(st.sampled_from(WITH_PORTS)), draw(st.integers(0, 30)), draw(st.integers(1, 20))
    ports = range(1000, 1000 + step * draw(st.integers(9, 60)), step)
    return [{"ports": f"{protocol}/{port}-{port + width}"} for port in ports]


@st.composite
def _long_lists(draw: Draw) -> list[Document]:
    """One entry with hundreds of peers, of both families."""
    count, step = draw(st.integers(100, 600)), draw(st.sampled_from((1, 2, 3, 256)))
    firsts = (int(ipaddress.ip_address("10.0.0.0")), int(ipaddress.ip_address("fd00:7::")))
    peers = [str(ipaddress.ip_address(first + number * step)) for first in firsts for number in range(count)]
    return [{"host-service": draw(service_lists()), "peers": peers}]
