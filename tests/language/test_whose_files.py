"""Whose files root acts on: every way in which somebody else could have a hand in one is refused, and no other."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import pytest

from ctpolicy.language import trust
from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.load import load_files
from ctpolicy.language.trust import ROOT, UntrustedError, Writers, open_trusted, whoever_asked
from kernel.namespace import skip_but_for_ci

STRANGER: Final = 12345
US: Final = Writers(frozenset({0, os.geteuid()}), frozenset({0}))
POLICY: Final = "apiVersion: ctpolicy/v1\nname: x\nbypass: [{name: a, overlay: vxlan, peers: nodes}]\n"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy and its list, two directories down, which nobody else can write."""
    directory = tmp_path / "etc" / "policies"
    directory.mkdir(parents=True, mode=0o755)
    (directory / "nodes.txt").write_text("10.0.0.1\n")
    (directory / "policy.yaml").write_text(POLICY + "groups: {nodes: {file: nodes.txt}}\n")
    return directory / "policy.yaml"


def give(path: Path, user: int = -1, group: int = -1) -> None:
    try:
        os.chown(path, user, group, follow_symlinks=False)
    except OSError:
        skip_but_for_ci("only root of the machine gives files away")


def content(path: Path, writers: Writers = US) -> bytes:
    descriptor = open_trusted(path, writers)
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
        return file.read()


def test_what_nobody_else_can_write_is_read(policy: Path) -> None:
    assert content(policy) == policy.read_bytes()
    assert load_files([policy], US).name == "x"


@pytest.mark.parametrize("above", range(3))
@pytest.mark.parametrize("mode", [stat.S_IWOTH, stat.S_IWGRP])
def test_a_file_or_directory_above_it_that_others_may_write_is_refused(policy: Path, above: int, mode: int) -> None:
    path = (policy, *policy.parents)[above]
    path.chmod(path.stat().st_mode | mode)
    if mode == stat.S_IWGRP:
        give(path, group=STRANGER)
    with pytest.raises(UntrustedError) as told:
        content(policy)
    assert told.value.remedy == f"chmod go-w {path}"
    path.chmod(path.stat().st_mode & ~mode)
    content(policy)


@pytest.mark.parametrize("above", range(3))
def test_a_file_or_directory_above_it_of_another_is_refused(policy: Path, above: int) -> None:
    path = (policy, *policy.parents)[above]
    give(path, STRANGER)
    with pytest.raises(UntrustedError, match=f"belongs to user {STRANGER}") as told:
        content(policy)
    assert told.value.remedy == f"chown root {path}"


def test_a_sticky_directory_is_fine_for_what_is_ones_own_and_not_for_anothers(policy: Path) -> None:
    policy.parent.chmod(0o1777)
    content(policy)
    give(policy, STRANGER)
    with pytest.raises(UntrustedError, match=f"policy.yaml belongs to user {STRANGER}"):
        content(policy)


def test_a_strangers_link_in_a_sticky_directory_is_refused(policy: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "link").symlink_to(policy)
    assert content(tmp_path / "link") == policy.read_bytes()
    give(tmp_path / "link", STRANGER)
    with pytest.raises(UntrustedError, match=f"link belongs to user {STRANGER}"):
        content(tmp_path / "link")


def test_a_link_to_where_others_may_write_is_refused(policy: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("etc/../etc/policies/policy.yaml")
    assert content(tmp_path / "link") == policy.read_bytes()
    policy.parent.chmod(0o777)
    with pytest.raises(UntrustedError, match="policies may be written by everybody"):
        content(tmp_path / "link")


def test_a_link_from_where_others_may_write_is_refused(policy: Path, tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.mkdir()
    (public / "link").symlink_to(policy)
    public.chmod(0o777)
    with pytest.raises(UntrustedError, match="public may be written by everybody"):
        content(public / "link")


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        content(tmp_path / "one")


def test_neither_a_pipe_nor_a_device_by_name_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises((OSError, UntrustedError)):
            content(path)


def test_what_the_caller_has_opened_is_read(policy: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    assert content(Path(f"/dev/fd/{reading}")) == b"piped"
    os.close(reading)
    descriptor = os.open(policy, os.O_RDONLY)
    assert content(Path(f"/proc/self/fd/{descriptor}")) == policy.read_bytes()
    policy.chmod(0o666)
    with pytest.raises(UntrustedError):
        content(Path(f"/dev/fd/{descriptor}"))
    os.close(descriptor)


@pytest.mark.parametrize("looks", range(1, 12))
def test_what_is_put_in_its_place_while_it_is_looked_at_is_never_read(
    policy: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """As by somebody who may write the directory after all, at each moment: the old content, or a refusal."""
    evil, seen = policy.parent / "evil", 0
    evil.write_text("evil")
    evil.chmod(0o666)
    before, looked = policy.read_bytes(), trust._look

    def swapping(descriptor: int, path: Path, writers: Writers) -> os.stat_result:
        nonlocal seen
        found = looked(descriptor, path, writers)
        seen += 1
        if seen == looks and evil.exists():
            evil.replace(policy)
        return found

    monkeypatch.setattr(trust, "_look", swapping)
    try:
        assert content(policy) == before
    except UntrustedError as refused:
        assert "policy.yaml may be written by everybody" in str(refused)
        assert seen >= looks


def test_of_whom_sudo_names_files_are_taken(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(policy, STRANGER)
    give(policy.parent, STRANGER, STRANGER)
    policy.parent.chmod(0o775)  # a user's own group, and the umask 002 that goes with it
    with pytest.raises(PolicyError, match="could be changed by others"):
        load_files([policy], whoever_asked())
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    with pytest.raises(PolicyError, match=f"may be written by group {STRANGER}"):
        load_files([policy], whoever_asked())
    monkeypatch.setenv("SUDO_GID", "100")  # everybody's group
    with pytest.raises(PolicyError, match=f"may be written by group {STRANGER}"):
        load_files([policy], whoever_asked())
    monkeypatch.setenv("SUDO_GID", str(STRANGER))
    assert load_files([policy], whoever_asked()).name == "x"


@pytest.mark.parametrize("said", ["", "x", "-1", "0x10", "1 2", "٣"])
def test_what_is_no_number_names_nobody(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    before = whoever_asked()
    monkeypatch.setenv("SUDO_UID", said)
    assert whoever_asked() == before


def test_root_alone_is_root_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert set(ROOT.users) == set(ROOT.groups) == {0}
    assert STRANGER in whoever_asked().users or os.geteuid() != 0


def test_an_address_list_is_looked_at_like_its_policy(policy: Path) -> None:
    (policy.parent / "nodes.txt").chmod(0o666)
    with pytest.raises(PolicyError) as told:
        load_files([policy], US)
    assert "`nodes.txt` could be changed by others, and with it this host" in str(told.value)
    assert f"chmod go-w {policy.parent}/nodes.txt" in str(told.value)
    assert load_files([policy]).name == "x"  # to look at it, anybody's is taken
