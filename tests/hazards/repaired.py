"""Hosts, policies and what helps, in few words, for tests of remedies."""

from __future__ import annotations

from dataclasses import dataclass

from ctpolicy.hazards.between import hazards_between
from ctpolicy.hazards.hazard import Hazard
from ctpolicy.hazards.remedies import remedies
from ctpolicy.hazards.remedy import Kind, Remedy
from ctpolicy.hazards.rules import HostRules
from ctpolicy.iptables.host_rules import host_rules
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.space import PacketSpace


@dataclass(frozen=True, slots=True)
class Case:
    """A host, and what is to be left untracked there."""

    host: HostRules
    policy: Policy

    @property
    def untracked(self) -> PacketSpace:
        return bypass_space(self.policy)

    def hazards(self) -> list[Hazard]:
        return hazards_between(self.host, self.untracked, self.untracked)

    def remedies(self) -> list[Remedy]:
        return remedies(self.hazards(), self.host, self.untracked, self.untracked, self.policy)

    def commands(self) -> list[str]:
        """Of accept rules, without their labels."""
        lines = [line for one in self.remedies() if one.kind is Kind.ACCEPT for line in one.commands]
        return [_without_label(line) for line in lines]

    def of_kind(self, kind: Kind) -> list[Remedy]:
        return [one for one in self.remedies() if one.kind is kind]


def policy_of(*entries: str) -> Policy:
    lines = [f"  - name: entry-{number}\n    {entry}" for number, entry in enumerate(entries, start=1)]
    return load_text("apiVersion: ctpolicy/v1\nname: test\nbypass:\n" + "\n".join(lines) + "\n")


def case(host: HostRules, *entries: str) -> Case:
    return Case(host, policy_of(*entries))


def saved(
    *rules: str, family: Family = Family.IPV4, variant: Variant = Variant.LEGACY, chains: tuple[str, ...] = ()
) -> HostRules:
    """A host whose filter table drops what comes in unless it is accepted."""
    own = [f":{name} - [0:0]" for name in chains]
    lines = ["*filter", ":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [0:0]", *own, *rules, "COMMIT"]
    return host_rules([(variant, family, "\n".join(lines) + "\n")]).rules


def _without_label(line: str) -> str:
    words = line.split(" -m comment --comment ")
    if len(words) == 2:
        return words[0] + " " + words[1].partition(" ")[2]
    return line.partition(' comment "')[0] + ("'" if ' comment "' in line else "")
