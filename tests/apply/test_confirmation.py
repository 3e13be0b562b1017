"""A change that nobody confirms is taken back; one that was confirmed stays, whatever clocks and reboots do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from apply.hosts import Scene
from ctpolicy.apply.confirmation import confirm, take_back, wait_and_take_back
from ctpolicy.apply.protocol import Doors
from ctpolicy.apply.recovery import recover, restore
from ctpolicy.errors import CtpolicyError, InconsistentError, LockError, NotAppliedError, RefusedError, StaleError
from ctpolicy.netfilter.backend import Backend
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import Other, Table
from policies import METRICS, VXLAN, table

OLD, NEW = table(VXLAN), table(METRICS)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A host on which one policy was applied, and another awaits confirmation for a minute."""
    found = Scene(tmp_path)
    found.apply(VXLAN)
    found.apply(METRICS, confirm_within=60)
    assert found.host.live == NEW
    return found


def reached(scene: Scene) -> tuple[Backend[Table], Doors[Table]]:
    return NFTABLES, scene.doors


def test_the_timer_is_started_before_anything_is_written(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    started_at_change: list[list[int]] = []
    scene.host.happens = lambda: started_at_change.append(list(scene.timers))
    scene.apply(VXLAN, confirm_within=60)
    assert started_at_change == [[1]]
    assert scene.outcomes() == ["PENDING"]


def test_a_timer_that_does_not_start_is_a_reason_to_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path)

    def fail(_: object) -> None:
        raise CtpolicyError("No process can be started.")

    monkeypatch.setattr(scene, "_start_timer", fail)
    with pytest.raises(CtpolicyError, match="No process"):
        scene.apply(VXLAN, confirm_within=60)
    assert scene.host.changes == 0
    assert scene.outcomes() == ["PUT_BACK"]


def test_what_was_confirmed_stays(scene: Scene) -> None:
    confirm(scene.state)
    wait_and_take_back(2, *reached(scene))
    assert scene.host.live == NEW
    assert scene.outcomes() == ["DONE", "CONFIRMED"]
    kept = scene.state.confirmed("nftables")
    assert kept is not None
    assert kept.own == NFTABLES.written(NEW)


def test_what_nobody_confirmed_is_taken_back_when_its_time_is_up(scene: Scene) -> None:
    began = scene.clock.seconds
    wait_and_take_back(2, *reached(scene))
    assert scene.clock.seconds == pytest.approx(began + 60)
    assert scene.host.live == OLD
    assert scene.outcomes() == ["DONE", "REVERTED"]


def test_a_confirmation_ends_the_waiting_at_once(scene: Scene) -> None:
    began = scene.clock.seconds

    def confirm_once() -> None:
        if scene.state.open_change():
            confirm(scene.state)

    scene.clock.while_sleeping = confirm_once
    wait_and_take_back(2, *reached(scene))
    assert scene.clock.seconds < began + 3
    assert scene.host.live == NEW


def test_a_time_of_day_that_jumps_means_nothing(scene: Scene) -> None:
    scene.clock.day = "1970-01-01T00:00:00Z"
    began = scene.clock.seconds
    wait_and_take_back(2, *reached(scene))
    assert scene.clock.seconds == pytest.approx(began + 60)


def test_one_change_at_a_time_awaits_confirmation(scene: Scene) -> None:
    told = r"Change 2 .*`ctpolicy confirm`.*`ctpolicy rollback`"
    for confirm_within in (None, 5):
        with pytest.raises(LockError, match=told):
            scene.apply(VXLAN, confirm_within)
    with pytest.raises(LockError, match=told):
        scene.remove()
    assert scene.host.live == NEW
    confirm(scene.state)
    scene.apply(VXLAN)
    assert scene.host.live == OLD


def test_there_is_nothing_to_confirm_twice_or_too_late(scene: Scene) -> None:
    wait_and_take_back(2, *reached(scene))
    with pytest.raises(StaleError, match=r"Nothing awaits confirmation. The last change, 2, was: taken back."):
        confirm(scene.state)
    with pytest.raises(StaleError, match="Nothing awaits"):
        confirm(Scene(scene.directory / "other").state)


