"""What the modules of iptables ask that are no matches of ruleset.py: of conntrack, of ICMP, and what is not modelled.

The names are those of iptables 1.8.9. What a module's answer depends on is told of each; of one that is not here, it
may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ctpolicy.hazards.rules import About, Asked, Open, Service, Within
from ctpolicy.hazards.situations import ALWAYS, NEVER, OF_AN_ENTRY, Situation, Tracking
from ctpolicy.iptables.host_questions import Known, Question
from ctpolicy.iptables.host_tracking import conntrack_tracking, unless_entry
from ctpolicy.iptables.module_options import NotModelledError, Option, options_of
from ctpolicy.iptables.words import words_of
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS

OF_PACKET: Final = frozenset(
    {
        *("addrtype", "ah", "dccp", "dscp", "dst", "ecn", "esp", "eui64", "frag", "hbh", "hl", "icmp", "icmp6"),
        *("ipcomp", "iprange", "ipv6header", "length", "mac", "mh", "multiport", "osf", "pkttype", "rt", "sctp"),
        *("srh", "string", "tcp", "tcpmss", "tos", "ttl", "u32", "udp"),
        *("cgroup", "devgroup", "owner", "physdev", "policy", "realm", "rpfilter", "time"),  # of the host
    }
)
"""Modules whose answer does not depend on conntrack, nor on other packets."""

OF_ANYTHING: Final = frozenset(
    {
        *("bpf", "cpu", "hashlimit", "ipvs", "limit", "nfacct", "quota", "rateest", "recent", "set", "socket"),
        "statistic",
    }
)
"""Modules whose answer may depend on other packets, on what others have written, or on the entry (`socket` looks up
whom a translated reply was for)."""

OF_CONNTRACK: Final = frozenset(
    {"cluster", "connbytes", "connlabel", "connlimit", "connmark", "conntrack", "helper", "state"}
)

CHANGED_BY: Final = {
    "DSCP": {"dscp", "tos"},
    "TOS": {"dscp", "tos"},
    "ECN": {"ecn", "tos"},
    "TTL": {"ttl"},
    "HL": {"hl"},
    "TCPMSS": {"tcpmss"},
    "TCPOPTSTRIP": {"tcp", "tcpmss"},
}
"""Targets that change what a module asks, so that its answer may depend on what led to them."""

_ANY_TYPE: Final = "any"


def module_question(text: str, known: Known) -> Question:
    """What a match asks that is kept as its text: `-m connmark --mark 0x1`, `-f`."""
    words = words_of(text)
    if words[0] != "-m":
        return Question(open=(Open(text, About.PACKET),))
    module = words[1]
    if module == "comment":
        return Question()
    try:
        options = list(options_of(words[2:]))
        return _READERS[module](options, text) if module in _READERS else _open(module, text, known)
    except NotModelledError:
        return _open(module, text, known)


def _open(module: str, text: str, known: Known) -> Question:
    if module == "mark":
        about = About.MARK
    elif module in OF_PACKET and module not in known.changing:
        about = About.MARK if "--validmark" in text else About.PACKET
    else:
        about = About.ANYTHING
    return Question(open=(Open(text, about),))


def _conntrack(options: Sequence[Option], _: str) -> Question:
    return Question(tracking=conntrack_tracking(options))


def _of_the_entry(_: Sequence[Option], __: str) -> Question:
    """Not meant without an entry, negated or not (connmark_mt, connbytes_mt, cluster_mt)."""
    return Question(tracking=OF_AN_ENTRY)


def _connlabel(options: Sequence[Option], _: str) -> Question:
    negated = any(one.negated for one in options)
    uses = (Service.LABEL,) if any(one.name == "--set" for one in options) else ()
    return Question(tracking=unless_entry(negated=negated), uses=uses)


_EXPECTED: Final = Tracking(frozenset(), frozenset({Situation.ESTABLISHED, Situation.REPLY, Situation.RELATED}))
"""Whether a flow was expected by another one's helper. The first packet of one that was is `related`, not new."""


def _helper(options: Sequence[Option], _: str) -> Question:
    return Question(tracking=unless_entry(negated=any(one.negated for one in options), asked=_EXPECTED))


def _connlimit(_: Sequence[Option], text: str) -> Question:
    """Packets without an entry are counted, too, by what they would be an entry of (connlimit_mt)."""
    return Question(open=(Open(text),), uses=(Service.LIMIT,))


def _socket(options: Sequence[Option], text: str) -> Question:
    sets_mark = any(one.name == "--restore-skmark" for one in options)
    return Question(open=(Open(text),), uses=(Service.MARK,) * sets_mark)


def _icmp(options: Sequence[Option], text: str) -> Question:
    return _message_type(options, text, PROTOCOL_NUMBERS["icmp"])


def _icmpv6(options: Sequence[Option], text: str) -> Question:
    return _message_type(options, text, PROTOCOL_NUMBERS["icmpv6"])


def _message_type(options: Sequence[Option], text: str, protocol: int) -> Question:
    asked = Question((Within.single(Asked.PROTOCOL, protocol),))
    for option in options:
        if option.name not in {"--icmp-type", "--icmpv6-type"}:
            raise NotModelledError
        asked &= _one_type(option, text)
    return asked


def _one_type(option: Option, text: str) -> Question:
    number, has_code, _ = option.only_value.partition("/")
    if number == _ANY_TYPE:
        return Question(tracking=NEVER if option.negated else ALWAYS)
    if not (number.isascii() and number.isdigit()) or int(number) > 255:
        raise NotModelledError
    of_type = Within.single(Asked.ICMP_TYPE, int(number))
    if has_code:
        doubt = (Open(text, About.PACKET),)
        return Question(open=doubt) if option.negated else Question((of_type,), open=doubt)
    return Question((Within(of_type.boxes, option.negated),))


_READERS: Final[dict[str, Callable[[Sequence[Option], str], Question]]] = {
    "conntrack": _conntrack,
    "state": _conntrack,
    "connmark": _of_the_entry,
    "connbytes": _of_the_entry,
    "cluster": _of_the_entry,
    "connlabel": _connlabel,
    "connlimit": _connlimit,
    "helper": _helper,
    "socket": _socket,
    "icmp": _icmp,
    "icmp6": _icmpv6,
}
