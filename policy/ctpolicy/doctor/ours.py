"""Findings about ctpolicy's own rules, memory and boot service, and the gathering of what they are made of."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from ctpolicy.apply.protocol import own_of
from ctpolicy.apply.record import Outcome
from ctpolicy.apply.state import State
from ctpolicy.apply.unfinished import unfinished_lines
from ctpolicy.doctor.facts import Directory, Facts, Own, Unseen
from ctpolicy.doctor.finding import Area, Finding, Severity
from ctpolicy.doctor.machine import Machine
from ctpolicy.errors import CtpolicyError
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.netfilter.backend import Backend
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.plan.live import Live

_ALL: Final[tuple[Backend[Any], ...]] = (NFTABLES, *map(IptablesBackend, Variant))
_BACKENDS: Final = {backend.name: backend for backend in _ALL}
_OTHERS: Final = 0o077

_Kept = TypeVar("_Kept")


def gather_own(machine: Machine, state: State, path: str, live: Live | Unseen) -> Own:
    """What ctpolicy has on a host.

    Args:
        machine: the door to it.
        state: what is remembered of it.
        path: where that is.
        live: what decides about tracking there.
    """
    return Own(
        state=machine.directory(path),
        state_path=path,
        unit=machine.unit(),
        runs_systemd=machine.runs_systemd(),
        unfinished=_kept(lambda: tuple(unfinished_lines(state))),
        inconsistent=_kept(lambda: _left_inconsistent(state)) is True,
        confirmed=_kept(lambda: tuple(_confirmed(state))),
        in_force=live if isinstance(live, Unseen) else dict(_in_force(live)),
        user=machine.user(),
    )


def own_findings(facts: Facts) -> Iterator[Finding]:
    """How ctpolicy itself is."""
    own = facts.own
    yield from _in_force_findings(own, facts)
    yield _state(own)
    yield from _unfinished(own)
    if facts.is_the_hosts:
        yield _boot(own)


def _kept(ask: Callable[[], _Kept]) -> _Kept | Unseen:
    try:
        return ask()
    except (CtpolicyError, OSError) as error:
        return Unseen(str(error))


def _left_inconsistent(state: State) -> bool:
    return any(change.outcome is Outcome.INCONSISTENT for change in state.changes()[-1:])


def _confirmed(state: State) -> Iterator[str]:
    """The backends that ought to have rules: of one that was removed, nothing is what was confirmed."""
    for name in state.confirmed_backends():
        kept = state.confirmed(name)
        if name in _BACKENDS and kept is not None and own_of(_BACKENDS[name], kept) is not None:
            yield name


def _in_force(live: Live) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Backends that have something of ours live, each with why that is not in force."""
    for name, backend in _BACKENDS.items():
        own = live.own(backend)
        if own is not None:
            yield name, tuple(backend.faults(own))


def _in_force_findings(own: Own, facts: Facts) -> Iterator[Finding]:
    where = facts.where
    if isinstance(own.in_force, Unseen):
        message = f"Whether a bypass is in force was not seen: {own.in_force.why}"
        yield Finding("in-force", Area.OURS, Severity.UNKNOWN, message)
        return
    for name, faults in own.in_force.items():
        if faults:
            message = f"Rules of ctpolicy are live with {name}, and not in force:"
            status, restore = f"ctpolicy status --backend {name}{where}", f"ctpolicy restore{where}"
            yield Finding("in-force", Area.OURS, Severity.FAULT, message, "", (status, restore), faults)
        else:
            yield Finding("in-force", Area.OURS, Severity.FINE, f"A bypass is in force with {name}.")
    if len(own.in_force) > 1:
        message = (
            f"Rules of ctpolicy are live with {' and '.join(own.in_force)}: what any of them bypasses is bypassed."
        )
        advice = "Keep one: `ctpolicy migrate`, or remove the other."
        others = tuple(f"ctpolicy remove --backend {name}{where}" for name in list(own.in_force)[1:])
        yield Finding("two-backends", Area.OURS, Severity.WARNING, message, advice, others)
    if not own.in_force:
        yield Finding("in-force", Area.OURS, Severity.FINE, "Nothing of ctpolicy's is live here.")
    yield from _gone(own, where)


def _gone(own: Own, where: str) -> Iterator[Finding]:
    if isinstance(own.confirmed, Unseen) or isinstance(own.in_force, Unseen):
        return
    for name in own.confirmed:
        if name not in own.in_force:
            message = (
                f"What was last confirmed with {name} is no longer live: somebody flushed it, or it was not restored."
            )
            commands = (f"ctpolicy restore{where}",)
            yield Finding("gone", Area.OURS, Severity.FAULT, message, "Make it live again:", commands)


def _state(own: Own) -> Finding:
    code, path = "state", own.state_path
    if own.state is None:
        return Finding(code, Area.OURS, Severity.FINE, f"{path} is not there: nothing has been applied here.")
    if isinstance(own.state, Unseen):
        return Finding(code, Area.OURS, Severity.UNKNOWN, f"{path} was not seen: {own.state.why}.")
    if own.state.mode & _OTHERS:
        message = f"{path} is open to others (mode {own.state.mode:04o}), so ctpolicy does not trust what is in it."
        return _mend(message, path, own.state)
    if own.user == 0 and own.state.owner != 0:
        message = f"{path} belongs to user {own.state.owner}, so ctpolicy does not trust what is in it."
        return _mend(message, path, own.state)
    return Finding(code, Area.OURS, Severity.FINE, f"{path} is ctpolicy's alone.")


def _mend(message: str, path: str, found: Directory) -> Finding:
    advice = "Look who did that, and then:"
    commands = (f"chown root {shlex.quote(path)}", f"chmod 0700 {shlex.quote(path)}")
    return Finding("state", Area.OURS, Severity.FAULT, message, advice, commands if found.owner else commands[1:])


def _unfinished(own: Own) -> Iterator[Finding]:
    if isinstance(own.unfinished, Unseen):
        message = f"Unfinished changes were not looked for: {own.unfinished.why}"
        yield Finding("unfinished", Area.OURS, Severity.UNKNOWN, message)
    elif own.unfinished:
        severity = Severity.FAULT if own.inconsistent else Severity.WARNING
        commands = ("ctpolicy history", "ctpolicy recover")
        message = "A change is not through:"
        yield Finding("unfinished", Area.OURS, severity, message, "", commands, own.unfinished)


def _boot(own: Own) -> Finding:
    code = "boot-service"
    if isinstance(own.unit, Unseen):
        return Finding(code, Area.OURS, Severity.UNKNOWN, f"The boot service was not looked for: {own.unit.why}.")
    has_rules = bool(own.in_force) and not isinstance(own.in_force, Unseen)
    needed = Severity.WARNING if has_rules else Severity.FINE
    if own.unit is not None and own.unit.enabled:
        return Finding(code, Area.OURS, Severity.FINE, f"{own.unit.path} restores what was confirmed at boot.")
    if own.unit is not None:
        message = f"{own.unit.path} is installed, and not enabled: nothing is restored at boot."
        return Finding(code, Area.OURS, needed, message, "", ("systemctl enable --now ctpolicy",))
    if not own.runs_systemd:
        message = "Nothing restores rules at boot, and systemd does not run this machine."
        return Finding(code, Area.OURS, needed, message, "Have what boots it run this:", ("ctpolicy restore",))
    message = "The boot service is not installed: what is applied is gone after a reboot."
    commands = ("ctpolicy install-service", "systemctl daemon-reload", "systemctl enable --now ctpolicy")
    return Finding(code, Area.OURS, needed, message, "", commands)
