"""A machine in memory with the doors to its backends, and ctpolicy's commands on it."""

from __future__ import annotations

import copy
import json
import re
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from ctpolicy.apply.migration import migrate
from ctpolicy.apply.place import Place
from ctpolicy.apply.protocol import Doors, Order, apply, own_of
from ctpolicy.apply.record import Change
from ctpolicy.apply.recovery import recover, restore
from ctpolicy.apply.state import State
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.backend import Backend, Host
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.host import NftablesHost
from ctpolicy.nftables.read import find_table, read_text
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.plan import Plan
from ctpolicy.testing.failures import FailingDoor
from ctpolicy.testing.fake_nftables import FakeLibnftables
from ctpolicy.testing.fake_tools import FakeTools

_ALL: Final[tuple[Backend[Any], ...]] = (NFTABLES, *(IptablesBackend(variant) for variant in Variant))
BACKENDS: Final = {backend.name: backend for backend in _ALL}

_OTHERS_RAW: Final = """*raw
:OTHERS - [0:0]
[3:300] -A OUTPUT -p tcp -m tcp --dport 80 -j OTHERS
[0:0] -A PREROUTING -j OTHERS
[5:500] -A OTHERS -s 192.0.2.0/24 -j NOTRACK
COMMIT
"""
_INSIDE_OTHERS: Final = {"family": "ip", "table": "others"}
_OTHERS_NFT: Final = {
    "nftables": [
        {"add": {"table": {"family": "ip", "name": "others"}}},
        {"add": {"chain": _INSIDE_OTHERS | {"name": "forward"}}},
        {"add": {"rule": _INSIDE_OTHERS | {"chain": "forward", "expr": [{"counter": {"packets": 3, "bytes": 300}}]}}},
    ]
}


@dataclass
class Machine:
    """One machine, with what others have on it.

    Args:
        directory: where ctpolicy keeps what it remembers.
    """

    directory: Path
    kernel: FakeLibnftables = field(default_factory=FakeLibnftables)
    tools: FakeTools = field(default_factory=FakeTools)

    @classmethod
    def made(cls, directory: Path) -> Machine:
        machine = cls(directory)
        machine.kernel.commit(_OTHERS_NFT)
        machine.tools.restore_sets("create others hash:net family inet\nadd others 192.0.2.1\n")
        for variant in Variant:
            for family, source in zip(Family, ("192.0.2.0/24", "2001:db8::/32"), strict=True):
                machine.tools.restore(variant, family, _OTHERS_RAW.replace("192.0.2.0/24", source))
        return machine

    def copied(self, directory: Path) -> Machine:
        """Another that is the same in everything, and remembers the same elsewhere."""
        if self.directory.exists():
            shutil.copytree(self.directory, directory)
        self.kernel.documents.clear()
        return Machine(directory, copy.deepcopy(self.kernel), copy.deepcopy(self.tools))

    @property
    def state(self) -> State:
        return State(Place(self.directory / "state", self.directory / "lock"))

    def door(self, name: str) -> FailingDoor:
        return self.kernel if name == NFTABLES.name else self.tools

    def host(self, name: str) -> Host[Any]:
        return _host(BACKENDS[name], self.kernel, self.tools)

    def doors(self, name: str) -> Doors[Any]:
        def try_out(own: Any) -> bool:
            _host(BACKENDS[name], FakeLibnftables(), FakeTools()).change(None, own)
            return True

        return Doors(self.host(name), self.state, try_out, _no_timer)

    def live(self, name: str) -> Any:
        """What is ours."""
        return undisturbed(self).host(name).read()

    def apply(self, name: str, policy: Policy) -> Plan[Any] | None:
        return self._apply(name, "apply", _compiled(name, policy))

    def remove(self, name: str) -> Plan[Any] | None:
        return self._apply(name, "remove", None)

    def rollback(self, name: str) -> Plan[Any] | None:
        """Undo the last change."""
        before = own_of(BACKENDS[name], self.state.before(self.state.changes()[-1]))
        return self._apply(name, "rollback", before)

    def migrate(self, source: str, target: str, policy: Policy) -> None:
        old, new = BACKENDS[source], BACKENDS[target]
        migrate(lambda: self.apply(target, policy), lambda: self.remove(source), old, new)

    def recover(self) -> list[str]:
        return recover(self.state, lambda name: (BACKENDS[name], self.doors(name)), 0)

    def restore(self) -> list[str]:
        return restore(self.state, lambda name: (BACKENDS[name], self.doors(name)), 0)

    def start_again(self) -> None:
        """A process that was killed is followed by others, of which no call fails."""
        self.kernel.start_again()
        self.tools.start_again()

    def _apply(self, name: str, command: str, desired: Any) -> Plan[Any] | None:
        order: Order[Any] = Order(command, lambda _: True, lock_wait=0)
        doors = self.doors(name)
        # Without what it does to traffic, which takes most of the time and is nothing to the host.
        return apply(lambda: Plan(BACKENDS[name], "tested", doors.host.read(), desired), order, doors)


