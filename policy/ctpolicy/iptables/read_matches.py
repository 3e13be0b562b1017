"""What a module of iptables was asked, as iptables-save prints it, to matches.

A module, or an option of one, that ctpolicy does not know is kept as its text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from ctpolicy.iptables.module_options import NotModelledError, Option, options_of
from ctpolicy.iptables.render import ADDRESS_TYPES
from ctpolicy.iptables.ruleset import AddressRange, AddressType, End, InSet, Match, Multiport, Port, UnmodelledMatch
from ctpolicy.iptables.values import parse_ports, parse_range
from ctpolicy.iptables.words import text_of
from ctpolicy.packetspace.fields import Family

_PORT_MODULES: Final = frozenset({"tcp", "udp", "sctp", "dccp"})

_PORT_ENDS: Final = {
    **dict.fromkeys(("--sport", "--source-port"), End.SOURCE),
    **dict.fromkeys(("--dport", "--destination-port"), End.DESTINATION),
}
_PORTS_ENDS: Final = {
    **dict.fromkeys(("--sports", "--source-ports"), End.SOURCE),
    **dict.fromkeys(("--dports", "--destination-ports"), End.DESTINATION),
    "--ports": End.EITHER,
}
_RANGE_ENDS: Final = {"--src-range": End.SOURCE, "--dst-range": End.DESTINATION}
_TYPE_ENDS: Final = {"--src-type": End.SOURCE, "--dst-type": End.DESTINATION}
_SET_ENDS: Final = {"src": End.SOURCE, "dst": End.DESTINATION}

_ANY_PORT: Final = (0, 65535)


def read_matches(module: str, words: Sequence[str], family: Family) -> list[Match]:
    """What stood after `-m MODULE`.

    Raises:
        ValueError: a value is none that iptables prints.
    """
    reader = _READERS.get(module)
    if module in _PORT_MODULES:
        reader = partial(_port_matches, module)
    try:
        return reader(list(options_of(words)), family) if reader else [_unmodelled(module, words)]
    except NotModelledError:
        return [_unmodelled(module, words)]


def _unmodelled(module: str, words: Sequence[str]) -> UnmodelledMatch:
    return UnmodelledMatch(text_of(["-m", module, *words]))


def _port_matches(module: str, options: Sequence[Option], _: Family) -> list[Match]:
    """Ports, and all else that the module was asked (tcp's flags) as one match that is not modelled."""
    found: list[Match] = []
    others: list[str] = []
    for option in options:
        end = _PORT_ENDS.get(option.name)
        if end is None:
            others += option.words()
            continue
        interval = parse_ports(option.only_value)
        if interval != _ANY_PORT or option.negated:  # which iptables-save leaves out
            found.append(Port(module, end, interval, option.negated))
    return found + [_unmodelled(module, others)] * bool(others)


def _multiport_matches(options: Sequence[Option], _: Family) -> list[Match]:
    return [_multiport(option) for option in options]


def _multiport(option: Option) -> Multiport:
    if option.name not in _PORTS_ENDS:
        raise NotModelledError
    intervals = tuple(parse_ports(text) for text in option.only_value.split(","))
    return Multiport(_PORTS_ENDS[option.name], intervals, option.negated)


def _range_matches(options: Sequence[Option], family: Family) -> list[Match]:
    if any(option.name not in _RANGE_ENDS for option in options):
        raise NotModelledError
    return [
        AddressRange(_RANGE_ENDS[option.name], parse_range(option.only_value, family), option.negated)
        for option in options
    ]


def _type_matches(options: Sequence[Option], _: Family) -> list[Match]:
    """All or nothing: `--limit-iface-in` changes what the types mean."""
    return [_type_match(option) for option in options]


def _type_match(option: Option) -> AddressType:
    types = frozenset(option.only_value.split(","))
    if option.name not in _TYPE_ENDS or not types <= set(ADDRESS_TYPES):
        raise NotModelledError
    return AddressType(_TYPE_ENDS[option.name], types, option.negated)


def _set_matches(options: Sequence[Option], _: Family) -> list[Match]:
    """One question alone: `--return-nomatch` and the like change it."""
    match options:
        case [Option(negated, "--match-set" | "--set", [name, ends])] if set(ends.split(",")) <= set(_SET_ENDS):
            return [InSet(name, tuple(_SET_ENDS[end] for end in ends.split(",")), negated)]
    raise NotModelledError


_READERS: Final[dict[str, Callable[[Sequence[Option], Family], list[Match]]]] = {
    "multiport": _multiport_matches,
    "iprange": _range_matches,
    "addrtype": _type_matches,
    "set": _set_matches,
}
