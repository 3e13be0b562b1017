"""Whichever call fails, in whichever way, a machine ends as it was, as planned, or is said to be neither.

And where it is said to be neither, what people are told to run leads to what was planned; and where ctpolicy was
killed, so do `recover` and simply running it again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from apply.machine import BACKENDS, Machine, count_something, seen
from ctpolicy.errors import CtpolicyError, InconsistentError
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.transaction import removal
from ctpolicy.testing.failures import Killed, Way, ways_to_fail
from policies import policy

OLD: Final = policy("""
groups: {nodes: [10.0.0.0/24, 10.0.2.0/24, "fd00:7::/64"], gone: [192.0.2.1, 192.0.2.9, "fd00:8::/64"]}
bypass:
  - {name: vxlan, overlay: vxlan, peers: nodes}
  - {name: old, ports: udp/4000, paths: [in, out]}
  - {name: dns, host-service: udp/53, peers: gone}
""")
NEW: Final = policy("""
groups: {nodes: [10.0.0.0/24, 10.0.4.0/24, "fd00:9::/64"], come: [198.51.100.1, 198.51.100.9, "fd00:a::/64"]}
bypass:
  - {name: vxlan, overlay: vxlan, peers: nodes}
  - {name: new, ports: udp/5000}
  - {name: metrics, host-service: tcp/9100, peers: come}
""")

SOURCE: Final = {
    "nftables": "iptables-legacy",
    "iptables-nft": "nftables",
    "iptables-legacy": "iptables-nft",
}
"""From where a migration to a backend comes."""


@dataclass(frozen=True)
class Command:
    """What is run, and the states that may come of it.

    Args:
        sets_out: makes the machine what it is before.
        runs: the command, for a backend.
        new: what is to be live in the end; None for nothing.
    """

    sets_out: Callable[[Machine, str], object]
    runs: Callable[[Machine, str], object]
    new: Policy | None


def nothing(machine: Machine, name: str) -> None:
    """The machine as it comes."""


def old_applied(machine: Machine, name: str) -> None:
    machine.apply(name, OLD)
    count_something(machine, name)


def both_applied(machine: Machine, name: str) -> None:
    machine.apply(name, NEW)
    old_applied(machine, name)


COMMANDS: Final = {
    "a first apply": Command(nothing, lambda machine, name: machine.apply(name, NEW), NEW),
    "apply": Command(old_applied, lambda machine, name: machine.apply(name, NEW), NEW),
    "remove": Command(old_applied, Machine.remove, None),
    "rollback": Command(both_applied, Machine.rollback, NEW),
    "migrate": Command(
        lambda machine, name: old_applied(machine, SOURCE[name]),
        lambda machine, name: machine.migrate(SOURCE[name], name, NEW),
        NEW,
    ),
}

DOORS: Final = ("nftables", "iptables")

each_backend = pytest.mark.parametrize("name", BACKENDS)
each_command = pytest.mark.parametrize("command", COMMANDS)
_AS_ANOTHER: Final = {"lacks", "crashed", "hung", "hung when done"}
"""Ways that differ from another one by the words of the error alone."""
each_way = pytest.mark.parametrize(
    "way", [pytest.param(way, marks=[pytest.mark.soak] if way in _AS_ANOTHER else []) for way in ways_to_fail()]
)


@pytest.fixture(autouse=True)
def _nothing_is_flushed_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power fails here, and waiting for the disk would take a third of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Stage:
    """A machine before a command, of which there are as many copies as are wanted."""

    def __init__(self, command: str, name: str, directory: Path) -> None:
        self.command = COMMANDS[command]
        self.name = name
        self._directory = directory
        self._copies = 0
        self._start = Machine.made(directory / "start")
        self.command.sets_out(self._start, name)
        self.before = seen(self._start)
        self.old = self.owns(self._start)
        done = self.machine()
        self.run(done)
        self.new = self.owns(done)
        self._calls = {door: len(done.door(door).calls) for door in DOORS}

    def machine(self) -> Machine:
        self._copies += 1
        return self._start.copied(self._directory / f"{self._copies}")

    def run(self, machine: Machine) -> None:
        self.command.runs(machine, self.name)

    def owns(self, machine: Machine) -> dict[str, Any]:
        """What each backend has."""
        return {name: machine.live(name) for name in BACKENDS}

    def calls(self) -> Iterator[tuple[str, int]]:
        """Every call of either door that the command makes when nothing fails: the door, and its number there."""
        for door, last in self._calls.items():
            yield from ((door, number) for number in range(len(self._start.door(door).calls) + 1, last + 1))

    def last_call(self, name: str) -> int:
        """The number of the last call of the command to a backend's door."""
        return self._calls["nftables" if name == "nftables" else "iptables"]

    def failing(self, door: str, number: int, way: Way) -> Machine:
        machine = self.machine()
        machine.door(door).fail_at(number, *way)
        return machine


