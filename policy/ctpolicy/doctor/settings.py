"""Findings about the settings of conntrack that matter to whoever bypasses it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from ctpolicy.conntrack.facts import TableFacts
from ctpolicy.doctor.facts import Facts, Unseen
from ctpolicy.doctor.finding import Area, Finding, Severity

_LONG_CHAIN: Final = 8
_USUAL_CHAIN: Final = 4

_UNANSWERED: Final = {
    "udp": 30, "icmp": 30, "icmpv6": 30, "gre": 30, "generic": 600, "tcp_syn_sent": 120, "tcp_syn_recv": 60,
}  # fmt: skip
"""Timeouts of entries that nobody has answered, with the kernel's own values in seconds."""

_DAY: Final = 86_400
_ESTABLISHED: Final = 5 * _DAY


def settings_findings(facts: Facts) -> Iterator[Finding]:
    """What the settings mean here; nothing where conntrack is not loaded."""
    table = facts.table
    if isinstance(table, Unseen) or not table.is_loaded:
        return
    yield from _chains(table)
    yield from _loose(table, facts)
    yield from _flags(table)
    yield from _timeouts(table, facts)


def sysctl(facts: Facts, name: str, value: int) -> str:
    """A command that sets it, in the network namespace that was asked for."""
    inside = f"nsenter --net={shlex.quote(facts.namespace)} " if facts.namespace else ""
    return f"{inside}sysctl -w net.netfilter.nf_conntrack_{name}={value}"


def _chains(table: TableFacts) -> Iterator[Finding]:
    if table.maximum == 0:
        message = "nf_conntrack_max is 0: there is no limit, and the table can take all memory."
        commands = (sysctl_of_host("max", table.buckets or 262_144),)
        yield Finding("conntrack-max", Area.SETTINGS, Severity.WARNING, message, "Set a limit.", commands)
        return
    if not table.maximum or not table.buckets:
        message = "nf_conntrack_max and nf_conntrack_buckets are not both shown in this network namespace."
        yield Finding("conntrack-buckets", Area.SETTINGS, Severity.UNKNOWN, message, "Ask in the machine's own.")
        return
    # Each entry stands in the table twice, once a direction.
    length = 2 * table.maximum / table.buckets
    message = (
        f"nf_conntrack_max {table.maximum} on {table.buckets} buckets: {length:.3g} in a bucket on average when the "
        f"table is full (each entry is there twice)."
    )
    if length <= _LONG_CHAIN:
        more = "" if length <= _USUAL_CHAIN else f" More than {_USUAL_CHAIN} begins to cost."
        yield Finding("conntrack-buckets", Area.SETTINGS, Severity.FINE, message + more)
        return
    advice = (
        "Each packet walks such a chain: give the table more buckets (8 bytes each; in the machine's own namespace)."
    )
    commands = (sysctl_of_host("buckets", table.maximum),)
    yield Finding("conntrack-buckets", Area.SETTINGS, Severity.WARNING, message, advice, commands)


def sysctl_of_host(name: str, value: int) -> str:
    """A command for what only the machine's own namespace can set (Linux 6.18)."""
    return f"nsenter -t 1 -n sysctl -w net.netfilter.nf_conntrack_{name}={value}"


def _loose(table: TableFacts, facts: Facts) -> Iterator[Finding]:
    loose = table.settings.get("tcp_loose")
    if loose is None:
        return
    if loose:
        message = (
            f"nf_conntrack_tcp_loose is {loose}: connections that are tracked again in mid-stream, as after `remove` "
            "or `rollback`, are picked up."
        )
        yield Finding("tcp-loose", Area.SETTINGS, Severity.FINE, message)
        return
    message = (
        "nf_conntrack_tcp_loose is 0: when a policy is removed or rolled back, the connections that it bypassed are "
        "invalid to conntrack, and a firewall with `ct state invalid drop` cuts them."
    )
    advice = "Set it to 1 before removing or narrowing a policy, until those connections have ended."
    commands = (sysctl(facts, "tcp_loose", 1),)
    yield Finding("tcp-loose", Area.SETTINGS, Severity.WARNING, message, advice, commands)


def _flags(table: TableFacts) -> Iterator[Finding]:
    """What is as people like it, and worth knowing."""
    told = {
        "tcp_be_liberal": (
            "segments outside of the window are invalid, as are those of a connection of which one half is bypassed",
            "segments outside of the window are let through, also of connections of which one half is bypassed",
        ),
        "acct": (
            "entries do not count packets and bytes, so top talkers are told by entries alone",
            "entries count packets and bytes",
        ),
        "checksum": (
            "packets with a wrong checksum are tracked",
            "packets with a wrong checksum are invalid, not tracked",
        ),
    }
    for name, (off, on) in told.items():
        if name in table.settings:
            message = f"nf_conntrack_{name} is {table.settings[name]}: {on if table.settings[name] else off}."
            yield Finding(name.replace("_", "-"), Area.SETTINGS, Severity.FINE, message)


def _timeouts(table: TableFacts, facts: Facts) -> Iterator[Finding]:
    long = {name: table.timeouts[name] for name in _UNANSWERED if table.timeouts.get(name, 0) > 2 * _UNANSWERED[name]}
    for name, seconds in long.items():
        message = (
            f"The timeout {name} is {seconds} seconds, the kernel's own is {_UNANSWERED[name]}: what nobody answers, "
            "as the outer packets of tunnels, keeps its place in the table so long."
        )
        commands = (sysctl(facts, sysctl_name(name), _UNANSWERED[name]),)
        yield Finding(f"timeout-{_dashed(name)}", Area.SETTINGS, Severity.WARNING, message, "Shorten it.", commands)
    shown = {name: table.timeouts[name] for name in _UNANSWERED if name in table.timeouts and name not in long}
    if shown:
        listed = ", ".join(f"{name} {seconds} s" for name, seconds in shown.items())
        message = f"Entries that nobody answers go after: {listed}."
        yield Finding("timeouts-unanswered", Area.SETTINGS, Severity.FINE, message)
    established = table.timeouts.get("tcp_established")
    if established is not None:
        yield _established(established, facts)


def _established(seconds: int, facts: Facts) -> Finding:
    message = (
        f"Established TCP connections of which nothing more is heard keep their entries for {seconds / _DAY:.3g} days, "
        "and when the table is full they are never taken to make room."
    )
    if seconds <= _ESTABLISHED:
        return Finding("timeout-tcp-established", Area.SETTINGS, Severity.FINE, message)
    commands = (sysctl(facts, sysctl_name("tcp_established"), _DAY),)
    return Finding("timeout-tcp-established", Area.SETTINGS, Severity.WARNING, message, "Shorten it.", commands)


def sysctl_name(timeout: str) -> str:
    """The sysctl of a timeout, without `nf_conntrack_`: the word stands after the protocol."""
    protocol, _, state = timeout.partition("_")
    return f"{protocol}_timeout" + (f"_{state}" if state else "")


def _dashed(name: str) -> str:
    return name.replace("_", "-")
