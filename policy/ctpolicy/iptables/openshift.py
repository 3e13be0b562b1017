"""A policy with the names, comments and spelling of OpenShift SDN: one chain, to which both built-in chains jump.

For hosts whose operators, scripts and monitoring look for these. What ctpolicy applies itself has names of its own: a
chain of this name belongs to OpenShift SDN, which puts it back whenever it changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ctpolicy.errors import InputError
from ctpolicy.iptables.files import Spelling
from ctpolicy.iptables.hook import MOST_RULES
from ctpolicy.iptables.questions import Questions
from ctpolicy.iptables.ruleset import Chain, RawTable, RawTables, Rule, Verdict, VerdictKind
from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.boxes import Hook, Role, boxes
from ctpolicy.packetspace.fields import Family

CHAIN: Final = "OPENSHIFT-NOTRACK"
SPELLING: Final = Spelling("NOTRACK")


def compile_openshift(policy: Policy) -> RawTables:
    """The raw tables for a policy that is as simple as OpenShift's: the same few rules at both hooks, and no tracks.

    Raises:
        InputError: the policy takes more than that.
    """
    found = boxes(policy)
    if policy.track:
        raise InputError("OpenShift's style has no track entries: compile this policy without --style openshift.")
    names = ", ".join(entry.name for entry in policy.bypass)
    jump = Rule((), Verdict(VerdictKind.JUMP, CHAIN), comment=f"disable conntrack for {names}"[:255])
    tables = {}
    for family in Family:
        by_hook = [
            [rule for box in found[hook, Role.BYPASS] if family in box.families for rule in asked.rules(box)]
            for hook in Hook
            for asked in [Questions(family, hook, None)]
        ]
        if by_hook[0] != by_hook[1] or len(by_hook[0]) > MOST_RULES:
            raise InputError(
                "OpenShift's style is one chain of few rules that are the same for packets that come in, are forwarded "
                "and go out (`paths: [in, forward, out]`): compile this policy without --style openshift."
            )
        if by_hook[0]:
            own = tuple(replace(rule, comment=None) for rule in by_hook[0])
            chains = (Chain(CHAIN, own), Chain("OUTPUT", (jump,), "ACCEPT"), Chain("PREROUTING", (jump,), "ACCEPT"))
            tables[family] = RawTable(chains)
    return RawTables(tables)