def run_again(stage: Stage, machine: Machine) -> None:
    """Run the command once more; for a rollback, which would undo itself if it was through, apply what it leads to."""
    machine.start_again()
    if stage.command is COMMANDS["rollback"]:
        machine.apply(stage.name, NEW)
    else:
        stage.run(machine)
    assert stage.owns(machine) == stage.new
    assert not [change for change in machine.state.changes() if change.is_open]


def do_as_told(stage: Stage, machine: Machine, told: str) -> None:
    """Follow the instructions to start again, and then run the command."""
    machine.start_again()
    for name, backend in BACKENDS.items():
        if backend.by_hand not in told:
            continue
        if name != "nftables":
            assert f"ctpolicy remove --backend {name}`" in told
            machine.remove(name)
        elif machine.live(name) is not None:
            assert "`nft delete table inet ctpolicy`" in told
            machine.kernel.commit(removal(machine.live(name)))
    if "To go on, run" in told:
        assert f"`ctpolicy remove --backend {SOURCE[stage.name]}`" in told
        machine.remove(SOURCE[stage.name])
    elif stage.command.new is not None and stage.owns(machine) != stage.new:
        if stage.command is COMMANDS["migrate"] and machine.live(SOURCE[stage.name]) is None:
            machine.apply(stage.name, NEW)
        else:
            run_again(stage, machine)
    assert stage.owns(machine) == stage.new


def recovered(stage: Stage, machine: Machine) -> None:
    """Let `recover` look at what a killed process left, and hold what it says against what it does."""
    machine.start_again()
    left = stage.owns(machine)
    told = machine.recover()
    ends = [stage.old, stage.new]
    if stage.command is COMMANDS["migrate"]:  # two changes: between them both backends have rules
        ends.append({**stage.old, stage.name: stage.new[stage.name]})
    assert stage.owns(machine) in ends
    for sentence in told:
        assert ("was put back" in sentence) == (stage.owns(machine) != left), sentence
    assert not [change for change in machine.state.changes() if change.is_open]
    assert machine.recover() == []


def ends_well(stage: Stage, make: Callable[[], Machine]) -> None:
    """Run the command on a machine, and see that it ends in one of the ways that it may."""
    machine = make()
    try:
        stage.run(machine)
    except Killed:
        recovered(stage, machine)
        run_again(stage, machine)
        at_once = make()
        with pytest.raises(Killed):
            stage.run(at_once)
        run_again(stage, at_once)
    except InconsistentError as told:
        assert told.exit_status == 4
        assert "as it was before." not in str(told).replace("not as it was before.", "") or "To go on" in str(told)
        do_as_told(stage, machine, str(told))
        to_recover = make()
        with pytest.raises(InconsistentError):
            stage.run(to_recover)
        recovered(stage, to_recover)
    except CtpolicyError:
        assert seen(machine) == stage.before
        assert not [change for change in machine.state.changes() if change.is_open]
        run_again(stage, machine)
    else:
        assert stage.owns(machine) == stage.new
        assert not [change for change in machine.state.changes() if change.is_open]
    others = [line for line in seen(machine) if "others" in line.lower()]
    assert others == [line for line in stage.before if "others" in line.lower()] != []


@each_backend
@each_command
@each_way
def test_any_call_may_fail(command: str, name: str, way: str, tmp_path: Path) -> None:
    stage = Stage(command, name, tmp_path)
    assert stage.old != stage.new
    for door, number in stage.calls():
        ends_well(stage, lambda: stage.failing(door, number, ways_to_fail()[way]))  # noqa: B023 (called at once)


