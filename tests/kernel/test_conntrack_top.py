"""`ctpolicy conntrack top` on the real kernel and on a terminal: right numbers, at a bounded cost, and a clean end."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from ctpolicy.conntrack.entry import Entry
from ctpolicy.conntrack.facts import TableFacts
from ctpolicy.conntrack.kernel_facts import KernelFacts
from ctpolicy.conntrack.reader import Conntrack
from ctpolicy.conntrack.sample import take_sample
from ctpolicy.conntrack.top import Reading, view
from kernel.command_line import ran
from kernel.hosts import THERE_V4, Pair, pair, udp
from kernel.namespace import Namespace
from terminal import Terminal

pytestmark = pytest.mark.kernel

POLICY: Final = """
apiVersion: ctpolicy/v1
name: watched
bypass:
  - name: dns
    host-client: udp/53
track:
  - name: ssh
    host-service: tcp/22
"""
TABLE_ACTIVE: Final = "table inet active { chain input { type filter hook input priority 0; ct state new; }; }"


def command(host: Namespace, *arguments: str) -> list[str]:
    python = [sys.executable, "-c", "from ctpolicy.cli.main import main; main()"]
    return [*python, "conntrack", "top", "--netns", str(host.path), *arguments]


def environment(**more: str) -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ} | more


def insert(host: Namespace, sources: Sequence[str], first: int = 0) -> None:
    """Make an entry for each source address."""
    lines = (
        f"-A -p udp -s {source} -d 192.0.2.{at >> 14 & 255} --sport {at & 16383 | 16384} --dport 4789 -t 600\n"
        for at, source in enumerate(sources, start=first)
    )
    host.run("conntrack", "-R", "-", stdin="".join(lines))


@pytest.fixture
def hosts() -> Iterator[Pair]:
    with pair() as joined:
        yield joined


@pytest.fixture
def busy(namespace: Namespace, tmp_path: Path) -> Namespace:
    """A host with entries of three sources and a policy."""
    namespace.load(TABLE_ACTIVE)
    insert(namespace, ["10.0.0.1"] * 30 + ["10.0.0.2"] * 10 + ["10.0.0.3"])
    (tmp_path / "policy.yaml").write_text(POLICY)
    done = ran("apply", "--netns", namespace.path, "--yes", tmp_path / "policy.yaml")
    assert done.status == 0, done
    return namespace


def is_drawn(terminal: Terminal) -> bool:
    return "drops/s 0" in terminal.text and "q quits" in terminal.text


def test_one_interval_has_the_rates_that_were(hosts: Pair, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    assert ran("apply", "--netns", hosts.here.path, "--yes", tmp_path / "policy.yaml").status == 0
    insert(hosts.here, ["10.0.0.1"] * 40)

    def send() -> None:
        time.sleep(0.7)
        insert(hosts.here, ["10.0.0.2"] * 60, first=1000)
        for _ in range(10):
            udp(hosts.here, hosts.there, THERE_V4, 53)

    sender = threading.Thread(target=send)
    sender.start()
    done = ran("conntrack", "top", "--once", "--interval", "4", "--netns", hosts.here.path)
    sender.join()
    assert done.status == 0, done
    new = re.search(r"^new/s (\d+) ", done.output, re.MULTILINE)
    bypassed = re.search(r"^dns +bypass +([\d.]+) ", done.output, re.MULTILINE)
    assert new and bypassed, done.output
    assert 60 / 4 - 3 <= float(new[1]) <= 60 / 4 + 2
    assert 20 / 4 - 1 <= float(bypassed[1]) <= 20 / 4 + 1, "ten questions and ten answers"
    assert re.search(r"^10\.0\.0\.2 +60 ", done.output, re.MULTILINE)
    assert re.search(r"^ssh +track +0 ", done.output, re.MULTILINE)


def test_a_large_table_costs_no_more_than_a_sample(namespace: Namespace) -> None:
    """60,000 entries, of which a third comes anew between two readings."""
    namespace.load(TABLE_ACTIVE)
    count, part = 60_000, 5_000
    insert(namespace, [f"10.0.0.{at % 4}" for at in range(count // 3 * 2)])
    told: list[int] = []

    class Counting(Conntrack):
        def entries(self) -> Iterator[Entry]:
            told.append(0)
            for entry in super().entries():
                told[-1] += 1
                yield entry

    table, facts = Counting(namespace.path), KernelFacts(namespace.path)

    def read(at: float) -> Reading:
        return Reading(at, facts.facts(), take_sample(table, part, seconds=20))

    before = read(0.0)
    insert(namespace, ["10.0.1.1"] * (count // 3), first=count)
    now = read(10.0)
    assert now.sample is not None
    assert (len(now.sample.keys), now.sample.is_whole) == (part, False)
    assert told == [part + 1, part + 1]
    shown = view(before, now)
    assert shown.facts.entries == count
    assert shown.new == pytest.approx(count / 3 / 10, rel=0.2)
    assert str(shown.talkers[0].source) == "10.0.1.1"
    assert shown.talkers[0].entries == pytest.approx(count / 3, rel=0.2)
    assert shown.sampled == part


def test_it_is_drawn_and_ends_with_q(busy: Namespace) -> None:
    with Terminal(command(busy, "--interval", "0.3"), environment=environment()) as terminal:
        terminal.until(is_drawn)
        assert terminal.lines[0] == f"ctpolicy conntrack top in {busy.path}"
        assert re.match(r"41 of [\d,]+ entries, 0\.0%$", terminal.lines[1])
        assert [line.split() for line in terminal.lines if line.startswith("10.0.0.")] == [
            ["10.0.0.1", "30", "73.2%"],
            ["10.0.0.2", "10", "24.4%"],
            ["10.0.0.3", "1", "2.4%"],
        ]
        insert(busy, ["10.0.0.9"] * 50, first=5000)
        terminal.until(lambda one: "10.0.0.9" in one.text and "91 of" in one.text)
        assert not terminal.is_as_before
        terminal.press("xyq")
        assert terminal.ended() == 0
        assert terminal.is_as_before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_put_back_whatever_ends_it(number: signal.Signals, busy: Namespace) -> None:
    with Terminal(command(busy), environment=environment()) as terminal:
        terminal.until(is_drawn_or_first)
        terminal.process.send_signal(number)
        assert terminal.ended() == 0
        assert terminal.is_as_before
        assert b"Traceback" not in terminal.written


def is_drawn_or_first(terminal: Terminal) -> bool:
    """Whether there is anything, of the first reading or later."""
    return "entries" in terminal.text


def test_ctrl_c_ends_it_while_the_first_reading_is_not_there_yet(busy: Namespace) -> None:
    with Terminal(command(busy), environment=environment()) as terminal:
        terminal.until(lambda one: "ctpolicy conntrack top" in one.text)
        terminal.press("\x03")
        assert terminal.ended() == 0
        assert terminal.is_as_before


def test_it_follows_the_size_of_the_terminal(busy: Namespace) -> None:
    with Terminal(command(busy, "--interval", "60"), environment=environment()) as terminal:
        terminal.until(is_drawn_or_first)
        for columns, rows in ((40, 14), (17, 5), (6, 2), (1, 1), (120, 40)):
            terminal.resize(columns, rows)
            title = "ctpolicy conntrack top"[:columns]
            terminal.until(lambda one, title=title: one.lines[0].startswith(title))  # type: ignore[misc]
        terminal.until(lambda one: "10.0.0.3" in one.text and "q quits" in one.text)
        terminal.press("Q")
        assert terminal.ended() == 0


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(busy: Namespace) -> None:
    shell = f"set -m; {shlex.join(command(busy))}; echo STOPPED; sleep 0.5; fg >/dev/null; echo status $?"
    with Terminal(["bash", "-c", shell], environment=environment()) as terminal:
        terminal.until(is_drawn_or_first)
        terminal.press("\x1a")
        terminal.until(lambda one: b"STOPPED" in one.written)
        assert terminal.is_as_before
        written = len(terminal.written)
        terminal.until(lambda one: b"\x1b[?1049h" in one.written[written:])
        terminal.press("q")
        assert terminal.ended() == 0
        assert terminal.is_as_before
        assert b"status 0" in terminal.written


def test_who_wants_no_colour_gets_none(busy: Namespace) -> None:
    color = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38)(?:;\d+)*m")
    with Terminal(command(busy, "--interval", "0.3"), environment=environment()) as terminal:
        terminal.until(is_drawn)
        assert color.search(terminal.written)
    with Terminal(command(busy, "--interval", "0.3"), environment=environment(NO_COLOR="1")) as terminal:
        terminal.until(is_drawn)
        assert not color.search(terminal.written)


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_be_drawn_on_gets_plain_lines(term: str, busy: Namespace) -> None:
    with Terminal(command(busy, "--interval", "0.3"), 80, 60, environment(TERM=term)) as terminal:
        terminal.until(lambda one: one.text.count("drops/s") >= 2)
        assert b"\x1b" not in terminal.written
        terminal.press("\x03")
        assert terminal.ended() == 0
        assert terminal.is_as_before


def test_a_terminal_that_the_host_has_never_heard_of_is_drawn_on(busy: Namespace) -> None:
    with Terminal(command(busy, "--interval", "0.3"), environment=environment(TERM="xterm-tomorrow")) as terminal:
        terminal.until(is_drawn)
        terminal.press("q")
        assert terminal.ended() == 0


def test_without_a_terminal_each_interval_is_a_block_of_lines(busy: Namespace) -> None:
    with subprocess.Popen(
        command(busy, "--interval", "0.3"), env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip("\n") for _ in range(24)]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    blocks = [block.split("\n") for block in re.split(r"\n\n(?=\d+ of)", "\n".join(lines))]
    assert len(blocks) >= 2
    assert "new/s ?" in blocks[0][1]
    assert "new/s 0" in blocks[1][1]
    assert (process.returncode, said) == (0, "")


def test_who_reads_no_further_is_no_failure(busy: Namespace) -> None:
    shell = f"set -o pipefail; {shlex.join(command(busy, '--interval', '0.2'))} | head -n 1"
    done = subprocess.run(["bash", "-c", shell], env=environment(), capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("41 of ")


def test_what_cannot_be_read_is_told_and_the_rest_is_shown(busy: Namespace) -> None:
    busy.run("nft", "delete", "table", "inet", "ctpolicy")
    busy.load("table inet ctpolicy { chain theirs { accept; }; }")
    done = ran("conntrack", "top", "--once", "--interval", "0.2", "--netns", busy.path)
    assert done.status == 0
    assert "not read: " in done.output
    assert "10.0.0.1       30" in done.output


def test_a_namespace_that_is_not_there_is_bad_input() -> None:
    assert ran("conntrack", "top", "--once", "--netns", "no-such-one").status == 2


def test_where_conntrack_is_not_in_use_there_is_nothing_to_see(namespace: Namespace) -> None:
    done = ran("conntrack", "top", "--once", "--interval", "0.2", "--netns", namespace.path)
    assert done.status == 0
    expected = "0 of " if KernelFacts(namespace.path).facts() != TableFacts(False) else "conntrack is not loaded"
    assert done.output.startswith(expected)