@cache
def _compiled(name: str, policy: Policy) -> Any:
    return BACKENDS[name].compile(policy)


def seen(machine: Machine) -> list[str]:
    """Everything that is there, others' too, with what has been counted, but without handles."""
    watched = undisturbed(machine)
    tables = json.loads(re.sub(r'"handle": \d+', '"handle": 0', watched.kernel.listing()))["nftables"]
    # Rules stay in their order, and other objects have none.
    listed = [json.dumps(one, sort_keys=True) for one in tables]
    rules = sorted((one for one in listed if '{"rule"' in one), key=lambda one: json.loads(one)["rule"]["chain"])
    raw = [
        line
        for variant in Variant
        for family in Family
        for line in (watched.tools.save(variant, family) or "").splitlines()
    ]
    objects = sorted(_in_order(one) for one in tables if "rule" not in one)
    return [*objects, *rules, *raw, *sorted((watched.tools.sets() or "").splitlines())]


def _in_order(listed: dict[str, Any]) -> str:
    ((kind, body),) = listed.items()
    elements = {"elem": sorted(map(json.dumps, body["elem"]))} if "elem" in body else {}
    return json.dumps({kind: body | elements}, sort_keys=True)


def undisturbed(machine: Machine) -> Machine:
    """The same machine as it is at this moment, to be looked at without a call that counts or fails."""
    return Machine(machine.directory, machine.kernel.undisturbed(), machine.tools.undisturbed())


def count_something(machine: Machine, name: str) -> None:
    """Let packets come by our rules."""
    if name != NFTABLES.name:
        variant = Variant(name.removeprefix("iptables-"))
        for family in Family:
            lines = (machine.tools.save(variant, family) or "").splitlines()
            rules = [f"[7:700] {line[6:]}" for line in lines if line.startswith("[0:0] -A CTPOLICY-")]
            headers = [line for line in lines if line.startswith(":CTPOLICY-")]
            machine.tools.restore(variant, family, "\n".join(["*raw", *headers, *rules, "COMMIT"]))
        return
    ours = find_table(read_text(machine.kernel.table_listing()), "inet", "ctpolicy")
    assert ours is not None
    own = json.loads(NFTABLES.written(ours).replace('"packets": 0, "bytes": 0', '"packets": 7, "bytes": 700'))
    delete = {"delete": {"table": {"family": "inet", "name": "ctpolicy"}}}
    machine.kernel.commit({"nftables": [delete, *({"add": one} for one in own["nftables"])]})


def _host(backend: Backend[Any], kernel: FakeLibnftables, tools: FakeTools) -> Host[Any]:
    return IptablesHost(tools, backend.variant) if isinstance(backend, IptablesBackend) else NftablesHost(kernel)


def _no_timer(change: Change) -> None:
    raise AssertionError(f"change {change.number} needs no confirmation")
