"""Whatever an interrupted change has left is mended, by `recover` and by the next change alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apply.hosts import Scene
from ctpolicy.apply.recovery import recover, restore
from ctpolicy.errors import HostError, InconsistentError, RefusedError, StateError
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import Table
from policies import METRICS, VXLAN, table

OLD, NEW, NEITHER = table(VXLAN), table(METRICS), table("bypass: [{name: web, host-service: tcp/80}]")


class KilledError(BaseException):
    """As a SIGKILL: no handler of ours runs."""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    found = Scene(tmp_path)
    found.apply(VXLAN)
    return found


def die_leaving(scene: Scene, live: Table | None, change: Callable[[], object]) -> None:
    def die() -> None:
        scene.host.live = live
        raise KilledError

    scene.host.happens = die
    with pytest.raises(KilledError):
        change()
    scene.host.happens = lambda: None


def recovered(scene: Scene) -> list[str]:
    return recover(scene.state, lambda _: (NFTABLES, scene.doors))


@pytest.mark.parametrize(
    ("left", "found", "after", "outcome"),
    [
        (OLD, "had changed nothing", OLD, "PUT_BACK"),
        (NEW, "was done; it is kept", NEW, "DONE"),
        (NEITHER, "was put back", OLD, "RECOVERED"),
        (None, "was put back", OLD, "RECOVERED"),
    ],
)
def test_recover_ends_with_the_old_or_the_new(
    scene: Scene, left: Table | None, found: str, after: Table, outcome: str
) -> None:
    die_leaving(scene, left, lambda: scene.apply(METRICS))
    (told,) = recovered(scene)
    assert found in told
    assert scene.host.live == after
    assert scene.outcomes() == ["DONE", outcome]
    assert recovered(scene) == []


def test_what_was_done_and_interrupted_is_restored_at_boot_once_it_was_recovered(scene: Scene) -> None:
    die_leaving(scene, NEW, lambda: scene.apply(METRICS))
    recovered(scene)
    kept = scene.state.confirmed("nftables")
    assert kept is not None
    assert kept.own == NFTABLES.written(NEW)


@pytest.mark.parametrize("left", [OLD, NEW, NEITHER, None])
def test_the_next_apply_needs_no_recover(scene: Scene, left: Table | None) -> None:
    die_leaving(scene, left, lambda: scene.apply(METRICS))
    scene.apply(METRICS)
    assert scene.host.live == NEW
    assert not [change for change in scene.state.changes() if change.is_open]


def test_a_rollback_after_a_crash_never_leads_to_what_was_half_done(scene: Scene) -> None:
    die_leaving(scene, NEITHER, lambda: scene.apply(METRICS))
    scene.apply(METRICS)
    last = scene.state.changes()[-1]
    assert scene.state.before(last).own == NFTABLES.written(OLD)


def test_an_interrupted_removal_is_recovered(scene: Scene) -> None:
    die_leaving(scene, None, scene.remove)
    assert "was done" in recovered(scene)[0]
    assert scene.host.live is None


def test_what_was_left_inconsistent_is_put_back_once_that_works_again(scene: Scene) -> None:
    def fail() -> None:
        scene.host.live = NEITHER
        raise RefusedError("It said no.")

    scene.host.happens = fail
    with pytest.raises(InconsistentError):
        scene.apply(METRICS)
    scene.host.happens = lambda: None
    recovered(scene)
    assert scene.host.live == OLD


def test_a_failed_change_is_remembered_with_its_reason(scene: Scene) -> None:
    def fail() -> None:
        raise RefusedError("It said no.")

    scene.host.happens = fail
    with pytest.raises(Exception, match="It said no"):
        scene.apply(METRICS)
    last = scene.state.changes()[-1]
    assert (last.outcome.name, last.note) == (
        "PUT_BACK",
        "It said no. The host was read again and is as it was before.",
    )
    kept = scene.state.confirmed("nftables")
    assert kept is not None
    assert kept.own == NFTABLES.written(OLD)


def test_without_room_for_a_snapshot_nothing_is_changed(scene: Scene) -> None:
    (scene.directory / "state/changes").chmod(0o755)
    with pytest.raises(StateError):
        scene.apply(METRICS)
    assert scene.host.live == OLD


def test_what_was_done_and_cannot_be_written_down_says_so(scene: Scene) -> None:
    def spoil() -> None:
        (scene.directory / "state/confirmed").chmod(0o755)

    scene.host.happens = spoil
    with pytest.raises(InconsistentError, match="made and verified, but that could not be written down"):
        scene.apply(METRICS)
    assert scene.host.live == NEW


def test_rules_that_the_kernel_does_not_take_are_found_before_anything_is_changed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Table) -> bool:
        raise RefusedError("It knows no fib.")

    monkeypatch.setattr(scene, "_try_out", refuse)
    with pytest.raises(HostError, match=r"It knows no fib\. That was a trial in a scratch namespace: nothing"):
        scene.apply(METRICS)
    assert scene.host.changes == 1
    assert scene.outcomes() == ["DONE"]


def test_where_there_is_no_scratch_namespace_that_is_said(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene, "_try_out", lambda _: False)
    scene.apply(METRICS)
    assert scene.told == ["Not tried out first: no scratch network namespace is to be had here (CAP_SYS_ADMIN)."]


def test_restore_makes_live_what_was_applied_last(scene: Scene) -> None:
    scene.apply(METRICS)
    scene.host.live = None
    assert restore(scene.state, lambda _: (NFTABLES, scene.doors)) == ["nftables: what was confirmed is live again."]
    assert scene.host.live == NEW
    assert restore(scene.state, lambda _: (NFTABLES, scene.doors)) == ["nftables: what was confirmed is live."]


def test_restore_after_a_removal_restores_nothing(scene: Scene) -> None:
    scene.remove()
    restore(scene.state, lambda _: (NFTABLES, scene.doors))
    assert scene.host.live is None


def test_restore_where_nothing_was_applied_does_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert restore(scene.state, lambda _: (NFTABLES, scene.doors)) == []
