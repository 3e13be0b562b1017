"""What the targets of iptables do, in the form of hazards/rules.py. The names are those of iptables 1.8.9."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ctpolicy.hazards.rules import Action, Decision, Nat, Open, Service, Translation, Use, Verdict
from ctpolicy.hazards.situations import ALWAYS, Tracking
from ctpolicy.iptables.host_tracking import ONLY_WITH_ENTRY, WITHOUT_ENTRY
from ctpolicy.iptables.module_options import NotModelledError, Option, options_of
from ctpolicy.iptables.words import words_of

WITHOUT_EFFECT: Final = frozenset(
    {
        *("AUDIT", "IDLETIMER", "LED", "LOG", "NFLOG", "RATEEST", "TEE", "TRACE", "ULOG"),  # say it, count it, copy it
        *("CHECKSUM", "CLASSIFY", "DSCP", "ECN", "HL", "SECMARK", "TCPMSS", "TCPOPTSTRIP", "TOS", "TTL"),
    }
)
"""Targets after which the next rule is asked, and that change nothing which is followed here."""

_PLAIN: Final = {
    "REJECT": Decision(Verdict.REJECT),
    "QUEUE": Decision(Verdict.QUEUE),
    "NFQUEUE": Decision(Verdict.QUEUE),
}
_NATS: Final = {
    "SNAT": Nat.SOURCE,
    "MASQUERADE": Nat.MASQUERADE,
    "DNAT": Nat.DESTINATION,
    "REDIRECT": Nat.REDIRECT,
}
_USES: Final = {
    "MARK": Service.MARK,
    "HMARK": Service.MARK,
    "NOTRACK": Service.NOTRACK,
    "FLOWOFFLOAD": Service.OFFLOAD,
}
_CT_OPTIONS: Final = {
    "--notrack": Service.NOTRACK,
    "--helper": Service.HELPER,
    "--timeout": Service.TIMEOUT,
    "--zone": Service.ZONE,
    "--zone-orig": Service.ZONE,
    "--zone-reply": Service.ZONE,
}
_TO: Final = frozenset({"--to-destination", "--to-source", "--to-ports", "--to"})

_AFTER_ADDRESS: Final = re.compile(r"(?P<to>\[.*\]|[^:\[]*):(?P<ports>\d+(?:-\d+)?(?:/\d+)?)")


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a target does.

    Args:
        action: it.
        tracking: of which packets, as far as conntrack tells.
        open: what else it depends on.
    """

    action: Action
    tracking: Tracking = ALWAYS
    open: tuple[Open, ...] = ()


def effects(text: str, *, of_sources: bool) -> Iterator[Effect]:
    """What a target does that is kept as its text (`-j CT --zone 1`), one thing after the other.

    Args:
        text: the target.
        of_sources: whether a NETMAP at this place changes sources.
    """
    words = words_of(text)
    name = words[1] if len(words) > 1 else ""
    try:
        options = list(options_of(words[2:]))
    except NotModelledError:
        options = []
    if name in _PLAIN:
        yield Effect(_PLAIN[name])
    elif name in _NATS:
        yield Effect(_translation(_NATS[name], options))
    elif name == "NETMAP":
        yield Effect(_translation(Nat.SOURCE if of_sources else Nat.DESTINATION, options))
    elif name in _USES:
        yield Effect(Use(_USES[name]))
    elif name in {"CONNMARK", "CONNSECMARK"}:
        yield _connection_mark(options)
    elif name == "CT":
        asked = dict.fromkeys(_CT_OPTIONS[one.name] for one in options if one.name in _CT_OPTIONS)
        yield from (Effect(Use(service)) for service in asked)
    elif name == "SET":
        if any(one.name == "--map-mark" for one in options):
            yield Effect(Use(Service.MARK))
    elif name == "TPROXY":
        yield Effect(Use(Service.TPROXY))
        # To a socket that listens there, or nowhere (tproxy_tg4).
        yield Effect(Decision(Verdict.ACCEPT), open=(Open(f"{text}: a socket listens"),))
        yield Effect(Decision(Verdict.DROP))
    elif name == "SYNPROXY":
        yield Effect(Use(Service.SYNPROXY))
        yield from _anything(text)
    elif name == "CLUSTERIP":
        yield Effect(Decision(Verdict.DROP), Tracking(WITHOUT_ENTRY, WITHOUT_ENTRY))  # clusterip_tg
        yield from _anything(text)
    elif name not in WITHOUT_EFFECT:
        yield from _anything(text)


def _anything(text: str) -> Iterator[Effect]:
    """What may drop or accept the packet, or let it go on."""
    for verdict in (Verdict.DROP, Verdict.ACCEPT):
        yield Effect(Decision(verdict), open=(Open(text),))


def _connection_mark(options: Sequence[Option]) -> Effect:
    if any(one.name in {"--restore-mark", "--restore"} for one in options):
        return Effect(Use(Service.RESTORED_MARK), ONLY_WITH_ENTRY)
    return Effect(Use(Service.CT_MARK))


def _translation(nat: Nat, options: Sequence[Option]) -> Translation:
    told = [" ".join(one.values) for one in options if one.name in _TO]
    to = told[0] if len(told) == 1 else ", ".join(told)
    if any(one.name == "--to-ports" for one in options):
        return Translation(nat, "", _single_port(to))
    if found := _AFTER_ADDRESS.fullmatch(to):
        return Translation(nat, found["to"].strip("[]"), _single_port(found["ports"]))
    return Translation(nat, to)


def _single_port(text: str) -> int | None:
    first, _, last = text.partition("-")
    return int(first) if first.isdigit() and last in {"", first} else None
