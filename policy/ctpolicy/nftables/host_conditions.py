"""What a question of nftables asks of a packet, in the form of hazards/rules.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ctpolicy.hazards.rules import ADDRESS_TYPES, About, Asked, Open, Values, Within
from ctpolicy.nftables.conditions import field_interval
from ctpolicy.nftables.ruleset import Concatenation, Element, Fib, Joined, Meta, Payload, Selector, Value
from ctpolicy.packetspace.fields import IPV6_EXTENSION_HEADERS, PROTOCOL_NUMBERS, Family, protocol_number
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.universe import FAMILIES, Field

_V4: Final = Within.single(Asked.FAMILY, FAMILIES.index(Family.IPV4))
_V6: Final = Within.single(Asked.FAMILY, FAMILIES.index(Family.IPV6))
FAMILY_IS: Final = {"ip": _V4, "ip6": _V6, "icmp": _V4, "icmpv6": _V6}
"""What packets are that have a header of this name, or are spoken of by it."""

_FAMILY_VALUES: Final = {"ipv4": Family.IPV4, "ip": Family.IPV4, "ipv6": Family.IPV6, "ip6": Family.IPV6}
_ENDS: Final = {"saddr": Asked.SOURCE, "daddr": Asked.DESTINATION}
_PORTS: Final = {"sport": Asked.SOURCE_PORT, "dport": Asked.DESTINATION_PORT}
_INTERFACES: Final = {Asked.INCOMING, Asked.OUTGOING}

_ICMP_TYPES: Final = {
    "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
    "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
    "timestamp-request": 13, "timestamp-reply": 14, "info-request": 15, "info-reply": 16,
    "address-mask-request": 17, "address-mask-reply": 18,
}  # fmt: skip
_ICMPV6_TYPES: Final = {
    "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
    "echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131,
    "mld-listener-done": 132, "mld-listener-reduction": 132, "nd-router-solicit": 133, "nd-router-advert": 134,
    "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137, "router-renumbering": 138,
    "ind-neighbor-solicit": 141, "ind-neighbor-advert": 142, "mld2-listener-report": 143,
}  # fmt: skip
_TYPE_WORDS: Final = {"icmp": _ICMP_TYPES, "icmpv6": _ICMPV6_TYPES}

_OF_NOTHING_ELSE: Final = frozenset(
    {"payload", "exthdr", "tcp option", "ip option", "sctp chunk", "fib", "rt", "socket", "osf", "&", "|", "^", "<<"}
) | frozenset({">>", "prefix", "range", "set", "concat", "jhash", "symhash", "expr", "elem"})
"""Words of libnftables' JSON under which there is nothing but the packet and the host."""
_META_THAT_CHANGES: Final = frozenset({"random", "prandom", "nftrace", "secmark", "priority"})


@dataclass(frozen=True, slots=True)
class _Part:
    """What one selector asks.

    Args:
        asked: None if it is not modelled.
        needs: what packets must be to be asked at all.
        about: what the answer depends on where it is not modelled.
    """

    asked: Asked | None
    needs: tuple[Within, ...] = ()
    about: About = About.PACKET


@dataclass(frozen=True, slots=True)
class Question:
    """What must hold for a question to be answered with yes."""

    fields: tuple[Within, ...] = ()
    open: tuple[Open, ...] = ()


def question(selector: Selector, elements: Sequence[Element] | None, words: str, *, negated: bool = False) -> Question:
    """That a field, or several, are in one of the elements, or in none.

    Args:
        selector: of the field.
        elements: None if they cannot be told.
        words: the question, for people.
        negated: whether it is that they are in none.
    """
    parts = [_part(one) for one in (selector.parts if isinstance(selector, Concatenation) else (selector,))]
    needs = tuple(need for part in parts for need in part.needs)
    unknown = [part.about for part in parts if part.asked is None]
    if elements is None:
        return Question(needs, (Open(words),))
    doubt = (Open(words, _worst(unknown)),) if unknown else ()
    if unknown and (negated or len(unknown) == len(parts)):
        return Question((*needs, *(() if negated else _first_headers(selector, elements))), doubt)
    boxes = _boxes([part.asked for part in parts], selector, elements)
    if boxes is None:
        return Question(needs, (Open(words, About.PACKET),))
    return Question((*needs, Within(boxes, negated)), doubt)


def needs_of(listed: Any) -> tuple[Within, ...]:
    """What packets must be to have the headers that an expression of libnftables' JSON names."""
    return tuple(_need(word) for word in dict.fromkeys(_protocols(listed)))


def about(listed: Any) -> About:
    """What the answer to a question in libnftables' JSON depends on."""
    match listed:
        case {"meta": {"key": "mark"}}:
            return About.MARK
        case {"meta": {"key": str(key)}}:
            return About.ANYTHING if key in _META_THAT_CHANGES else About.PACKET
        case dict():
            if not listed.keys() <= _OF_NOTHING_ELSE:
                return About.ANYTHING
            return _worst(about(one) for word, one in listed.items() if word in {"&", "|", "^", "<<", ">>", "concat"})
        case list():
            return _worst(map(about, listed))
        case str():
            return About.ANYTHING if listed.startswith("@") else About.PACKET
    return About.PACKET


