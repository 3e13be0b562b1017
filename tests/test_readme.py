"""What README.md shows is what happens: its policy, its commands, its output, its rules.

The demo's output, the status and the rules are written into it anew by `pytest --regenerate tests/test_readme.py`, for
review.
"""

import re
import shlex
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

import click
import pytest

from ctpolicy import errors
from ctpolicy.cli.conntrack import COMMANDS as CONNTRACK_COMMANDS
from ctpolicy.cli.main import COMMANDS, cli, run
from ctpolicy.conntrack.facts import TableFacts
from ctpolicy.conntrack.top import EntryRate, Talker, View
from ctpolicy.conntrack.top_report import lines as top_lines
from ctpolicy.language.load import load_files
from ctpolicy.language.presets import PRESETS
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_text import text
from kernel.namespace import Namespace

ROOT: Final = Path(__file__).parent.parent
README: Final = ROOT / "README.md"
EXAMPLE: Final = ROOT / "examples" / "openshift-worker.yaml"


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def command_lines() -> list[list[str]]:
    """Every call of ctpolicy in a block, as its arguments, without comments, redirections and what it is piped to."""
    found = []
    for block in blocks("console") + blocks("sh"):
        for line in block.splitlines():
            for command in re.split(r" \| ", re.sub(r"\s(#|>) .*", "", line.removeprefix("$ "))):
                if command.removeprefix("sudo ").startswith("ctpolicy "):
                    found.append(shlex.split(command.removeprefix("sudo "))[1:])
    return found


def call(arguments: list[str]) -> click.Context:
    """Parse a call without making it; a UsageError if the command line is not accepted."""
    group = cli.make_context("ctpolicy", list(arguments))
    name, command, rest = cli.resolve_command(group, arguments)
    assert command is not None
    return command.make_context(name, rest, parent=group)


def policy_shown() -> str:
    return blocks("yaml")[0]


def shown_after(prompt: str) -> list[str]:
    """What the console blocks that begin with a command line show after it."""
    return [block.removeprefix(prompt) for block in blocks("console") if block.startswith(prompt)]


def write_anew(old: str, new: str) -> None:
    README.write_text(README.read_text().replace(old, new))


def but_for_numbers(output: str) -> str:
    """Output in which numbers and the width of columns do not matter: times, counters, source ports."""
    return re.sub(r"[0-9]+", "N", re.sub(r"[ \t]+", " ", output))


def test_commands_are_found() -> None:
    assert {arguments[0] for arguments in command_lines()} >= {"validate", "plan", "apply", "status", "explain"}


@pytest.mark.parametrize("arguments", command_lines(), ids=" ".join)
def test_command_line_is_accepted(arguments: list[str]) -> None:
    call(arguments)


def test_command_line_that_is_wrong_is_refused() -> None:
    with pytest.raises(click.UsageError):
        call(["plan", "policy.yaml", "--no-such-option"])


def test_every_command_has_its_row() -> None:
    rows = re.findall(r"^\| `ctpolicy ([a-z-]+)", README.read_text(), re.MULTILINE)
    assert set(rows) == set(COMMANDS)
    assert len(rows) == len(COMMANDS) + len(CONNTRACK_COMMANDS) - 1, "one row a command, and one for each of a group"


def test_every_exit_status_has_its_row() -> None:
    rows = {int(status) for status in re.findall(r"^\| ([0-9]+) \|", README.read_text(), re.MULTILINE)}
    ours = {
        error.exit_status
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.CtpolicyError)
    }
    assert rows == ours | {0, 1, 8, 10}


def test_policy_loads_and_its_expectations_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.yaml").write_text(policy_shown())
    monkeypatch.chdir(tmp_path)
    assert run(["validate", "policy.yaml"]) == 0
    assert capsys.readouterr().out == shown_after("$ ctpolicy validate policy.yaml\n")[0]


def test_faulty_policy_is_told_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty = policy_shown()
    for right, wrong in (("overlay: vxlan", "overlay: vlxan"), ("tcp/9100", "tcp/91000"), ("track:", "trakc:")):
        assert f"`{wrong.removeprefix('overlay: ').rstrip(':')}`" in README.read_text()
        faulty = faulty.replace(right, wrong)
    (tmp_path / "policy.yaml").write_text(faulty)
    monkeypatch.chdir(tmp_path)
    assert run(["validate", "policy.yaml"]) == 2
    assert capsys.readouterr().err == shown_after("$ ctpolicy validate policy.yaml\n")[1]


