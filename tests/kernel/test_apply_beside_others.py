"""Apply where others are at work too: another apply, somebody who flushes, a disk that is full or not to be written."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import pytest

from kernel.command_line import done, each_backend, ran
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

COMMAND: Final = (sys.executable, "-c", "from ctpolicy.cli.main import main; main()")
NAMES: Final = ("a", "b", "c", "d")
STATUSES: Final = {0, 3, 4}
"""Done; put back; or, if it was flushed again while it was put back, told to be inconsistent."""


def written(directory: Path, name: str) -> Path:
    path = directory / f"{name}.yaml"
    path.write_text(f"apiVersion: ctpolicy/v1\nname: {name}\nbypass: [{{name: {name}, host-service: udp/4789}}]\n")
    return path


def entries(namespace: Namespace) -> list[str]:
    return [one["name"] for one in json.loads(done("status", "--json", "--netns", namespace.path))["entries"]]


def test_applies_at_once_are_made_one_after_the_other(namespace: Namespace, tmp_path: Path) -> None:
    where = ("--netns", namespace.path, "--state", tmp_path / "state")
    paths = [written(tmp_path, name) for name in NAMES]
    running = [
        subprocess.Popen([*COMMAND, *map(str, ("apply", "--yes", *where, path))], stdout=subprocess.PIPE)
        for path in paths
    ]
    for process in running:
        process.communicate(timeout=60)
    assert [process.returncode for process in running] == [0, 0, 0, 0]
    changes = json.loads(done("history", "--json", *where))["changes"]
    assert sorted(change["policy"] for change in changes) == list(NAMES)
    assert {change["outcome"] for change in changes} == {"done"}
    assert entries(namespace) == [changes[-1]["policy"]]


def test_an_apply_that_does_not_get_its_turn_says_who_has_it(namespace: Namespace, tmp_path: Path) -> None:
    where = ("--netns", namespace.path, "--state", tmp_path / "state")
    policy = written(tmp_path, "a")
    done("apply", "--yes", *where, policy)
    (lock,) = (tmp_path / "state").rglob("lock")
    holder = subprocess.Popen(["flock", str(lock), "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write(b"held\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == b"held\n"
    found = ran("remove", "--yes", "--lock-wait", "0.2", *where)
    holder.communicate()
    assert found.status == 6
    assert "changes this host and held" in found.errors
    assert entries(namespace) == ["a"]


def test_somebody_who_flushes_all_the_time_is_told_of_and_mended(namespace: Namespace, tmp_path: Path) -> None:
    where = ("--netns", namespace.path, "--state", tmp_path / "state")
    paths = [written(tmp_path, name) for name in NAMES]
    ended = threading.Event()

    def flush() -> None:
        while not ended.wait(0.05):
            namespace.run("nft", "flush", "ruleset")

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        found = [ran("apply", "--yes", *where, path) for path in paths * 2]
    finally:
        ended.set()
        thread.join()
    assert {one.status for one in found} <= STATUSES, [one.errors for one in found if one.status not in STATUSES]
    assert not any("bug" in one.errors for one in found)
    done("apply", "--yes", *where, paths[0])
    assert entries(namespace) == ["a"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [("size=8k", "No space left on device. Make room there."), ("ro", "Read-only file system. Mount it writable")],
)
def test_without_a_place_for_snapshots_nothing_is_changed(
    namespace: Namespace, tmp_path: Path, options: str, reason: str
) -> None:
    policy = tmp_path / "many.yaml"
    peers = ", ".join(f"10.{high}.{low * 7 % 256}.0/24" for high in range(64) for low in range(0, 256, 3))
    policy.write_text(f"apiVersion: ctpolicy/v1\nname: many\nbypass: [{{name: a, ports: udp/1, peers: [{peers}]}}]\n")
    policy.write_text(policy.read_text().replace("ports: udp/1", "host-service: udp/1"))
    state = tmp_path / "state"
    state.mkdir()
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
    arguments = [*COMMAND, "apply", "--yes", "--netns", str(namespace.path), "--state", str(state), str(policy)]
    found = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", f"mode=0700,{options}", str(state), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 5
    assert reason in found.stderr
    assert "ctpolicy" not in namespace.ruleset()


@pytest.mark.parametrize("file", ["before.json.gz", "after.json.gz", "change.json"])
def test_a_damaged_snapshot_is_never_gone_back_to(namespace: Namespace, tmp_path: Path, file: str) -> None:
    where = ("--netns", namespace.path, "--state", tmp_path / "state")
    for name in NAMES:
        done("apply", "--yes", *where, written(tmp_path, name))
    (damaged,) = (tmp_path / "state").rglob(f"000003/{file}")
    damaged.write_bytes(damaged.read_bytes()[:-20])
    found = ran("rollback", "--yes", "3", *where)
    if file == "before.json.gz":
        assert found.status == 5
        assert "damaged" in found.errors
        assert entries(namespace) == ["d"]
    else:
        assert found.status == 0
        assert entries(namespace) == ["b"]
    done("rollback", "--yes", "2", *where)
    assert entries(namespace) == ["a"]


def test_rollback_is_a_change_that_can_be_rolled_back(namespace: Namespace, tmp_path: Path) -> None:
    where = ("--netns", namespace.path, "--state", tmp_path / "state")
    assert ran("rollback", "--yes", *where).status == 2
    for name in ("a", "b"):
        done("apply", "--yes", *where, written(tmp_path, name))
    done("rollback", "--yes", *where)
    assert entries(namespace) == ["a"]
    done("rollback", "--yes", *where)
    assert entries(namespace) == ["b"]
    done("rollback", "--yes", "1", *where)
    assert entries(namespace) == []
    assert ran("rollback", "--yes", "99", *where).status == 2


@each_backend
def test_what_was_removed_comes_back_by_a_rollback(namespace: Namespace, tmp_path: Path, backend: str) -> None:
    where = ("--netns", namespace.path, "--state", tmp_path / "state")
    done("apply", "--yes", "--backend", backend, *where, written(tmp_path, "a"))
    done("remove", "--yes", "--backend", backend, *where)
    done("rollback", "--yes", *where)
    found = json.loads(done("status", "--json", "--backend", backend, "--netns", namespace.path, *where[2:]))
    assert [one["name"] for one in found["entries"]] == ["a"]
    assert found["drift"] is False


def test_after_a_reboot_what_was_applied_is_restored_and_nothing_else(namespace: Namespace, tmp_path: Path) -> None:
    where = ("--netns", namespace.path, "--state", tmp_path / "state")
    assert "nothing to restore" in done("restore", *where)
    for backend in ("nftables", "iptables-nft"):
        done("apply", "--yes", "--backend", backend, *where, written(tmp_path, "a"))
    before = sorted(namespace.ruleset().splitlines())  # tables are listed in the order in which they were made
    namespace.run("nft", "flush", "ruleset")
    done("restore", *where)
    assert sorted(namespace.ruleset().splitlines()) == before
    done("restore", *where)
    assert sorted(namespace.ruleset().splitlines()) == before
