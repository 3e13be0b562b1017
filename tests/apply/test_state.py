"""What is remembered of a host: whole or not there, ours alone, and only as much as anybody goes back to."""

from __future__ import annotations

import gzip
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from apply.hosts import Scene
from ctpolicy.apply.files import Directory
from ctpolicy.apply.lock import locked
from ctpolicy.apply.record import Outcome
from ctpolicy.apply.snapshot import Snapshot, packed, unpacked
from ctpolicy.apply.state import MOST_CHANGES
from ctpolicy.errors import InputError, LockError, StateError
from ctpolicy.nftables.backend import NFTABLES
from policies import METRICS, VXLAN, table

ENTRY = "bypass: [{{name: web, host-service: tcp/{}}}]"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_change_is_remembered_with_what_was_before_and_after(scene: Scene) -> None:
    scene.apply(VXLAN)
    scene.apply(METRICS)
    first, second = scene.state.changes()
    assert (first.number, second.number, second.command, second.backend) == (1, 2, "apply", "nftables")
    assert second.outcome is Outcome.DONE
    before, after = scene.state.before(second), scene.state.after(second)
    assert before.own is not None
    assert after.own is not None
    assert NFTABLES.read_written(before.own) == table(VXLAN)
    assert NFTABLES.read_written(after.own) == table(METRICS)
    assert scene.state.confirmed("nftables") == after


def test_a_second_apply_remembers_no_change(scene: Scene) -> None:
    scene.apply(VXLAN)
    scene.apply(VXLAN)
    assert len(scene.state.changes()) == 1
    assert scene.host.changes == 1


def test_what_was_live_already_is_restored_at_the_next_boot_once_it_was_applied(scene: Scene) -> None:
    scene.host.live = table(VXLAN)
    scene.apply(VXLAN)
    kept = scene.state.confirmed("nftables")
    assert kept is not None
    assert kept.own == NFTABLES.written(table(VXLAN))


def test_files_and_directories_are_nobody_elses(scene: Scene) -> None:
    old = os.umask(0)
    try:
        scene.apply(VXLAN)
    finally:
        os.umask(old)
    found = list(scene.directory.rglob("*"))
    assert len(found) > 6
    for path in found:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_the_last_changes_are_kept_and_older_ones_go(scene: Scene) -> None:
    for number in range(1, MOST_CHANGES + 4):
        scene.apply(ENTRY.format(1000 + number))
    assert [change.number for change in scene.state.changes()] == list(range(4, MOST_CHANGES + 4))
    with pytest.raises(InputError, match="no change 1"):
        scene.state.change(1)


@pytest.mark.parametrize("damage", [b"", b"x", b"{}", b"[1]", b"\x1f\x8b broken", b"null"])
def test_a_damaged_record_is_shown_and_takes_nothing_along(scene: Scene, damage: bytes) -> None:
    scene.apply(VXLAN)
    scene.apply(METRICS)
    first = scene.directory / "state/changes/000001/change.json"
    first.write_bytes(damage)
    assert scene.outcomes() == ["DAMAGED", "DONE"]
    scene.apply(VXLAN)
    assert scene.outcomes() == ["DAMAGED", "DONE", "DONE"]


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


DAMAGES: Final[tuple[Callable[[bytes], bytes], ...]] = (
    flip,
    lambda content: content[:-9],
    lambda _: b"",
    lambda _: b"{}",
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_snapshot_is_known_as_such(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(StateError, match="a file is damaged"):
        unpacked(damage(packed(Snapshot("nftables", "x" * 1000))), "a file")


def test_a_snapshot_that_somebody_edited_is_known_as_such() -> None:
    content = gzip.decompress(packed(Snapshot("nftables", "accept"))).replace(b"accept", b"except")
    with pytest.raises(StateError, match="damaged"):
        unpacked(gzip.compress(content), "a file")


def test_a_snapshot_comes_back_as_it_was() -> None:
    for own in (None, "", "text", '"\udc80"'):
        assert unpacked(packed(Snapshot("nftables", own)), "a file") == Snapshot("nftables", own)


def test_a_directory_that_others_may_write_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(StateError, match="chmod 0700"):
        Directory(tmp_path / "open")


def test_symbolic_links_are_not_followed(scene: Scene, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (scene.directory / "state").symlink_to(elsewhere)
    with pytest.raises(StateError, match="state"):
        scene.apply(VXLAN)
    assert scene.host.live is None
    assert not list(elsewhere.iterdir())


def test_a_link_in_the_place_of_a_file_is_not_followed(scene: Scene, tmp_path: Path) -> None:
    scene.apply(VXLAN)
    secret = tmp_path / "secret"
    secret.write_text("{}")
    record = scene.directory / "state/changes/000001/change.json"
    record.unlink()
    record.symlink_to(secret)
    assert scene.outcomes() == ["DAMAGED"]


def test_what_was_never_finished_is_not_seen_and_goes(scene: Scene) -> None:
    scene.apply(VXLAN)
    left = scene.directory / "state/changes/.new"
    left.mkdir(mode=0o700)
    (left / "before.json.gz").write_bytes(b"half")
    assert scene.outcomes() == ["DONE"]
    scene.apply(METRICS)
    assert scene.outcomes() == ["DONE", "DONE"]
    assert not left.exists()


def test_one_change_at_a_time(tmp_path: Path) -> None:
    message = f"process {os.getpid()} changes this host"
    with locked(tmp_path / "run", 0), pytest.raises(LockError, match=message), locked(tmp_path / "run", 0.1):
        pytest.fail("two hold the lock")
    with locked(tmp_path / "run", 0):
        pass