def test_every_example_is_named() -> None:
    for example in (ROOT / "examples").glob("*.yaml"):
        assert f"(examples/{example.name})" in README.read_text()


def test_every_preset_is_named() -> None:
    row = next(line for line in README.read_text().splitlines() if line.startswith("| `overlay` |"))
    assert all(preset in row for preset in PRESETS)


@pytest.mark.kernel
def test_rules_are_those_of_the_example(namespace: Namespace, pytestconfig: pytest.Config) -> None:
    def objects(listing: str) -> list[str]:
        """Sets, maps and chains: versions of nft list them in different orders, and break lines differently."""
        listing = listing.replace(" tcp :", " 6 :").replace(" udp :", " 17 :")  # names need /etc/protocols
        return sorted(re.split(r" (?=(?:set|map|chain) [^ ]+ \{)", re.sub(r"\s+", " ", listing).strip(" }")))

    namespace.load(text(compile_policy(load_files([EXAMPLE]))))
    listing = namespace.run("nft", "list", "table", "inet", "ctpolicy").stdout
    if pytestconfig.getoption("--regenerate"):
        write_anew(blocks("nft")[0], listing)
    assert objects(blocks("nft")[0]) == objects(listing)


@pytest.mark.kernel
def test_status_tells_apart_what_was_done_as_shown(
    namespace: Namespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    (tmp_path / "policy.yaml").write_text(policy_shown())
    monkeypatch.chdir(tmp_path)
    assert run(["apply", "policy.yaml", "--netns", str(namespace.path), "--yes"]) == 0
    namespace.load(
        "delete element inet ctpolicy output_protocols { udp }\n"
        "insert rule inet ctpolicy prerouting ip saddr 192.0.2.9 accept\n"
        "table inet edge { chain early { type filter hook prerouting priority raw; "
        "ip saddr 192.168.7.128/25 udp dport 4789 drop; }; }\n"
    )
    capsys.readouterr()
    assert run(["status", "policy.yaml", "--netns", str(namespace.path)]) == 0
    told, prompt = capsys.readouterr().out, "$ ctpolicy status policy.yaml\n"
    if pytestconfig.getoption("--regenerate"):
        write_anew(prompt + shown_after(prompt)[0], prompt + told)
    assert shown_after(prompt)[0] == told


def test_top_prints_such_lines_as_shown(pytestconfig: pytest.Config) -> None:
    """The numbers are of no host in particular; that a real one's are right is tested in tests/kernel."""
    view = View(
        TableFacts(True, 187_302, 262_144),
        1204.4,
        {"drop": 0.0, "early_drop": 0.0, "insert_failed": 0.0},
        (Talker(IPv4Address("192.168.7.72"), 61_435, 0.328), Talker(IPv4Address("192.168.7.73"), 9552, 0.051)),
        20_000,
        (
            EntryRate("vxlan", "bypass", 48_220.0, 31_900_000.0),
            EntryRate("node-metrics", "bypass", 37.2, 11_402.0),
            EntryRate("service-network", "track", 0.0, 0.0),
        ),
        0,
        (),
    )
    printed = "".join(f"{line}\n" for line in top_lines(view))
    prompt = "$ ctpolicy conntrack top --once --interval 10\n"
    if pytestconfig.getoption("--regenerate"):
        write_anew(prompt + shown_after(prompt)[0], prompt + printed)
    assert shown_after(prompt)[0] == printed


@pytest.mark.kernel
def test_firewall_that_is_advised_is_one(namespace: Namespace) -> None:
    namespace.load(blocks("nft")[1])
    assert "ct state untracked udp dport 4789" in namespace.ruleset()


@pytest.mark.kernel
def test_demo_prints_what_is_shown(pytestconfig: pytest.Config) -> None:
    done = subprocess.run([ROOT / "examples" / "demo"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    if pytestconfig.getoption("--regenerate"):
        write_anew(blocks("console")[0], done.stdout.lstrip("\n"))
    assert but_for_numbers(blocks("console")[0]) == but_for_numbers(done.stdout.lstrip("\n"))


def test_completion_that_is_shown_works() -> None:
    assert 'eval "$(_CTPOLICY_COMPLETE=bash_source ctpolicy)"' in README.read_text()
    asked = subprocess.run(
        ["bash", "-c", 'eval "$(_CTPOLICY_COMPLETE=bash_source ctpolicy)" && complete -p ctpolicy'],
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "_ctpolicy_completion" in asked.stdout, asked.stderr
