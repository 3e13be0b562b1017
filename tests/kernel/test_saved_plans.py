"""A plan is saved, reviewed and applied as it is; when the host has moved meanwhile, nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.command_line import EXAMPLES, done, ran
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

BEFORE = EXAMPLES / "ntp-server.yaml"
AFTER = EXAMPLES / "openshift-worker.yaml"

each_backend = pytest.mark.parametrize("backend", ["nftables", "iptables-nft", "iptables-legacy"])


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTPOLICY_STATE", str(tmp_path / "state"))


def saved(namespace: Namespace, tmp_path: Path, backend: str = "nftables") -> Path:
    """A host with one policy, and a plan for another."""
    done("apply", "--backend", backend, "--netns", namespace.path, "--yes", BEFORE)
    out = tmp_path / "change.json"
    done("plan", "--backend", backend, "--netns", namespace.path, "--out", out, AFTER)
    return out


@each_backend
def test_a_saved_plan_is_applied(backend: str, namespace: Namespace, tmp_path: Path) -> None:
    out = saved(namespace, tmp_path, backend)
    assert "Applied" in done("apply", "--netns", namespace.path, "--yes", out)
    assert "Nothing to do" in done("plan", "--backend", backend, "--netns", namespace.path, AFTER)
    assert "Nothing to do" in done("apply", "--netns", namespace.path, "--yes", out)


@each_backend
def test_a_plan_that_was_made_elsewhere_is_applied_here(backend: str, namespace: Namespace, tmp_path: Path) -> None:
    done("apply", "--backend", backend, "--netns", namespace.path, "--yes", BEFORE)
    tools = [["nft", "-j", "list", "ruleset"]]
    if backend != "nftables":
        variant = backend.removeprefix("iptables-")
        tools = [[f"{tool}-{variant}-save", "-t", "raw"] for tool in ("iptables", "ip6tables")] + [["ipset", "save"]]
    dump = tmp_path / "dump"
    dump.write_text("".join(namespace.run(*tool).stdout for tool in tools))
    out = tmp_path / "change.json"
    done("plan", "--backend", backend, "--live", dump, "--out", out, AFTER)
    assert "Applied" in done("apply", "--netns", namespace.path, "--yes", out)


@pytest.mark.parametrize(
    ("move", "line"),
    [
        ("delete table inet ctpolicy", "  ~ what is live of ctpolicy's:\n    - table inet ctpolicy\n"),
        ("add rule inet ctpolicy prerouting counter drop", "      ~ chain prerouting\n          + counter drop\n"),
        ("add set inet ctpolicy extra { type ipv4_addr; }", "set extra\n"),
        ("add counter inet ctpolicy mine", "      + counter mine\n"),
        (
            "table ip theirs { chain p { type filter hook prerouting priority -300; udp dport 99 notrack; }; }",
            "  ~ what others' rules leave untracked:\n"
            "      + in,forward ipv4 udp any -> any:99  by table ip theirs, chain p\n",
        ),
    ],
)
def test_a_stale_plan_changes_nothing_and_names_what_moved(
    move: str, line: str, namespace: Namespace, tmp_path: Path
) -> None:
    out = saved(namespace, tmp_path)
    namespace.load(f"{move}\n")
    before = namespace.ruleset()
    ended = ran("apply", "--netns", namespace.path, "--yes", out)
    assert ended.status == 7, ended
    assert line in ended.errors, ended.errors
    assert namespace.ruleset() == before
    shown = ran("plan", "--netns", namespace.path, out)
    assert (shown.status, shown.errors) == (7, ended.errors)


def test_traffic_that_is_counted_makes_no_plan_stale(namespace: Namespace, tmp_path: Path) -> None:
    from kernel.raw_tables import send

    out = saved(namespace, tmp_path)
    before = namespace.ruleset()
    send(namespace, 123, 5)
    assert namespace.ruleset() != before
    assert "Applied" in done("apply", "--netns", namespace.path, "--yes", out)


def test_a_plan_that_is_stale_by_the_time_the_question_is_answered_changes_nothing(
    namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = saved(namespace, tmp_path)

    def agrees_late(question: str, yes: bool) -> bool:
        namespace.load("add rule inet ctpolicy prerouting counter drop\n")
        return True

    monkeypatch.setattr("ctpolicy.cli.apply.may_go_on", agrees_late)
    monkeypatch.setattr("ctpolicy.cli.apply.asks", lambda _: True)
    ended = ran("apply", "--netns", namespace.path, out)
    assert ended.status == 7, ended
    assert namespace.ruleset().count("counter packets 0 bytes 0 drop") == 1
