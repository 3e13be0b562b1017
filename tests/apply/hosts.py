"""A host in memory with a clock that tests set, and the doors to it, for the tests of what stands around a commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ctpolicy.apply.clock import Clock
from ctpolicy.apply.place import Place
from ctpolicy.apply.protocol import Doors, Order, apply
from ctpolicy.apply.record import Change
from ctpolicy.apply.state import State
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import Table
from ctpolicy.plan.plan import Plan, plan_policy, plan_return
from policies import policy


class SetClock(Clock):
    """It stands still, and sleeping moves it."""

    def __init__(self) -> None:
        self.booted = "first boot"
        self.seconds = 1000.0
        self.day = "2026-11-22T12:00:00Z"
        self.while_sleeping: Callable[[], None] = lambda: None

    def boot(self) -> str:
        return self.booted

    def since_boot(self) -> float:
        return self.seconds

    def now(self) -> str:
        return self.day

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.while_sleeping()


class MemoryHost:
    """A host that does as it is told, but for what `happens` at a change."""

    def __init__(self) -> None:
        self.live: Table | None = None
        self.changes = 0
        self.happens: Callable[[], None] = lambda: None

    def read(self) -> Table | None:
        return self.live

    def change(self, live: Table | None, desired: Table | None) -> None:
        assert live == self.live
        self.changes += 1
        self.happens()
        self.live = desired


@dataclass
class Scene:
    """A host, what is remembered of it, and what was told."""

    directory: Path
    host: MemoryHost = field(default_factory=MemoryHost)
    clock: SetClock = field(default_factory=SetClock)
    tried_out: list[Table] = field(default_factory=list)
    timers: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def state(self) -> State:
        return State(Place(self.directory / "state", self.directory / "lock"), self.clock)

    @property
    def doors(self) -> Doors[Table]:
        return Doors(self.host, self.state, self._try_out, self._start_timer)

    def _try_out(self, own: Table) -> bool:
        self.tried_out.append(own)
        return True

    def _start_timer(self, change: Change) -> None:
        self.timers.append(change.number)

    def order(self, command: str = "apply", confirm_within: float | None = None) -> Order[Table]:
        return Order(command, lambda _: True, False, confirm_within, 0, self.told.append)

    def apply(self, text: str, confirm_within: float | None = None) -> Plan[Table] | None:
        """Apply a policy as the command does."""
        wanted = policy(text)
        return apply(
            lambda: plan_policy(NFTABLES, wanted, self.host.read()),
            self.order(confirm_within=confirm_within),
            self.doors,
        )

    def remove(self) -> Plan[Table] | None:
        return apply(lambda: plan_return(NFTABLES, self.host.read(), None), self.order("remove"), self.doors)

    def outcomes(self) -> list[str]:
        return [change.outcome.name for change in self.state.changes()]