def test_what_is_taken_back_by_hand_is_not_taken_back_again(scene: Scene) -> None:
    with scene.state.locked(0):
        take_back(scene.state.change(2), "By hand.", *reached(scene))
    scene.apply("bypass: [{name: other, ports: udp/1}]")
    live = scene.host.live
    wait_and_take_back(2, *reached(scene))
    assert scene.host.live == live


def test_taking_back_is_tried_again(scene: Scene) -> None:
    failures = [RefusedError("It said no."), RefusedError("And again.")]

    def fail_twice() -> None:
        if failures:
            raise failures.pop(0)

    scene.host.happens = fail_twice
    wait_and_take_back(2, *reached(scene))
    assert scene.host.live == OLD
    assert scene.outcomes()[-1] == "REVERTED"


def test_what_could_not_be_taken_back_is_remembered_and_told(scene: Scene) -> None:
    def fail() -> None:
        raise RefusedError("It said no.")

    scene.host.happens = fail
    with pytest.raises(NotAppliedError):
        wait_and_take_back(2, *reached(scene))
    last = scene.state.changes()[-1]
    assert last.outcome.name == "INCONSISTENT"
    assert "could not be taken back: It said no." in last.note
    scene.host.happens = lambda: None
    assert recover(scene.state, lambda _: reached(scene)) != []
    assert scene.host.live == OLD


def test_a_reboot_before_the_confirmation_comes_up_with_what_was_confirmed(scene: Scene) -> None:
    scene.clock.booted, scene.clock.seconds, scene.host.live = "second boot", 3.0, None
    restore(scene.state, lambda _: reached(scene))
    assert scene.host.live == OLD
    assert scene.outcomes() == ["DONE", "REVERTED", "DONE"]
    with pytest.raises(StaleError):
        confirm(scene.state)
    scene.apply(METRICS)
    assert scene.host.live == NEW


def test_a_reboot_after_the_confirmation_comes_up_with_what_was_confirmed(scene: Scene) -> None:
    confirm(scene.state)
    scene.clock.booted, scene.host.live = "second boot", None
    restore(scene.state, lambda _: reached(scene))
    assert scene.host.live == NEW


def test_a_host_without_a_boot_service_is_not_blocked_by_what_the_reboot_has_ended(scene: Scene) -> None:
    scene.clock.booted, scene.host.live = "second boot", None
    scene.apply(METRICS)
    assert scene.outcomes() == ["DONE", "REVERTED", "DONE"]


def test_a_restore_while_a_change_awaits_confirmation_ends_the_waiting(scene: Scene) -> None:
    """As when nftables.service is restarted meanwhile, which flushes all, and ctpolicy.service after it."""
    scene.host.live = None
    restore(scene.state, lambda _: reached(scene))
    assert scene.host.live == OLD
    assert scene.outcomes() == ["DONE", "REVERTED", "DONE"]


def test_an_apply_that_dies_while_it_has_to_be_confirmed_is_taken_back(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.apply(VXLAN)

    class KilledError(BaseException):
        pass

    def die() -> None:
        scene.host.live = NEW
        raise KilledError

    scene.host.happens = die
    with pytest.raises(KilledError):
        scene.apply(METRICS, confirm_within=60)
    scene.host.happens = lambda: None
    assert scene.outcomes() == ["DONE", "BEGUN"]
    with pytest.raises(StaleError):
        confirm(scene.state)
    wait_and_take_back(2, *reached(scene))
    assert scene.host.live == OLD


def test_what_others_had_put_there_and_nobody_can_make_again_does_not_keep_an_unconfirmed_change(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    scene.host.live = replace(OLD, others=(Other("counter", "mine"),))
    scene.apply(METRICS, confirm_within=60)
    assert scene.told == ["Somebody else put this there, and no rollback can bring it back: counter mine."]
    wait_and_take_back(1, *reached(scene))
    assert scene.host.live == OLD


def test_an_inconsistent_take_back_says_what_to_do_by_hand(scene: Scene) -> None:
    def become_neither() -> None:
        scene.host.live = table("bypass: [{name: x, ports: udp/1}]")
        raise RefusedError("It said no.")

    scene.host.happens = become_neither
    with scene.state.locked(0), pytest.raises(InconsistentError):
        take_back(scene.state.change(2), "By hand.", *reached(scene))
