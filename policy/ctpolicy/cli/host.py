"""The host that a command is about: this one, another namespace, or what was saved of one elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from ctpolicy.apply import timer
from ctpolicy.apply.place import is_the_hosts, place_of
from ctpolicy.apply.protocol import Doors
from ctpolicy.apply.record import Change
from ctpolicy.apply.state import State
from ctpolicy.cli.options import read_file
from ctpolicy.cli.surroundings import surroundings
from ctpolicy.cli.waiting import bar
from ctpolicy.conntrack.reader import Conntrack
from ctpolicy.errors import HostError, InputError
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.host import IptablesHost, read_raw_tables
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.native import check_printable
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.language.load import load_files
from ctpolicy.language.policy import Policy
from ctpolicy.language.trust import whoever_asked
from ctpolicy.namespaces import namespace_path, scratch_namespace
from ctpolicy.netfilter.backend import Backend, Host
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.host import NftablesHost
from ctpolicy.nftables.kernel import Libnftables
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.ruleset import Ruleset
from ctpolicy.plan.dump import read_dump
from ctpolicy.plan.live import Live
from ctpolicy.plan.plan import Plan, plan_compiled, plan_return, with_consequences

BACKENDS: Final = ("nftables", *(f"iptables-{variant.value}" for variant in Variant))
"""The names that `--backend` takes."""

_OF_IPTABLES_NFT: Final = {("ip", "raw"), ("ip6", "raw")}


def backend_named(name: str | None, with_sets: bool = True) -> Backend[Any]:
    """The backend of this name; nftables for none."""
    if name in {None, NFTABLES.name}:
        return NFTABLES
    return next(one for variant in Variant if (one := IptablesBackend(variant, with_sets)).name == name)


def state_of(netns: str | None, root: Path | None) -> State:
    """What is remembered of the host, or of a network namespace; in another directory than usual if one is given."""
    return State(place_of(namespace_path(netns) if netns else None, root))


def doors_of(backend: Backend[Any], netns: str | None, root: Path | None) -> Doors[Any]:
    """What a change of the host needs."""
    state = state_of(netns, root)

    def try_out(own: Any) -> bool:
        with scratch_namespace() as scratch:
            if scratch is not None:
                _host_at(backend, scratch).change(None, own)
            return scratch is not None

    def start_timer(change: Change) -> None:
        where = ["--netns", str(namespace_path(netns))] if netns else []
        other = ["--state", str(root.absolute())] if root else []
        arguments = ["await-confirmation", str(change.number), "--backend", backend.name, *where, *other]
        # systemd runs its units in the host's own namespace.
        may_be_unit = netns is not None or is_the_hosts()
        timer.start(arguments, state.directory_of(change), f"ctpolicy-confirm-{change.number}", may_be_unit)

    return Doors(host_of(backend, netns), state, try_out, start_timer)


def _host_at(backend: Backend[Any], namespace: Path | None) -> Host[Any]:
    if isinstance(backend, IptablesBackend):
        return IptablesHost(IptablesTools(namespace), backend.variant)
    return NftablesHost(Libnftables(namespace))


def host_of(backend: Backend[Any], netns: str | None) -> Host[Any]:
    """The running host, or a network namespace given by name or path, for one backend."""
    return _host_at(backend, namespace_path(netns) if netns else None)


def conntrack_of(netns: str | None) -> Conntrack:
    """The conntrack table of the running host, or of a network namespace given by name or path."""
    return Conntrack(namespace_path(netns) if netns else None)


def read_live(netns: str | None, dump: Path | None = None, backend: Backend[Any] = NFTABLES) -> Live:
    """Everything live, whoever it belongs to. What others may have there and cannot be read is told, not fatal.

    Raises:
        InputError: both a namespace and a dump were given, or one of them is not there.
        HostError: what the backend itself may have there cannot be read.
    """
    if dump is None:
        return _HostReader(namespace_path(netns) if netns else None, backend).read()
    if netns is not None:
        raise InputError("Either --netns or --live: a saved listing is of no namespace.")
    return read_dump(read_file(dump))


class _HostReader:
    """Reads a running host with all the tools that may show anything of it."""

    def __init__(self, namespace: Path | None, backend: Backend[Any]) -> None:
        self._namespace = namespace
        self._tools = IptablesTools(namespace)
        self._own = backend.variant if isinstance(backend, IptablesBackend) else None
        self._unread: list[str] = []

    def read(self) -> Live:
        with ThreadPoolExecutor(max_workers=1) as others:
            legacy = others.submit(self._variant, Variant.LEGACY)
            listing, tables = self._tables()
            raw: dict[Variant, RawTables] = {}
            if self._own is Variant.NFT or any((table.family, table.name) in _OF_IPTABLES_NFT for table in tables):
                raw |= self._variant(Variant.NFT, listing)
            raw |= legacy.result()
        has_ipset = self._own is None or self._tools.sets() is not None
        return Live(tables, raw, tuple(self._unread), has_ipset)

    def _tables(self) -> tuple[str, Ruleset]:
        try:
            listing = Libnftables(self._namespace).listing()
        except HostError as error:
            if self._own is None:
                raise
            self._unread.append(f"the tables of nftables ({error})")
            return "", ()
        return listing, read_text(listing)

    def _variant(self, variant: Variant, listing: str = "") -> dict[Variant, RawTables]:
        try:
            if listing:
                check_printable(listing)
            return {variant: read_raw_tables(self._tools, variant)}
        except HostError as error:
            if variant is self._own:
                raise
            self._unread.append(f"the raw tables of iptables-{variant.value} ({error})")
            return {}


def fitting(backend: Backend[Any], live: Live) -> Backend[Any]:
    """The backend as far as the host has what it needs: without ipsets where there are none."""
    if isinstance(backend, IptablesBackend) and backend.with_sets and not live.has_ipset:
        return replace(backend, with_sets=False)
    return backend


def plan_files(
    policies: Sequence[Path],
    netns: str | None,
    dump: Path | None = None,
    backend: Backend[Any] = NFTABLES,
    only_to_look: bool = False,
) -> Plan[Any]:
    """Plan to make the policies in files live; raises as plan_loaded does.

    Args:
        policies: their files. Those that others could have written are refused, because what is planned gets done.
        netns: the network namespace; None for this host's.
        dump: a saved listing to plan against instead.
        backend: what is to keep the rules.
        only_to_look: take anybody's files, because nothing will be done.
    """
    writers = None if only_to_look else whoever_asked()
    return plan_loaded(partial(load_files, policies, writers), netns, dump, backend)


def plan_loaded(
    load: Callable[[], Policy], netns: str | None, dump: Path | None = None, backend: Backend[Any] = NFTABLES
) -> Plan[Any]:
    """Plan to make a policy live. The kernel lists a large table for as long as its policy is read and compiled.

    Args:
        load: reads the policy.
        netns: the network namespace; None for this host's.
        dump: a saved listing to plan against instead.
        backend: what is to keep the rules.

    Raises:
        PolicyError: the policy has mistakes.
        InputError: both a namespace and a dump were given, or one of them is not there.
        HostError: what is live cannot be read, or is somebody else's.
    """
    with ThreadPoolExecutor(max_workers=1) as other:
        reading = other.submit(read_live, netns, dump, backend)
        policy = load()
        desired = backend.compile(policy)
        live = reading.result()
    if fitting(backend, live) != backend:
        backend = fitting(backend, live)
        desired = backend.compile(policy)
    own = live.own(backend)
    plan = plan_compiled(backend, policy, desired, own, partial(live.foreign, backend))
    with bar() as told:
        around = partial(surroundings, live, netns)
        shadows = partial(live.shadows, backend)
        plan = with_consequences(plan, around, partial(live.foreign, backend), policy, told, shadows)
    # What a chain does to packets is compared as if they came to it; that they do not has to be said.
    faults = [f"Not in force now: {fault}." for fault in backend.faults(own)] if own is not None else []
    return replace(plan, notes=(*live.notes(), *faults))


def plan_to_return(netns: str | None, backend: Backend[Any], desired: Any) -> Plan[Any]:
    """Plan to make live again what a backend once had there; None for nothing, which removes what is there."""
    live = read_live(netns, backend=backend)
    beside = partial(live.foreign, backend)
    plan = plan_return(backend, live.own(backend), desired, beside)
    with bar() as told:
        plan = with_consequences(plan, partial(surroundings, live, netns), beside, told=told)
    return replace(plan, notes=tuple(live.notes()))
