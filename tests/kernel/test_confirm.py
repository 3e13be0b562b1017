"""`apply --confirm` as people use it: the process that takes back outlives whatever happens to the terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.command_line import done, ran
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

OLD: Final = "apiVersion: ctpolicy/v1\nname: old\nbypass: [{name: vxlan, overlay: vxlan}]\n"
NEW: Final = "apiVersion: ctpolicy/v1\nname: new\nbypass: [{name: dns, host-service: udp/53}]\n"
COMMAND: Final = (sys.executable, "-c", "from ctpolicy.cli.main import main; main()")
PATIENCE: Final = 30.0
"""Seconds after which a test gives up; what it waits for takes two."""


class Site:
    """A host with a policy applied, and where its state is."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self.namespace = namespace
        self.where = ("--netns", namespace.path, "--state", directory / "state")
        self.old, self.new = directory / "old.yaml", directory / "new.yaml"
        self.old.write_text(OLD)
        self.new.write_text(NEW)
        done("apply", "--yes", *self.where, self.old)

    def entries(self) -> list[str]:
        """The names of the live entries."""
        found = json.loads(done("status", "--json", "--netns", self.namespace.path))
        return [entry["name"] for entry in found["entries"]]

    def history(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(done("history", "--json", *self.where))["changes"]
        return found

    def outcomes(self) -> list[str]:
        return [change["outcome"] for change in self.history()]

    def timer(self) -> int:
        """The process that waits for the confirmation."""
        (file,) = self.where[-1].glob(f"*/changes/{len(self.history()):06}/timer")
        return int(file.read_text().split()[0])


@pytest.fixture
def site(namespace: Namespace, tmp_path: Path) -> Iterator[Site]:
    found = Site(namespace, tmp_path)
    yield found
    ran("rollback", *found.where)  # which ends a timer that still waits


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.1)


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_what_nobody_confirms_is_taken_back(site: Site) -> None:
    printed = done("apply", "--yes", "--confirm", "5", *site.where, site.new)
    assert "taken back in 5 seconds unless you run `ctpolicy confirm`" in printed
    assert site.entries() == ["dns"]
    wait_for(lambda: site.outcomes() == ["done", "reverted"])
    assert site.entries() == ["vxlan"]
    assert ran("confirm", *site.where).status == 7


def test_what_is_confirmed_stays(site: Site) -> None:
    done("apply", "--yes", "--confirm", "60", *site.where, site.new)
    timer = site.timer()
    done("confirm", *site.where)
    wait_for(lambda: is_gone(timer))
    assert site.outcomes() == ["done", "confirmed"]
    assert site.entries() == ["dns"]


def test_a_change_that_waits_can_be_taken_back_at_once(site: Site) -> None:
    done("apply", "--yes", "--confirm", "60", *site.where, site.new)
    timer = site.timer()
    assert ran("apply", "--yes", *site.where, site.old).status == 6
    assert "is taken back in" in done("history", *site.where)
    done("rollback", *site.where)
    assert site.entries() == ["vxlan"]
    wait_for(lambda: is_gone(timer))


def test_the_timer_survives_the_signals_of_a_terminal_that_goes_away(site: Site) -> None:
    done("apply", "--yes", "--confirm", "5", *site.where, site.new)
    for number in (signal.SIGHUP, signal.SIGINT):
        os.kill(site.timer(), number)
    assert os.getsid(site.timer()) == site.timer()
    wait_for(lambda: site.entries() == ["vxlan"])


def test_a_timer_that_was_killed_is_told_and_recovered(site: Site) -> None:
    done("apply", "--yes", "--confirm", "60", *site.where, site.new)
    os.kill(site.timer(), signal.SIGKILL)
    wait_for(lambda: is_gone(site.timer()))
    assert "the process that was to take it back is gone" in done("history", *site.where)
    done("recover", *site.where)
    assert site.entries() == ["vxlan"]


def in_a_terminal(*arguments: str | os.PathLike[str]) -> tuple[int, int]:
    """Start ctpolicy as the leader of a session on a new terminal: its process, and our end of the terminal."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(COMMAND[0], [*COMMAND, *(os.fspath(argument) for argument in arguments)])
    return process, terminal


def read_until(terminal: int, wanted: bytes) -> bytes:
    printed = b""
    while wanted not in printed:
        printed += os.read(terminal, 4096)
    return printed


def test_a_terminal_that_is_closed_while_a_change_waits_does_not_keep_it(site: Site) -> None:
    process, terminal = in_a_terminal("apply", "--confirm", "5", *site.where, site.new)
    read_until(terminal, b"Apply this? [y/N]")
    os.write(terminal, b"y\n")
    read_until(terminal, b"ctpolicy confirm")
    os.close(terminal)
    os.waitpid(process, 0)
    assert site.entries() == ["dns"]
    wait_for(lambda: site.entries() == ["vxlan"])
    wait_for(lambda: site.outcomes() == ["done", "reverted"])  # it is written once the rules were read again


def test_a_terminal_that_is_closed_at_the_question_changes_nothing(site: Site) -> None:
    process, terminal = in_a_terminal("apply", *site.where, site.new)
    read_until(terminal, b"Apply this? [y/N]")
    os.close(terminal)
    os.waitpid(process, 0)
    assert site.entries() == ["vxlan"]
    assert site.outcomes() == ["done"]


def test_nobody_waits_for_the_answer_of_somebody_else(site: Site) -> None:
    """The question was asked with the lock held, so that a forgotten terminal blocked every apply."""
    process, terminal = in_a_terminal("apply", *site.where, site.new)
    read_until(terminal, b"Apply this? [y/N]")
    other = site.new.with_name("other.yaml")
    other.write_text(NEW.replace("udp/53", "udp/123"))
    done("apply", "--yes", "--lock-wait", "0", *site.where, other)
    os.write(terminal, b"y\n")
    printed = read_until(terminal, b"run this again")
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 7, printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_at_any_time_leaves_the_old_or_the_new(site: Site, number: signal.Signals) -> None:
    ends = set()
    for step in range(4):
        process = subprocess.Popen(
            [*COMMAND, "apply", "--yes", *site.where, site.new], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        time.sleep(0.1 + 0.12 * step)
        process.send_signal(number)
        process.wait()
        found = site.entries()
        assert found in (["dns"], ["vxlan"])
        last = site.history()[-1]
        assert last["outcome"] == "done", "what has begun is completed"
        assert (last["policy"] == "new") == (found == ["dns"])
        ends.add(found[0])
        done("apply", "--yes", *site.where, site.old)
    assert ends
