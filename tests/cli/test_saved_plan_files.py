"""Saved plans on the command line, against saved listings: no privilege, and no host."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ctpolicy.nftables.backend import NFTABLES
from kernel.command_line import Ran, done, ran
from policies import METRICS, VXLAN, table

NOTHING = '{"nftables": []}'


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(f"apiVersion: ctpolicy/v1\nname: tested\n{METRICS}")
    return path


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """A listing of a host with another policy."""
    path = tmp_path / "dump.json"
    path.write_text(NFTABLES.written(table(VXLAN)))
    return path


def save(policy: Path, dump: Path) -> Path:
    out = dump.parent / "change.json"
    done("plan", "--live", dump, "--out", out, policy)
    return out


def test_a_plan_is_printed_as_without_saving(policy: Path, dump: Path) -> None:
    out = dump.parent / "change.json"
    saved = done("plan", "--live", dump, "--out", out, policy)
    assert saved == done("plan", "--live", dump, policy) == done("plan", "--live", dump, out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    as_json = done("plan", "--live", dump, "--json", out)
    assert json.loads(as_json) == json.loads(done("plan", "--live", dump, "--json", policy))
    assert ran("plan", "--live", dump, "--detailed-exitcode", out).status == 10


def test_a_stale_plan_is_shown_and_then_told_with_what_moved(policy: Path, dump: Path) -> None:
    out = save(policy, dump)
    dump.write_text(NOTHING)
    ended = ran("plan", "--live", dump, out)
    assert ended.status == 7
    assert ended.output == done("plan", "--live", dump, policy)
    assert "  ~ what is live of ctpolicy's:\n    - table inet ctpolicy\n" in ended.errors
    assert "Plan again" in ended.errors


def test_what_others_wrote_does_not_reach_the_terminal(policy: Path, dump: Path) -> None:
    out = save(policy, dump)
    listed = json.loads(dump.read_text())
    rule = {"family": "inet", "table": "ctpolicy", "chain": "made_by_ctpolicy", "comment": "\x1b[2J\u202e"}
    listed["nftables"].append({"rule": rule | {"expr": [{"accept": None}]}})
    dump.write_text(json.dumps(listed))
    ended = ran("plan", "--live", dump, out)
    assert ended.status == 7
    assert "made_by_ctpolicy" in ended.errors
    assert not {"\x1b", "\u202e"} & set(ended.errors + ended.output)


def test_the_files_may_change_or_go(policy: Path, dump: Path) -> None:
    before = done("plan", "--live", dump, policy)
    out = save(policy, dump)
    policy.unlink()
    assert done("plan", "--live", dump, out) == before


def test_a_saved_plan_is_given_alone_and_says_its_backend(policy: Path, dump: Path) -> None:
    out = save(policy, dump)
    for command in ("plan", "apply"):
        for arguments in (
            [out, policy],
            [policy, out],
            [out, out],
            ["--backend", "nftables", out],
            ["--no-ipset", out],
        ):
            assert "saved plan" in refused(command, *arguments)
    assert "already" in refused("plan", "--live", dump, "--out", out.with_name("more.json"), out)
    assert not out.with_name("more.json").exists()


def refused(*arguments: str | Path) -> str:
    """What is said of wrong input; nothing else may be printed."""
    ended: Ran = ran(*arguments)
    assert (ended.status, ended.output) == (2, ""), ended
    assert "Traceback" not in ended.errors
    return ended.errors


def test_a_damaged_plan_is_told_as_such_and_not_as_a_policy(policy: Path, dump: Path) -> None:
    out = save(policy, dump)
    whole = out.read_text()
    for damaged in (
        whole[:-50],
        whole.replace("tcp/9100", "tcp/9101"),
        whole.replace("saved-plan/v1", "saved-plan/v2"),
    ):
        out.write_text(damaged)
        for command in ("plan", "apply"):
            assert "saved plan" in refused(command, out)
    out.write_bytes(whole.encode() + b"\xff")
    assert "cannot be read" in refused("apply", out)


def test_a_plan_that_others_can_write_is_looked_at_and_not_applied(policy: Path, dump: Path) -> None:
    out = save(policy, dump)
    out.chmod(0o666)
    assert "may be written by everybody" in refused("apply", out)
    done("plan", "--live", dump, out)


def test_nothing_but_a_file_is_written_over(policy: Path, dump: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    link = tmp_path / "link"
    link.symlink_to(target)
    for out in (link, tmp_path, tmp_path / "nowhere" / "out.json", Path("/dev/null")):
        assert "cannot be written" in refused("plan", "--live", dump, "--out", out, policy)
    assert target.read_text() == "precious"
    assert link.is_symlink()
    link.unlink()
    link.symlink_to(tmp_path / "not-there")
    assert "cannot be written" in refused("plan", "--live", dump, "--out", link, policy)


def test_a_plan_is_saved_in_the_place_of_another_and_nothing_is_left_beside_it(policy: Path, dump: Path) -> None:
    out = save(policy, dump)
    out.chmod(0o644)
    before = {path.name for path in out.parent.iterdir()}
    save(policy, dump)
    assert {path.name for path in out.parent.iterdir()} == before
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_a_policy_with_mistakes_is_not_saved(dump: Path, tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text("apiVersion: ctpolicy/v1\nname: faulty\nbypass: [{name: v, overlay: vxlen}]\n")
    assert "did you mean `vxlan`?" in refused("plan", "--live", dump, "--out", tmp_path / "out.json", faulty)
    assert not (tmp_path / "out.json").exists()


def test_where_both_variants_are_in_use_the_backend_must_be_said_when_a_plan_is_saved(
    policy: Path, tmp_path: Path
) -> None:
    both = tmp_path / "both"
    both.write_text(
        "".join(
            f"# Generated by iptables-save v1.8.9 ({variant})\n*raw\n:PREROUTING ACCEPT [0:0]\n"
            f"-A PREROUTING -p udp -j CT --notrack\nCOMMIT\n{between}"
            for variant, between in (("legacy", "# Generated by ip6tables-save v1.8.9 (legacy)\n"), ("nf_tables", ""))
        )
    )
    out = tmp_path / "out.json"
    assert "--backend" in refused("plan", "--live", both, "--out", out, policy)
    assert not out.exists()
    done("plan", "--live", both, "--out", out, "--backend", "iptables-nft", policy)
    assert json.loads(out.read_text())["backend"] == {"name": "iptables-nft", "ipset": True}
    done("plan", "--live", both, out)


def test_a_policy_from_a_pipe_is_not_looked_into(policy: Path, dump: Path) -> None:
    """What was read of it to see whether it is a saved plan would be lost."""
    import os
    import threading

    pipe = dump.parent / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(policy.read_text(),))
    writer.start()
    assert "host-service" not in done("plan", "--live", dump, pipe)
    writer.join()
