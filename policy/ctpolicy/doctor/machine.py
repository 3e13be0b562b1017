"""What is asked of a machine. The real one is in this_machine.py; a fake stands in for it in tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ctpolicy.conntrack.facts import TableFacts
from ctpolicy.doctor.facts import Directory, Log, Namespaces, Presence, Trial, Unit, Unseen


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and what it printed."""

    status: int
    output: str
    errors: str


class Machine(Protocol):
    """One machine, in one of its network namespaces. Nothing here waits for long, and nothing is changed."""

    def release(self) -> str:
        """The kernel's, such as 6.18.44."""

    def now(self) -> float:
        """Seconds since 1970."""

    def user(self) -> int:
        """Whoever we are, by number."""

    def is_the_hosts(self) -> bool:
        """Whether the network namespace is the machine's own."""

    def number(self) -> int:
        """Of the network namespace, as the kernel's log names it; 0 if that may not be seen."""

    def module(self, name: str) -> Presence | None:
        """How a module is in the kernel; None if there is none by that name, as of many that are built in."""

    def text(self, path: str) -> str | Unseen | None:
        """A small file, as the network namespace sees it; None if it is not there."""

    def run(self, tool: str, *arguments: str) -> Ran | Unseen | None:
        """Run a program in the network namespace; None if it is not installed."""

    def trials(self) -> Mapping[Trial, str] | Unseen:
        """What works in a scratch namespace, and of what does not why."""

    def table(self) -> TableFacts | Unseen:
        """Sizes, settings and statistics of conntrack."""

    def listing(self) -> str | Unseen:
        """All tables of nftables, as JSON."""

    def kernel_log(self) -> Log | Unseen:
        """The kernel's log."""

    def namespaces(self) -> Namespaces | Unseen:
        """The network namespaces of the machine."""

    def directory(self, path: str) -> Directory | Unseen | None:
        """Whose a directory is; None if it is not there."""

    def unit(self) -> Unit | Unseen | None:
        """The boot service; None if it is not installed."""

    def runs_systemd(self) -> bool:
        """Whether systemd runs this machine."""