AFTER_IT: Final = ("refused", "crashed when done", "killed", "killed when done")


def ends_well_or_is_told(stage: Stage, machine: Machine) -> None:
    """As ends_well, where more than one call fails: then it may well not be put back, but that is said."""
    try:
        stage.run(machine)
    except Killed:
        recovered(stage, machine)
        run_again(stage, machine)
    except InconsistentError as told:
        do_as_told(stage, machine, str(told))
    except CtpolicyError:
        assert seen(machine) == stage.before
    else:
        assert stage.owns(machine) == stage.new


@each_backend
@pytest.mark.parametrize("command", ["apply", pytest.param("remove", marks=pytest.mark.soak)])
@pytest.mark.parametrize("second", AFTER_IT)
def test_what_is_put_back_may_fail_too(command: str, name: str, second: str, tmp_path: Path) -> None:
    stage = Stage(command, name, tmp_path)
    for door, number in stage.calls():
        for later in range(1, 4):
            machine = stage.failing(door, number, ways_to_fail()["refused"])
            machine.door(door).fail_at(number + later, *ways_to_fail()[second])
            ends_well_or_is_told(stage, machine)


@each_backend
@pytest.mark.parametrize("way", ["killed", "killed when done"])
def test_recover_may_be_killed_too(name: str, way: str, tmp_path: Path) -> None:
    stage = Stage("apply", name, tmp_path)
    door = stage.machine().door(name)
    for number in range(len(door.calls) + 1, stage.last_call(name) + 1):
        for later in range(1, 20):
            machine = stage.failing(name, number, (Killed(), True))
            with pytest.raises(Killed):
                stage.run(machine)
            machine.start_again()
            machine.door(name).fail_at(number + later, *ways_to_fail()[way])
            try:
                machine.recover()
            except Killed:
                recovered(stage, machine)
                run_again(stage, machine)
            else:
                break  # it was through before it made so many calls
        else:
            raise AssertionError("recover makes more calls than were tried")


THIRD: Final = policy("bypass: [{name: web, host-service: tcp/80}]")


def killed_when_its_first_change_was_done(machine: Machine, name: str, wanted: Policy) -> None:
    door = machine.door(name)
    door.fail_at_change(len(door.changing) + 1, Killed(), True)
    with pytest.raises(Killed):
        machine.apply(name, wanted)
    machine.start_again()


@each_backend
def test_two_that_were_killed_do_not_undo_what_came_after_them(name: str, tmp_path: Path) -> None:
    """Only the last of them was ended by the next apply. `recover` then put back what was live before the first one."""
    machine = Machine.made(tmp_path / "state")
    machine.apply(name, OLD)
    before = machine.live(name)
    killed_when_its_first_change_was_done(machine, name, NEW)
    killed_when_its_first_change_was_done(machine, name, THIRD)
    machine.apply(name, NEW)
    wanted = machine.live(name)
    assert machine.recover() == []
    assert machine.live(name) == wanted != before
    machine.rollback(name)
    assert machine.live(name) == before


@each_backend
def test_two_that_were_killed_are_put_back_to_what_was_before_the_first(name: str, tmp_path: Path) -> None:
    machine = Machine.made(tmp_path / "state")
    machine.apply(name, OLD)
    before = machine.live(name)
    killed_when_its_first_change_was_done(machine, name, NEW)
    killed_when_its_first_change_was_done(machine, name, THIRD)
    machine.recover()
    assert machine.live(name) == before
    assert machine.recover() == []


@each_backend
def test_an_apply_to_another_backend_does_not_end_what_was_interrupted_in_this_one(name: str, tmp_path: Path) -> None:
    """It was written down as mended, though half of it was still there."""
    machine = Machine.made(tmp_path / "state")
    machine.apply(name, OLD)
    before = machine.live(name)
    killed_when_its_first_change_was_done(machine, name, NEW)
    machine.apply(SOURCE[name], THIRD)
    assert len(machine.recover()) == 1
    assert machine.live(name) == before
