"""Groups: names for addresses, ports or interfaces. What a group holds says what it is a group of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from ctpolicy.language.addresses import EXPECTED as EXPECTED_ADDRESSES
from ctpolicy.language.addresses import addresses_of, load_list, looks_like_address, parse_addresses
from ctpolicy.language.diagnostics import Related
from ctpolicy.language.mistakes import Mistakes, Placed
from ctpolicy.language.names import is_name, name_mistake
from ctpolicy.language.nodes import Mapping, Node, Scalar, scalars
from ctpolicy.language.policy import Addresses, ProtocolPorts
from ctpolicy.language.ports import looks_like_ports, merged, parse_ports
from ctpolicy.language.source import UnreadableError
from ctpolicy.packetspace.fields import protocol_number
from ctpolicy.packetspace.interfaces import is_interface_pattern


class GroupKind(Enum):
    """What a group holds."""

    ADDRESSES = "addresses"
    PORTS = "ports"
    INTERFACES = "interfaces"


@dataclass(frozen=True, slots=True)
class Group:
    """One group.

    Args:
        key: its name, where it is defined.
        kind: what it holds; None if it has a mistake that has been told.
        addresses: what a group of addresses holds, and so on.
    """

    key: Scalar
    kind: GroupKind | None
    addresses: Addresses | None = None
    ports: tuple[ProtocolPorts, ...] = ()
    interfaces: tuple[str, ...] = ()


@dataclass(slots=True)
class Groups:
    """The groups of all files.

    Args:
        by_name: every group.
        complete: whether every file could be read; if not, a name that is missing may be in one that could not.
    """

    by_name: dict[str, Group] = field(default_factory=dict)
    complete: bool = True

    def find(self, name: str, kind: GroupKind, where: Placed, mistakes: Mistakes, expected: str) -> Group | None:
        """The group of this kind and name; None if there is none, which has then been told."""
        group = self.by_name.get(name)
        if group is None:
            self._tell_missing(name, kind, where, mistakes, expected)
            return None
        if group.kind not in {None, kind}:
            assert group.kind is not None
            message = f"`{name}` is a group of {group.kind.value}, and {kind.value} belong here"
            mistakes.tell(where, message, also=Related(group.key.place, "the group"))
        return group if group.kind is kind else None

    def _tell_missing(self, name: str, kind: GroupKind, where: Placed, mistakes: Mistakes, expected: str) -> None:
        if not self.complete and is_name(name):
            return
        if kind is GroupKind.ADDRESSES and name in {"any", "all"}:
            mistakes.tell(where, f"`{name}` is not an address or a group", "the key left out, for any address")
            return
        suggestion = mistakes.nearest(
            name, (known for known, group in self.by_name.items() if group.kind in {None, kind})
        )
        looked_up = " (names are not looked up)" if kind is GroupKind.ADDRESSES else ""
        neither = f"`{name[:64]}` is neither {kind.value} nor a group's name{looked_up}"
        what = f"there is no group `{name}`" if is_name(name) else neither
        mistakes.tell(where, what, f"{expected}; or a group's name", suggestion)


def define_groups(policies: Iterable[Mapping], mistakes: Mistakes, complete: bool) -> Groups:
    """The groups of all files together; every mistake in them is told."""
    definitions: dict[str, tuple[Scalar, Node]] = {}
    for policy in policies:
        groups = policy.get("groups")
        for name, key, value in groups if isinstance(groups, Mapping) else ():
            if name in definitions:
                first = Related(definitions[name][0].place, "it is here first")
                mistakes.tell(key, f"there are two groups `{name}`", "one group, or two names", also=first)
            elif _name_is_free(key, mistakes):
                definitions[name] = (key, value)
    return Groups({name: _define(*pair, definitions, mistakes) for name, pair in definitions.items()}, complete)


def _name_is_free(key: Scalar, mistakes: Mistakes) -> bool:
    name = str(key.value)
    if mistake := name_mistake(name):
        mistakes.tell(key, mistake.message, mistake.expected, mistake.suggestion)
    elif protocol_number(name) is not None:
        mistakes.tell(key, f"`{name}` is a protocol, so a group cannot be called that", suggestion=f"{name}-group")
    else:
        return True
    return False


def _define(key: Scalar, value: Node, definitions: dict[str, tuple[Scalar, Node]], mistakes: Mistakes) -> Group:
    before = mistakes.count
    if isinstance(value, Mapping):
        group = _from_file(key, value, mistakes)
    else:
        items = scalars(value)
        if not items:
            mistakes.tell(value, f"the group `{key.value}` is empty", "addresses, ports or interfaces")
        group = _from_items(key, [item for item in items if not _nests(item, definitions, mistakes)], mistakes)
    return group if mistakes.count == before else Group(key, None)


def _nests(item: Scalar, definitions: dict[str, tuple[Scalar, Node]], mistakes: Mistakes) -> bool:
    if item.value not in definitions:
        return False
    group = Related(definitions[str(item.value)][0].place, "the group")
    expected = "what that group holds, or a list of both groups where they are used"
    mistakes.tell(item, f"`{item.value}` is a group, and groups do not hold groups", expected, also=group)
    return True


def _from_file(key: Scalar, value: Mapping, mistakes: Mistakes) -> Group:
    file = value.get("file")
    if not isinstance(file, Scalar) or not isinstance(file.value, str) or not file.value:
        return Group(key, None)
    directory = file.source.directory
    if directory is None:
        mistakes.tell(file, "this policy has no directory, so `file` leads nowhere", "the addresses themselves")
        return Group(key, None)
    path = directory / file.value
    try:
        addresses, wrong = load_list(path, directory, file.source.read_list)
    except UnreadableError as error:
        _tell_unreadable(error, file, mistakes)
        return Group(key, None)
    for diagnostic in wrong:
        mistakes.add(diagnostic)
    if not wrong and not addresses.ipv4 and not addresses.ipv6:
        mistakes.tell(file, f"`{file.value}` holds no address", EXPECTED_ADDRESSES + ", one a line")
    return Group(key, GroupKind.ADDRESSES, addresses=addresses)


def _tell_unreadable(error: UnreadableError, file: Scalar, mistakes: Mistakes) -> None:
    if error.diagnostic.line:
        mistakes.add(error.diagnostic)
    else:
        expected = error.diagnostic.expected or "a file in the policy's directory or below it, relative to it"
        mistakes.tell(file, f"`{file.value}` {error.diagnostic.message}", expected)


def _from_items(key: Scalar, items: list[Scalar], mistakes: Mistakes) -> Group:
    found: dict[GroupKind, list[Scalar]] = {}
    for item in items:
        kind = _kind_of(item)
        if kind:
            found.setdefault(kind, []).append(item)
        elif isinstance(item.value, str):
            mistakes.tell(item, f"`{item.value}` is neither an address, nor ports, nor an interface")
    if not found:
        return Group(key, None)
    kind, *others = sorted(found, key=lambda kind: (found[kind][0].line, found[kind][0].column))
    first = Related(found[kind][0].place, "the first")
    for item in (item for other in others for item in found[other]):
        mistakes.tell(
            item, f"`{item.value}` does not belong in a group of {kind.value}", "groups of one kind", also=first
        )
    match kind:
        case GroupKind.ADDRESSES:
            pairs = [mistakes.parsed(item, parse_addresses) for item in found[kind]]
            return Group(key, kind, addresses=addresses_of(pair for pair in pairs if pair))
        case GroupKind.PORTS:
            ports = [mistakes.parsed(item, parse_ports) for item in found[kind]]
            return Group(key, kind, ports=merged(port for port in ports if port))
        case GroupKind.INTERFACES:
            return Group(key, kind, interfaces=tuple(str(item.value) for item in found[kind]))


def _kind_of(item: Scalar) -> GroupKind | None:
    if isinstance(item.value, int) and not isinstance(item.value, bool):
        return GroupKind.PORTS
    if not isinstance(item.value, str):
        return None
    if looks_like_address(item.value):
        return GroupKind.ADDRESSES
    if looks_like_ports(item.value):
        return GroupKind.PORTS
    return GroupKind.INTERFACES if is_interface_pattern(item.value) else None
