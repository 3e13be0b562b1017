"""The command line: exit statuses, what goes where, and never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ctpolicy.cli.main import COMMANDS, cli, run
from ctpolicy.language.load import load_files
from ctpolicy.meaning_space import bypass_space
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.space import table_space
from kernel.namespace import Namespace
from policies import METRICS, table

ROOT = Path(__file__).parents[2]
VXLAN_POLICY = ROOT / "examples" / "openshift-worker.yaml"


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    path = tmp_path / "faulty.yaml"
    path.write_text("apiVersion: ctpolicy/v1\nname: faulty\nbypass:\n  - name: v\n    overlay: vxlen\n")
    return path


def _ctpolicy(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from ctpolicy.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)


def test_a_faulty_policy_is_status_2_with_its_place_on_standard_error(faulty: Path) -> None:
    done = _ctpolicy("validate", faulty)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{faulty}:5:14: " in done.stderr
    assert "did you mean `vxlan`?" in done.stderr


@pytest.mark.parametrize("command", ["validate", "compile", "plan", "apply", "status"])
def test_every_command_refuses_a_faulty_policy(command: str, faulty: Path) -> None:
    done = _ctpolicy(command, faulty)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr


def test_diagnostics_as_json(faulty: Path) -> None:
    done = _ctpolicy("validate", "--json", faulty)
    assert done.returncode == 2
    (diagnostic,) = json.loads(done.stdout)["diagnostics"]
    assert (diagnostic["line"], diagnostic["column"]) == (5, 14)
    assert "vxlan" in diagnostic["hint"]


def test_a_policy_that_is_not_there_is_told() -> None:
    done = _ctpolicy("validate", "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_arguments_shows_the_help() -> None:
    done = _ctpolicy()
    assert "Commands:" in done.stdout + done.stderr


def test_wrong_usage_is_status_2() -> None:
    for arguments in (["nothing"], ["validate"], ["plan", "--live"], ["compile", "--format", "pdf", str(VXLAN_POLICY)]):
        done = _ctpolicy(*arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"]).output
    assert f"ctpolicy {name}" in shown.split("Options:")[0].split("\n", 1)[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_is_there(shell: str) -> None:
    import os

    environment = os.environ | {"_CTPOLICY_COMPLETE": f"{shell}_source"}
    command = [sys.executable, "-c", "from ctpolicy.cli.main import main; main()"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert "ctpolicy" in done.stdout, done


def test_plan_against_a_dump_needs_no_host(tmp_path: Path) -> None:
    dump = tmp_path / "dump.json"
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"apiVersion: ctpolicy/v1\nname: tested\n{METRICS}")
    listed = [command["add"] for command in load_document(table(METRICS))["nftables"] if "add" in command]
    dump.write_text(json.dumps({"nftables": listed}))
    done = _ctpolicy("plan", "--live", dump, policy)
    assert (done.returncode, done.stdout) == (0, "Nothing to do: what is live is what the policy means.\n")
    piped = _ctpolicy("plan", "--detailed-exitcode", "--live", "-", policy, stdin='{"nftables": []}')
    assert piped.returncode == 10, piped


def test_a_dump_that_is_none_is_status_2(tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(b"\xff\xfe")
    for arguments in (["--live", tmp_path / "dump"], ["--live", tmp_path / "nowhere"], ["--live", "/dev/null"]):
        done = _ctpolicy("plan", *arguments, VXLAN_POLICY)
        assert done.returncode == 2, done
        assert "Traceback" not in done.stderr


def test_a_dump_and_a_namespace_together_are_status_2(tmp_path: Path) -> None:
    assert _ctpolicy("plan", "--live", "/dev/null", "--netns", "/proc/self/ns/net", VXLAN_POLICY).returncode == 2


def test_a_packet_that_is_none_is_shown_with_a_caret() -> None:
    done = _ctpolicy("explain", "in udp 192.0.2.1:70000 -> 192.0.2.2:1", VXLAN_POLICY)
    assert done.returncode == 2
    line, caret = done.stderr.splitlines()
    assert line[caret.index("^") :].startswith("70000")


def test_colour_only_on_a_terminal() -> None:
    done = _ctpolicy("plan", "--live", "-", VXLAN_POLICY, stdin='{"nftables": []}')
    assert "\x1b" not in done.stdout


def test_a_bug_is_status_1_and_shows_its_place_only_with_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of our own making")

    monkeypatch.setattr("ctpolicy.cli.validate.load_files", broken)
    assert run(["validate", "x.yaml"]) == 1
    with pytest.raises(ZeroDivisionError):
        run(["--debug", "validate", "x.yaml"])


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -c 'from ctpolicy.cli.main import main; main()' schema | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_text_from_a_dump_cannot_move_the_cursor(tmp_path: Path) -> None:
    evil = {"family": "inet", "table": "ctpolicy", "name": "made_by_ctpolicy"}
    rule = {"family": "inet", "table": "ctpolicy", "chain": "made_by_ctpolicy", "handle": 3, "comment": "\x1b[2J\x07",
            "expr": [{"accept": None}]}  # fmt: skip
    dump = json.dumps({"nftables": [{"chain": evil}, {"rule": rule}]})
    done = _ctpolicy("plan", "--live", "-", VXLAN_POLICY, stdin=dump)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


@pytest.mark.kernel
def test_the_whole_life_of_a_policy_on_a_host(namespace: Namespace) -> None:
    netns = ("--netns", namespace.path)
    assert _ctpolicy("plan", *netns, "--detailed-exitcode", VXLAN_POLICY).returncode == 10
    assert _ctpolicy("apply", *netns, "--yes", VXLAN_POLICY).returncode == 0
    again = _ctpolicy("apply", *netns, VXLAN_POLICY)
    assert again.stdout == "Nothing to do: what is live is what the policy means.\n"
    assert _ctpolicy("plan", *netns, "--detailed-exitcode", VXLAN_POLICY).returncode == 0
    assert _ctpolicy("status", *netns, "--detailed-exitcode", VXLAN_POLICY).returncode == 0
    namespace.run("nft", "flush", "chain", "inet", "ctpolicy", "prerouting")
    assert _ctpolicy("status", *netns, "--detailed-exitcode", VXLAN_POLICY).returncode == 10
    assert _ctpolicy("remove", *netns).returncode == 0
    assert namespace.ruleset() == ""
    assert _ctpolicy("remove", *netns).returncode == 0


@pytest.mark.kernel
def test_on_a_terminal_apply_asks_and_no_changes_nothing(namespace: Namespace) -> None:
    words = f"from ctpolicy.cli.main import run; import sys; sys.exit(run(['apply', '--netns', '{namespace.path}', '{VXLAN_POLICY}']))"  # noqa: E501
    command = ["script", "-qec", f'{sys.executable} -c "{words}"', "/dev/null"]
    done = subprocess.run(command, input="n\n", capture_output=True, text=True, timeout=60)
    assert "Apply this? [y/N]" in done.stdout, done
    assert "Nothing was changed." in done.stdout
    assert namespace.ruleset() == ""


@pytest.mark.kernel
def test_somebody_elses_table_is_status_5(namespace: Namespace) -> None:
    namespace.load("table inet ctpolicy { chain c { }; }")
    for arguments in (["plan", VXLAN_POLICY], ["apply", "--yes", VXLAN_POLICY], ["remove", "--yes"], ["status"]):
        done = _ctpolicy(*arguments, "--netns", namespace.path)
        assert done.returncode == 5, done
        assert "ctpolicy did not make" in done.stderr


@pytest.mark.kernel
def test_without_privilege_is_status_5_and_says_what_to_do(namespace: Namespace) -> None:
    # In a user namespace of its own, this host's network namespace is somebody else's.
    words = "from ctpolicy.cli.main import main; main()"
    for arguments in (["status"], ["apply", "--yes", str(VXLAN_POLICY)], ["plan", str(VXLAN_POLICY)]):
        command = namespace.command("unshare", "-U", sys.executable, "-c", words, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 5, done
        assert "as root (sudo)" in done.stderr
    assert namespace.ruleset() == ""


def test_import_of_a_dump_is_a_policy_that_means_the_same(tmp_path: Path) -> None:
    listed = [command["add"] for command in load_document(table(METRICS))["nftables"] if "add" in command]
    done = _ctpolicy("import", "-", "--name", "worker", stdin=json.dumps({"nftables": listed}))
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "worker.yaml").write_text(done.stdout)
    assert load_files([tmp_path / "worker.yaml"]).name == "worker"
    assert bypass_space(load_files([tmp_path / "worker.yaml"])) == table_space(table(METRICS)).certainly


def test_import_of_what_cannot_be_said_is_status_8_and_told_twice() -> None:
    chain = {"family": "ip", "table": "t", "name": "c", "type": "filter", "hook": "prerouting", "prio": -300}
    expressions = [{"limit": {"rate": 1, "per": "second"}}, {"notrack": None}]
    rule = {"family": "ip", "table": "t", "chain": "c", "expr": expressions}
    listing = {"nftables": [{"table": {"family": "ip", "name": "t"}}, {"chain": chain}, {"rule": rule}]}
    done = _ctpolicy("import", "-", stdin=json.dumps(listing))
    assert done.returncode == 8
    assert "Not in this policy" in done.stderr
    assert "# Not in this policy" in done.stdout
