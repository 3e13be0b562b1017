"""Entries as people write them, and groups for them: what `documents` makes policies of.

Values come from small pools, so that entries often overlap, nest, touch and share a port: that is where a compiler
goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from hypothesis import strategies as st

from ctpolicy.language.presets import PRESETS
from ctpolicy.packetspace.fields import LOOPBACK, Family, Path

Document = dict[str, Any]
"""A policy, or a part of one, as YAML has it."""

Draw = Callable[[st.SearchStrategy[Any]], Any]

KINDS: Final = ("overlay", "host-service", "host-client", "forward", "ports", "match")
"""The kinds of entries, by the key that makes an entry one of them."""

INTERFACES: Final = ("eth0", "eth1", "eth10", "bond0", "bond1", "ens192")
"""The names that policies name, and that packets come and go by."""

_PATTERNS: Final = (*INTERFACES, LOOPBACK, "eth*", "eth1*", "bond*", "e*", "absent0")
_V4: Final = (
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.0.1.0/24",
    "10.0.0.0/25",
    "10.0.0.128/25",
    "10.0.0.64-10.0.0.191",
    "10.0.0.7",
    "10.0.0.8",
    "10.0.0.6-10.0.0.9",
    "10.0.0.255-10.0.1.0",
    "192.168.7.0/24",
    "192.168.7.71",
    "172.30.0.0/16",
    "127.0.0.0/8",
    "224.0.0.0/4",
    "255.255.255.255",
    "0.0.0.0/1",
    "128.0.0.0/1",
)
_V6: Final = (
    "fd00::/8",
    "fd00:7::/64",
    "fd00:7:0:1::/64",
    "fd00:7::/65",
    "fd00:7::8000:0:0:0-fd00:7::ffff:0:0:0",
    "fd00:7::7",
    "fd00:7::8",
    "fd00:7::6-fd00:7::9",
    "2001:db8::/32",
    "2001:db8::a00:1",
    "::1",
    "fe80::/10",
    "ff00::/8",
    "ff02::1",
    "::/1",
    "8000::/1",
)
_PORTS: Final = (
    "22", "53", "123", "443", "2152", "4788", "4789", "4790", "6081", "8472", "9100", "51820", "0", "65535",
    "50-60", "53-53", "4780-4800", "4789-4790", "1-1023", "0-1023", "1024-65535", "9000-9200", "9100-9300", "0-65535",
)  # fmt: skip
WITH_PORTS: Final = ("tcp", "udp", "sctp", "dccp", "udplite")
_NAMED_WITHOUT_PORTS: Final = ("icmp", "icmpv6", "gre", "esp", "ipip", "vrrp")
_WITHOUT_PORTS: Final = (*_NAMED_WITHOUT_PORTS, "89", "200", "255")
_PATHS: Final = tuple(path.value for path in Path)
_FAMILIES: Final = tuple(family.value for family in Family)


def _some(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    """One value, or a list of a few."""
    return st.one_of(strategy, st.lists(strategy, min_size=1, max_size=most, unique=True))


@st.composite
def group_documents(draw: Draw) -> Document:
    """The `groups:` of a policy; often none."""
    found: Document = {}
    if draw(st.booleans()):
        found["nodes-v4"] = draw(st.lists(st.sampled_from(_V4), min_size=1, max_size=5, unique=True))
        found["nodes-v6"] = draw(st.lists(st.sampled_from(_V6), min_size=1, max_size=5, unique=True))
        found["nodes"] = [
            *found["nodes-v4"],
            *draw(st.lists(st.sampled_from(_V6), min_size=1, max_size=3, unique=True)),
        ]
        found["services"] = draw(st.lists(service_texts(), min_size=1, max_size=4, unique=True))
        found["uplinks"] = draw(st.lists(st.sampled_from(_PATTERNS[:6]), min_size=1, max_size=3, unique=True))
    return found


def _ports() -> st.SearchStrategy[str]:
    wide = st.tuples(st.integers(0, 65535), st.integers(0, 2000))
    return st.one_of(
        st.sampled_from(_PORTS),
        st.sampled_from(_PORTS),
        wide.map(lambda pair: f"{pair[0]}-{min(pair[0] + pair[1], 65535)}"),
    )


def service_texts() -> st.SearchStrategy[str]:
    """A protocol with ports, or one without any."""
    with_ports = st.tuples(st.sampled_from(WITH_PORTS), _ports()).map("/".join)
    return st.one_of(with_ports, with_ports, with_ports, st.sampled_from(_NAMED_WITHOUT_PORTS))


def service_lists(groups: Mapping[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """One such, or a few; with groups, their name among them."""
    return _some(st.one_of(service_texts(), st.just("services")) if groups else service_texts())


def _interfaces(groups: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    return st.lists(
        st.sampled_from((*_PATTERNS, *(["uplinks"] if groups else []))), min_size=1, max_size=3, unique=True
    )


def _addresses(groups: Mapping[str, Any], family: str) -> st.SearchStrategy[Any]:
    """Addresses of one family, or of both."""
    if family == "both":
        mixed = st.lists(st.sampled_from(_V4 + _V6), max_size=4, unique=True)
        pair = st.tuples(st.sampled_from(_V4), st.sampled_from(_V6), mixed)
        lists = pair.map(lambda found: list(dict.fromkeys([found[0], found[1], *found[2]])))
        return st.one_of(lists, st.just("nodes")) if groups else lists
    pool = _V4 if family == "ipv4" else _V6
    return _some(st.sampled_from((*pool, *([f"nodes-{'v4' if family == 'ipv4' else 'v6'}"] if groups else []))), 5)


@st.composite
def entry_documents(draw: Draw, groups: Mapping[str, Any], kinds: Collection[str] = KINDS) -> Document:
    """One entry of any of these kinds, without its name. Its addresses all have a family in common."""
    family = draw(st.sampled_from(("both", "both", *_FAMILIES)))
    kind = draw(st.sampled_from([kind for kind in KINDS if kind in kinds]))
    entry: Document = draw(_OF_KIND[kind](groups, family))
    _let_lo_mean_something(entry.get("match", entry))
    if draw(st.integers(0, 2)) == 0:
        entry["families"] = [family] if family != "both" else draw(_subset(_FAMILIES))
    return entry


def _let_lo_mean_something(box: Document) -> None:
    """On `lo` there is nothing but path out, and an entry that covers no packet is a mistake."""
    if box.get("interfaces") == [LOOPBACK] and "out" not in box.get("paths", _PATHS):
        box["interfaces"] = [LOOPBACK, "eth0"]


def _with(entry: st.SearchStrategy[Document], **keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    """An entry with some of these keys."""
    others = st.fixed_dictionaries({}, optional=keys)
    return st.builds(lambda some, more: some | more, entry, others)


def _subset(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=len(values), unique=True)


def _overlay(groups: Mapping[str, Any], family: str) -> st.SearchStrategy[Document]:
    presets = st.sampled_from(sorted(PRESETS))
    movable = st.sampled_from(("vxlan", "geneve", "gtp-u", "wireguard"))
    tunnel = st.one_of(
        presets,
        presets,
        st.builds(lambda preset, port: {"preset": preset, "port": port}, movable, st.integers(0, 65535)),
        st.builds(
            lambda name, port: {"protocol": name, "port": port},
            st.sampled_from(WITH_PORTS),
            st.sampled_from((53, 4789)),
        ),
    )
    return _with(
        st.builds(lambda tunnel: {"overlay": tunnel}, tunnel),
        peers=_addresses(groups, family),
        paths=_subset(_PATHS),
        interfaces=_interfaces(groups),
    )


def _host_service(groups: Mapping[str, Any], family: str) -> st.SearchStrategy[Document]:
    return _with(
        service_lists(groups).map(lambda services: {"host-service": services}),
        peers=_addresses(groups, family),
        local=_addresses(groups, family),
        interfaces=_interfaces(groups),
    )


def _host_client(groups: Mapping[str, Any], family: str) -> st.SearchStrategy[Document]:
    return _with(
        service_lists(groups).map(lambda services: {"host-client": services}),
        peers=_addresses(groups, family),
        local=_addresses(groups, family),
        interfaces=_interfaces(groups),
    )


def _forward(groups: Mapping[str, Any], family: str) -> st.SearchStrategy[Document]:
    return _with(
        service_lists(groups).map(lambda services: {"forward": services}),
        clients=_addresses(groups, family),
        servers=_addresses(groups, family),
    )


def _ports_entry(groups: Mapping[str, Any], _family: str) -> st.SearchStrategy[Document]:
    return _with(
        service_lists(groups).map(lambda services: {"ports": services}),
        paths=st.sampled_from((["in", "out"], ["out", "in"], ["forward"], ["in", "forward", "out"])),
        interfaces=_interfaces(groups),
    )


@st.composite
def _match(draw: Draw, groups: Mapping[str, Any], family: str) -> Document:
    box: Document = draw(st.one_of(_protocol(), _protocol_and_ports(), _ports_of_protocols()))
    ends = draw(st.lists(st.sampled_from(("source", "destination")), max_size=2, unique=True))
    box |= {end: draw(_addresses(groups, family)) for end in ends}
    if not box or draw(st.booleans()):
        box["paths"] = draw(_subset(_PATHS))
    if draw(st.integers(0, 3)) == 0:
        box["interfaces"] = draw(_interfaces(groups))
    if draw(st.booleans()):
        box["both-ways"] = draw(st.booleans())
    return {"match": box}


def _protocol() -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({}, optional={"protocol": st.sampled_from((*WITH_PORTS, *_WITHOUT_PORTS))})


def _protocol_and_ports() -> st.SearchStrategy[Document]:
    ports = _some(_ports().map(lambda port: int(port) if port.isdigit() else port))
    return st.fixed_dictionaries(
        {"protocol": st.sampled_from(WITH_PORTS)}, optional={"source-ports": ports, "destination-ports": ports}
    )


@st.composite
def _ports_of_protocols(draw: Draw) -> Document:
    """Ports with their protocols, of which both ends name the same."""
    protocols = draw(_subset(WITH_PORTS))
    ends = draw(_subset(("source-ports", "destination-ports")))
    return {end: [f"{protocol}/{draw(_ports())}" for protocol in protocols] for end in ends}


_OF_KIND: Final[Mapping[str, Callable[[Mapping[str, Any], str], st.SearchStrategy[Document]]]] = dict(
    zip(KINDS, (_overlay, _host_service, _host_client, _forward, _ports_entry, _match), strict=True)
)
