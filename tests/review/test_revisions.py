"""The policies of a base: at a git revision or in files, with the lists that they name, and what is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ctpolicy.errors import DeadlineError, HostError, InputError
from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.load import load_sources
from ctpolicy.language.source import LARGEST_POLICY
from ctpolicy.review import git
from ctpolicy.review.git import find_git
from ctpolicy.review.revisions import read_base, sources_at

POLICY = "apiVersion: ctpolicy/v1\nname: x\nbypass:\n  - {name: vxlan, overlay: vxlan}\n"
WITH_LIST = """apiVersion: ctpolicy/v1
name: x
groups:
  nodes: {file: FILE}
bypass:
  - {name: vxlan, overlay: vxlan, peers: nodes}
"""


class Worktree:
    """A git repository for a test, with an identity of its own and nobody's settings."""

    def __init__(self, top: Path) -> None:
        self.top = top
        top.mkdir(exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        who = {f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {**who, "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "-c", "protocol.file.allow=always", *arguments]
        done = subprocess.run(command, cwd=self.top, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, path: str, text: str) -> Path:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def worktree(tmp_path: Path) -> Worktree:
    return Worktree(tmp_path / "repository")


def test_policy_is_read_as_it_was(worktree: Worktree) -> None:
    path = worktree.write("policies/worker.yaml", POLICY)
    commit = worktree.commit()
    path.write_text("not a policy any more")
    base = read_base(["main"], [path])
    assert [source.text for source in base.sources] == [POLICY]
    assert base.words == f"revision {commit[:12]} (main)"
    assert base.sources[0].name == f"{commit[:12]}:policies/worker.yaml"
    assert base.new == ()


@pytest.mark.parametrize("revision", ["HEAD~1", "first", "HEAD^", "main@{1}", "HEAD^{/first}"])
def test_revisions_are_named_as_git_does(worktree: Worktree, revision: str) -> None:
    path = worktree.write("worker.yaml", POLICY)
    worktree.git("add", "-A")
    worktree.git("commit", "-qm", "first")
    worktree.git("tag", "-a", "first", "-m", "an annotated tag")
    path.write_text("another")
    worktree.commit()
    assert [source.text for source in read_base([revision], [path]).sources] == [POLICY]


def test_commit_itself_is_not_told_twice(worktree: Worktree) -> None:
    path = worktree.write("worker.yaml", POLICY)
    commit = worktree.commit()
    assert read_base([commit], [path]).words == read_base([commit[:9]], [path]).words == f"revision {commit[:12]}"


def test_path_may_be_relative_and_the_working_directory_below(
    worktree: Worktree, monkeypatch: pytest.MonkeyPatch
) -> None:
    worktree.write("policies/worker.yaml", POLICY)
    worktree.write("policies/more/here", "")
    worktree.commit()
    monkeypatch.chdir(worktree.top / "policies" / "more")
    for path in (Path("../worker.yaml"), Path("../../policies/worker.yaml")):
        assert [source.text for source in read_base(["HEAD"], [path]).sources] == [POLICY]
    monkeypatch.chdir(worktree.top / "policies")
    assert [source.text for source in read_base(["HEAD"], [Path("worker.yaml")]).sources] == [POLICY]


def test_policies_of_several_repositories_are_each_read_from_their_own(tmp_path: Path, worktree: Worktree) -> None:
    other = Worktree(tmp_path / "other")
    paths = [worktree.write("one.yaml", POLICY), other.write("two.yaml", POLICY.replace("vxlan", "geneve"))]
    commits = [worktree.commit(), other.commit()]
    base = read_base(["main"], paths)
    assert ["vxlan" in source.text for source in base.sources] == [True, False]
    assert base.words == f"revisions {commits[0][:12]}, {commits[1][:12]} (main)"


def test_hook_of_git_may_review_whatever_it_sets(worktree: Worktree, monkeypatch: pytest.MonkeyPatch) -> None:
    path = worktree.write("worker.yaml", POLICY)
    worktree.commit()
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")
    assert read_base(["HEAD"], [path]).sources


def test_policy_that_is_not_in_the_revision_is_new(worktree: Worktree) -> None:
    old = worktree.write("old.yaml", POLICY)
    worktree.commit()
    new = worktree.write("new.yaml", POLICY)
    base = read_base(["HEAD"], [old, new])
    assert base.new == (str(new),)
    assert len(base.sources) == 1


def test_address_lists_are_read_from_the_same_revision(worktree: Worktree) -> None:
    path = worktree.write("policies/worker.yaml", WITH_LIST.replace("FILE", "lists/../lists/nodes.txt"))
    nodes = worktree.write("policies/lists/nodes.txt", "10.0.0.1\n")
    worktree.commit()
    nodes.write_text("10.0.0.2\n")
    (entry,) = load_sources(read_base(["HEAD"], [path]).sources).bypass
    (now,) = load_sources(read_base([str(path)], [path]).sources).bypass
    assert "peers" in dir(entry)
    assert [entry.peers.ipv4.intervals, now.peers.ipv4.intervals] == [  # type: ignore[union-attr]
        (((10 << 24) + 1,) * 2,),
        (((10 << 24) + 2,) * 2,),
    ]


@pytest.mark.parametrize("file", ["../outside.txt", "/etc/hostname", "lists/../../outside.txt"])
def test_address_list_outside_of_the_directory_is_refused_at_a_revision_too(worktree: Worktree, file: str) -> None:
    path = worktree.write("policies/worker.yaml", WITH_LIST.replace("FILE", file))
    worktree.write("outside.txt", "10.0.0.1\n")
    worktree.commit()
    with pytest.raises(PolicyError, match="is outside the policy's directory"):
        load_sources(read_base(["HEAD"], [path]).sources)


def test_address_list_that_the_revision_does_not_have_is_told_at_its_line(worktree: Worktree) -> None:
    path = worktree.write("worker.yaml", WITH_LIST.replace("FILE", "nodes.txt"))
    commit = worktree.commit()
    worktree.write("nodes.txt", "10.0.0.1\n")
    with pytest.raises(PolicyError) as raised:
        load_sources(read_base(["HEAD"], [path]).sources)
    assert f"`nodes.txt` is not a file of revision {commit[:12]}" in str(raised.value)
    assert raised.value.diagnostics[0].line == 4


def test_link_is_not_followed(worktree: Worktree, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("10.0.0.1\n")
    path = worktree.write("worker.yaml", WITH_LIST.replace("FILE", "nodes.txt"))
    (worktree.top / "nodes.txt").symlink_to(secret)
    (worktree.top / "link.yaml").symlink_to("worker.yaml")
    worktree.commit()
    with pytest.raises(PolicyError, match="is a symbolic link"):
        load_sources(read_base(["HEAD"], [path]).sources)
    with pytest.raises(PolicyError, match=r"link\.yaml.* is a symbolic link"):
        read_base(["HEAD"], [worktree.top / "link.yaml"])


def test_size_is_asked_before_the_content_is_read(worktree: Worktree, monkeypatch: pytest.MonkeyPatch) -> None:
    path = worktree.write("worker.yaml", "#" * (LARGEST_POLICY + 1))
    worktree.commit()
    monkeypatch.setattr(git.Repository, "content", lambda *_: pytest.fail("it was read"))
    with pytest.raises(PolicyError, match="larger than 4 MiB"):
        read_base(["HEAD"], [path])


@pytest.mark.parametrize(
    "revision", ["nowhere", "--help", "-x", "--output=/tmp/x", "", "main:worker.yaml", "a\0b", "é\n"]
)
def test_what_is_no_revision_is_told(worktree: Worktree, revision: str) -> None:
    path = worktree.write("worker.yaml", POLICY)
    worktree.commit()
    with pytest.raises(InputError, match=r"is no file\."):
        read_base([revision], [path])


def test_shallow_clone_is_told_how_to_have_more(worktree: Worktree, tmp_path: Path) -> None:
    worktree.write("worker.yaml", POLICY)
    first = worktree.commit()
    worktree.commit()
    worktree.git("clone", "-q", "--depth=1", f"file://{worktree.top}", str(tmp_path / "shallow"))
    with pytest.raises(InputError, match="fetch-depth: 0"):
        read_base([first], [tmp_path / "shallow" / "worker.yaml"])


def test_outside_of_a_repository_files_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "worker.yaml"
    path.write_text(POLICY)
    with pytest.raises(InputError, match=r"`main` is no file.* is in no git repository"):
        read_base(["main"], [path])


def test_partial_clone_is_not_completed(worktree: Worktree, tmp_path: Path) -> None:
    """A review fetches nothing, not even what git would by itself."""
    path = worktree.write("worker.yaml", POLICY)
    first = worktree.commit()
    path.write_text("later")
    worktree.commit()
    worktree.git("config", "uploadpack.allowFilter", "true")
    worktree.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = tmp_path / "partial"
    worktree.git("clone", "-q", "--filter=blob:none", f"file://{worktree.top}", str(clone))
    with pytest.raises(InputError, match="partial"):
        read_base([first], [clone / "worker.yaml"])


def test_settings_of_the_repository_run_nothing(worktree: Worktree, tmp_path: Path) -> None:
    path = worktree.write("worker.yaml", POLICY)
    worktree.write(".gitattributes", "* filter=evil diff=evil\n")
    worktree.commit()
    ran = tmp_path / "ran"
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    script.chmod(0o755)
    for setting in (
        *(
            "core.pager",
            "core.fsmonitor",
            "core.editor",
            "core.sshCommand",
            "filter.evil.smudge",
            "filter.evil.process",
        ),
        *("diff.evil.textconv", "diff.external", "alias.cat-file", "uploadpack.packObjectsHook", "core.gitProxy"),
    ):
        worktree.git("config", setting, str(script))
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        worktree.write(f".git/hooks/{hook}", script.read_text()).chmod(0o755)
    ran.unlink(missing_ok=True)
    assert [source.text for source in read_base(["HEAD"], [path]).sources] == [POLICY]
    assert not ran.exists()


def test_repository_of_somebody_else_is_told_and_trusted_if_the_user_does(
    worktree: Worktree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = worktree.write("worker.yaml", POLICY)
    worktree.commit()
    os.chown(worktree.top, 65534, 65534)
    os.chown(worktree.top / ".git", 65534, 65534)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with pytest.raises(InputError, match=r"safe\.directory"):
        read_base(["HEAD"], [path])
    (home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {worktree.top}\n[core]\n\tpager = /nonexistent\n")
    assert read_base(["HEAD"], [path]).sources


def test_files_are_a_base_too(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(POLICY)
    two.write_text(POLICY)
    base = read_base([str(one), str(two)], [tmp_path / "worker.yaml"])
    assert base.words == f"files {one}, {two}"
    assert [source.name for source in base.sources] == [str(one), str(two)]
    assert read_base([str(one)], []).words == f"file {one}"


def test_name_of_a_file_is_a_file_and_no_revision(worktree: Worktree, monkeypatch: pytest.MonkeyPatch) -> None:
    path = worktree.write("worker.yaml", POLICY)
    worktree.commit()
    worktree.write("main", "a file")
    monkeypatch.chdir(worktree.top)
    assert read_base(["main"], [path]).words == "file main"


def test_files_and_revisions_do_not_mix(worktree: Worktree) -> None:
    path = worktree.write("worker.yaml", POLICY)
    worktree.commit()
    for names in ([str(path), "main"], ["main", "HEAD"]):
        with pytest.raises(InputError, match=r"files, or one revision.*`main`"):
            read_base(names, [path])


def test_git_is_not_taken_from_where_the_repository_could_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = tmp_path / "git"
    planted.write_text("#!/bin/sh\n")
    planted.chmod(0o755)
    monkeypatch.setattr(git, "PLACES", ())
    monkeypatch.chdir(tmp_path)
    for path in (".", "", ":", "./"):
        with pytest.raises(HostError, match="git is not installed"):
            find_git(path)
    assert find_git(str(tmp_path)) == str(planted)


def test_git_that_does_not_answer_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(git, "PLACES", (str(tmp_path),))
    monkeypatch.setattr(git, "DEADLINE", 0.2)
    with pytest.raises(DeadlineError):
        sources_at("HEAD", [tmp_path / "worker.yaml"])
