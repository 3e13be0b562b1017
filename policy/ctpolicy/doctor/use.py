"""Findings about who uses conntrack in this network namespace, and whose rules stand beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ctpolicy.doctor.activity import User, shown_tables, users_of_iptables, users_of_nftables
from ctpolicy.doctor.facts import Facts, Save, Unseen
from ctpolicy.doctor.finding import Area, Finding, Severity
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.live import BOTH_VARIANTS

MOST_SHOWN: Final = 12
"""Rules and places that a finding shows; of more, the number."""

_ELSEWHERE: Final = {
    "openvswitch": "Open vSwitch, whose flows may track (`ovs-ofctl dump-flows`, actions ct)",
    "act_ct": "traffic control, whose filters may track (`tc -s filter show`, action ct)",
}


def use_findings(facts: Facts) -> Iterator[Finding]:
    """Whether conntrack is at work here, and why."""
    users = tuple(conntrack_users(facts))
    others = tuple(_other_users(facts))
    yield from _unread(facts)
    if users or others:
        yield _active(users, others)
    else:
        yield _idle(facts)


def conntrack_users(facts: Facts) -> Iterator[User]:
    """Rules and objects that have conntrack look at packets."""
    shown: set[tuple[str, str]] = set()
    for (variant, family), saved in facts.saves.items():
        if isinstance(saved, str):
            yield from users_of_iptables(saved, variant, family)
            shown |= set(shown_tables(saved, family)) if variant is Variant.NFT else set()
    if isinstance(facts.listing, str):
        yield from users_of_nftables(facts.listing, facts.texts, frozenset(shown))


def other_findings(facts: Facts) -> Iterator[Finding]:
    """Whose rules decide before conntrack beside ours, and which variants of iptables are in use."""
    yield from _both_variants(facts.saves)
    live = facts.live
    if isinstance(live, Unseen):
        yield Finding("others-notrack", Area.OTHERS, Severity.UNKNOWN, f"Others' raw rules were not read: {live.why}")
        return
    bypasses = tuple(
        dict.fromkeys(one.title for one in live.foreign(NFTABLES).bypasses if "CTPOLICY-" not in one.title)
    )
    if bypasses:
        message = "Others leave packets untracked here too:"
        advice = "See what exactly, and what of it does nothing:"
        where = facts.where or " live"
        found = Finding(
            "others-notrack",
            Area.OTHERS,
            Severity.FINE,
            message,
            advice,
            (f"ctpolicy lint{where}",),
            _few(bypasses),
        )
        yield found
    else:
        message = "Nobody else leaves packets untracked here."
        yield Finding("others-notrack", Area.OTHERS, Severity.FINE, message)
    raw = tuple(str(one) for one in live.variants())
    if raw:
        yield Finding("others-raw", Area.OTHERS, Severity.FINE, "The raw tables of iptables are in use:", details=raw)


def namespace_findings(facts: Facts) -> Iterator[Finding]:
    """Where we are, and what else there is."""
    here = "This is the machine's own network namespace."
    if not facts.is_the_hosts:
        here = (
            "This is not the machine's own network namespace, or it cannot be told: nf_conntrack_max and the buckets "
            "are the machine's, and can only be set there."
        )
    yield Finding("namespace", Area.NAMESPACES, Severity.FINE, here)
    found = facts.namespaces
    if isinstance(found, Unseen):
        message = f"How many network namespaces there are was not seen: {found.why}."
        yield Finding("namespaces", Area.NAMESPACES, Severity.UNKNOWN, message)
        return
    hidden = f"; where {_counted(found.hidden, 'process is', 'processes are')} may not be seen" if found.hidden else ""
    unseen = f"; {found.unseen} of them could not be looked into" if found.unseen else ""
    used = f"conntrack has entries, or has counted something, in {len(found.in_use)}"
    message = f"{_counted(found.number, 'network namespace')} found: {used}{unseen}{hidden}."
    busiest = sorted(found.in_use.items(), key=lambda one: (-one[1], one[0]))
    details = _few(tuple(f"{name}: {_counted(entries, 'entry', 'entries')}" for name, entries in busiest))
    advice = "Run this as root (sudo) to see all." if (found.hidden or found.unseen) and facts.own.user else ""
    severity = Severity.UNKNOWN if advice else Severity.FINE
    yield Finding("namespaces", Area.NAMESPACES, severity, message, advice, details=details)


def _unread(facts: Facts) -> Iterator[Finding]:
    unread = {f"iptables-{variant.value}, {family.value}": save.why for (variant, family), save in _unseen(facts.saves)}
    if isinstance(facts.listing, Unseen):
        unread["nftables"] = facts.listing.why
    if unread:
        message = "Rules were not read, so others may use conntrack too:"
        details = tuple(f"{name}: {why}" for name, why in unread.items())
        yield Finding("rules-unread", Area.USE, Severity.UNKNOWN, message, "Run this as root (sudo).", details=details)


def _unseen(saves: Mapping[tuple[Variant, Family], Save]) -> Iterator[tuple[tuple[Variant, Family], Unseen]]:
    return ((key, save) for key, save in saves.items() if isinstance(save, Unseen))


def _other_users(facts: Facts) -> Iterator[str]:
    if facts.ip_vs:
        yield "IPVS, which has virtual services (`ipvsadm -Ln`)"
    yield from (text for name, text in _ELSEWHERE.items() if name in facts.modules)


def _active(users: tuple[User, ...], others: tuple[str, ...]) -> Finding:
    families = [family.value for family in Family if any(family in user.families for user in users)]
    message = f"conntrack is at work here for {' and '.join(families)}, because of:" if users else "conntrack may be:"
    details = (*_few(tuple(map(str, users))), *others)
    return Finding("conntrack-active", Area.USE, Severity.FINE, message, details=details)


def _idle(facts: Facts) -> Finding:
    table = facts.table
    is_seen = not isinstance(table, Unseen) and not table.shows_no_use
    all_read = not isinstance(facts.listing, Unseen) and not any(_unseen(facts.saves))
    if not all_read:
        message = f"Whether conntrack is at work here was not seen{', but it has counted packets' if is_seen else ''}."
        return Finding("conntrack-active", Area.USE, Severity.UNKNOWN, message)
    if is_seen:
        message = (
            "No rule that is here now asks for conntrack, but it has entries or has counted something: rules that did "
            "are gone, or something that has no rules does (a program of BPF, a module)."
        )
        return Finding("conntrack-active", Area.USE, Severity.UNKNOWN, message)
    message = (
        "conntrack is not at work here: nothing asks for it, so nothing is tracked, no entry is made, and a bypass "
        "changes nothing until something does."
    )
    return Finding("conntrack-active", Area.USE, Severity.FINE, message)


def _both_variants(saves: Mapping[tuple[Variant, Family], Save]) -> Iterator[Finding]:
    """Rules of both, in any table: a table without rules is nobody's."""
    used = {
        variant: tuple(
            f"iptables-{variant.value}: {_counted(number, 'rule')} of {family.value}"
            for family in Family
            if (number := _rules(saves.get((variant, family))))
        )
        for variant in Variant
    }
    if all(used.values()):
        message = BOTH_VARIANTS.removesuffix(":") + ", so either may decide against the other:"
        advice = "Have one tool make all rules; `update-alternatives --display iptables` says which is the default."
        details = tuple(line for lines in used.values() for line in lines)
        yield Finding("iptables-variants", Area.OTHERS, Severity.WARNING, message, advice, details=details)
    elif any(_unseen(saves)):
        message = "Which variants of iptables have rules was not seen: not all could be read."
        yield Finding("iptables-variants", Area.OTHERS, Severity.UNKNOWN, message, "Run this as root (sudo).")
    else:
        found = next((variant.value for variant, lines in used.items() if lines), "")
        message = f"Only iptables-{found} has rules." if found else "Neither variant of iptables has rules."
        yield Finding("iptables-variants", Area.OTHERS, Severity.FINE, message)


def _rules(saved: Save) -> int:
    return sum(line.startswith("-A ") for line in saved.split("\n")) if isinstance(saved, str) else 0


def _few(lines: tuple[str, ...]) -> tuple[str, ...]:
    more = len(lines) - MOST_SHOWN
    return lines if more <= 0 else (*lines[:MOST_SHOWN], f"... and {more} more")


def _counted(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"