def _worst(found: Iterable[About]) -> About:
    kinds = set(found)
    return next((one for one in (About.ANYTHING, About.MARK) if one in kinds), About.PACKET)


def _protocols(listed: Any) -> Iterator[str]:
    match listed:
        case {"payload": {"protocol": str(word)}} if word in FAMILY_IS or protocol_number(word) is not None:
            yield word
        case dict():
            for inner in listed.values():
                yield from _protocols(inner)
        case list():
            for inner in listed:
                yield from _protocols(inner)


def _need(word: str) -> Within:
    number = protocol_number(word)
    return FAMILY_IS[word] if word in {"ip", "ip6"} or number is None else Within.single(Asked.PROTOCOL, number)


def _part(selector: Selector) -> _Part:
    match selector:
        case Payload("ip" | "ip6" as word, "saddr" | "daddr" as end):
            return _Part(_ENDS[end], (FAMILY_IS[word],))
        case Payload("ip", "protocol"):
            return _Part(Asked.PROTOCOL, (_V4,))
        case Payload("ip" | "ip6" as word, _):
            return _Part(None, (FAMILY_IS[word],))
        case Payload("th", "sport" | "dport" as end):
            return _Part(_PORTS[end])
        case Payload("icmp" | "icmpv6" as word, "type"):
            return _Part(Asked.ICMP_TYPE, (Within.single(Asked.PROTOCOL, PROTOCOL_NUMBERS[word]),))
        case Payload(word, field) if (number := protocol_number(word)) is not None:
            return _Part(_PORTS.get(field), (Within.single(Asked.PROTOCOL, number),))
        case Meta("l4proto"):
            return _Part(Asked.PROTOCOL)
        case Meta("nfproto" | "protocol"):
            return _Part(Asked.FAMILY)
        case Meta("iifname" | "iif"):
            return _Part(Asked.INCOMING)
        case Meta("oifname" | "oif"):
            return _Part(Asked.OUTGOING)
        case Meta("mark"):
            return _Part(None, about=About.MARK)
        case Meta(key):
            return _Part(None, about=About.ANYTHING if key in _META_THAT_CHANGES else About.PACKET)
        case Fib("type", ("daddr",)):
            return _Part(Asked.DESTINATION_TYPE)
    return _Part(None)


def _first_headers(selector: Selector, elements: Sequence[Element]) -> tuple[Within, ...]:
    """`ip6 nexthdr` is the first header, which for most packets is the transport's, and only an extension otherwise."""
    numbers = [one for one in elements if isinstance(one, tuple)]
    if selector != Payload("ip6", "nexthdr") or len(numbers) < len(elements):
        return ()
    values = IntervalSet.of(numbers)
    return () if any(header in values for header in IPV6_EXTENSION_HEADERS) else (Within.of(Asked.PROTOCOL, values),)


def _boxes(asked: Sequence[Asked | None], selector: Selector, elements: Sequence[Element]) -> tuple[Values, ...] | None:
    """The elements as values of what is asked, what is not modelled left out; None if one is no value of that."""
    icmp = selector.protocol if isinstance(selector, Payload) else ""
    if len(asked) == 1 and asked[0] is not None:
        intervals = [_interval(asked[0], one, icmp) for one in elements if not isinstance(one, Joined)]
        known = [one for one in intervals if one is not None]
        return ({asked[0]: IntervalSet.of(known)},) if len(known) == len(elements) else None
    boxes: list[Values] = []
    for element in elements:
        if not isinstance(element, Joined):
            return None
        box = _box(asked, element)
        if box is None:
            return None
        boxes.append(box)
    return tuple(boxes)


def _box(asked: Sequence[Asked | None], element: Joined) -> Values | None:
    box: dict[Asked, IntervalSet] = {}
    for one, value in zip(asked, element.parts, strict=True):
        if one is not None:
            interval = _interval(one, value, "")
            if interval is None:
                return None
            values = IntervalSet((interval,))
            box[one] = box[one] & values if one in box else values
    return box


def _interval(asked: Asked, value: Value, icmp: str) -> Interval | None:
    """A value as integers of what is asked; None if it is not known."""
    if asked in _INTERFACES:
        return field_interval(value, Field.INTERFACE)
    if isinstance(value, tuple):
        return value
    number: int | None = None
    if asked is Asked.FAMILY:
        family = _FAMILY_VALUES.get(value)
        number = None if family is None else FAMILIES.index(family)
    elif asked is Asked.DESTINATION_TYPE and value in ADDRESS_TYPES:
        number = ADDRESS_TYPES.index(value)
    elif asked is Asked.ICMP_TYPE:
        number = _TYPE_WORDS.get(icmp, {}).get(value)
    return None if number is None else (number, number)
