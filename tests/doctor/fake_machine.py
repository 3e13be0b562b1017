"""A machine in memory on which all is well, but for what a test says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ctpolicy.conntrack.facts import Statistics, TableFacts
from ctpolicy.doctor.facts import (
    WORKS,
    Directory,
    Facts,
    Log,
    Namespaces,
    Own,
    Presence,
    Trial,
    Unit,
    Unseen,
)
from ctpolicy.doctor.gather import gather
from ctpolicy.doctor.machine import Ran
from ctpolicy.plan.live import Live

NOW: Final = 1_800_000_000.0
HERE: Final = 4026532000

TABLE: Final = TableFacts(
    True,
    entries=1000,
    maximum=262_144,
    buckets=262_144,
    statistics=Statistics(found=3),
    settings={"tcp_loose": 1, "tcp_be_liberal": 0, "acct": 0, "checksum": 1},
    timeouts={"udp": 30, "generic": 600, "tcp_syn_sent": 120, "tcp_established": 432_000},
)
EMPTY: Final = '{"nftables": [{"metainfo": {"version": "1.0.6"}}]}'
VERSIONS: Final = {
    "nft": "nftables v1.0.6 (Lester Gooch #5)",
    "iptables-legacy": "iptables v1.8.9 (legacy)",
    "iptables-nft": "iptables v1.8.9 (nf_tables)",
    "ip6tables-legacy": "ip6tables v1.8.9 (legacy)",
    "ip6tables-nft": "ip6tables v1.8.9 (nf_tables)",
    "ipset": "ipset v7.17, protocol version: 7",
    "conntrack": "conntrack v1.4.7 (conntrack-tools)",
}
QUIET: Final = Log((), "the kernel's log")
TWO: Final = Namespaces(2, {"process 1": 1000})
NOTHING: Final = Live()
OWN: Final = Own(Directory(0, 0o700), "/var/lib/ctpolicy", Unit("/etc/systemd/system/ctpolicy.service", True), True)


@dataclass
class FakeMachine:
    """See machine.Machine. Programs are told by their command line, or by their name for `--version`."""

    programs: dict[str, Ran | Unseen] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=lambda: dict(VERSIONS))
    files: dict[str, str | Unseen] = field(default_factory=dict)
    modules: dict[str, Presence] = field(default_factory=dict)
    tried: Mapping[Trial, str] | Unseen = field(default_factory=lambda: dict.fromkeys(Trial, WORKS))
    ruleset: str | Unseen = EMPTY
    facts: TableFacts | Unseen = TABLE
    log: Log | Unseen = QUIET
    found: Namespaces | Unseen = TWO
    kernel: str = "6.18.44"
    hosts_own: bool = True
    directories: dict[str, Directory | Unseen] = field(default_factory=dict)
    service: Unit | Unseen | None = None
    systemd: bool = True
    who: int = 0

    def release(self) -> str:
        return self.kernel

    def now(self) -> float:
        return NOW

    def user(self) -> int:
        return self.who

    def is_the_hosts(self) -> bool:
        return self.hosts_own

    def number(self) -> int:
        return HERE

    def module(self, name: str) -> Presence | None:
        return self.modules.get(name)

    def text(self, path: str) -> str | Unseen | None:
        return self.files.get(path)

    def run(self, tool: str, *arguments: str) -> Ran | Unseen | None:
        line = " ".join((tool, *arguments))
        known = next((ran for command, ran in self.programs.items() if line.startswith(command)), None)
        if known is None and arguments == ("--version",) and tool in self.versions:
            return Ran(0, self.versions[tool] + "\n", "")
        return known

    def trials(self) -> Mapping[Trial, str] | Unseen:
        return self.tried

    def table(self) -> TableFacts | Unseen:
        return self.facts

    def listing(self) -> str | Unseen:
        return self.ruleset

    def kernel_log(self) -> Log | Unseen:
        return self.log

    def namespaces(self) -> Namespaces | Unseen:
        return self.found

    def directory(self, path: str) -> Directory | Unseen | None:
        return self.directories.get(path)

    def unit(self) -> Unit | Unseen | None:
        return self.service

    def runs_systemd(self) -> bool:
        return self.systemd


def facts_of(machine: FakeMachine | None = None, live: Live | Unseen = NOTHING, own: Own = OWN, **others: Any) -> Facts:
    """What is gathered of a machine; more may be said of the facts themselves."""
    return replace(gather(machine or FakeMachine(), "", live, own), **others)
