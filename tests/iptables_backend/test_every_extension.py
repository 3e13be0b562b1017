"""Each match and target of iptables 1.8.9, one rule each as iptables-save prints it: modelled, or open, or told to be
without effect; none is taken for one that nobody knows, and none is passed over.
"""

from __future__ import annotations

import re
from pathlib import Path as File
from typing import Final

import pytest

from ctpolicy.hazards.rules import Decision, Step, Verdict
from ctpolicy.hazards.situations import ALWAYS
from ctpolicy.iptables.host_modules import OF_ANYTHING, OF_CONNTRACK, OF_PACKET
from ctpolicy.iptables.host_rules import host_rules
from ctpolicy.iptables.host_targets import WITHOUT_EFFECT
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from iptables_extensions import MATCHES, MATCHES_OF_IPV6, TARGETS, TARGETS_OF_IPV6, V4, samples
from kernel.namespace import skip_but_for_ci

MAY_DO_ANYTHING: Final = {"CLUSTERIP", "DNPT", "SNPT", "SYNPROXY"}
MAY_USE_NOTHING: Final = {"SET"}

NO_MATCH_NOR_TARGET: Final = {"standard", "NAT"}
"""The plain verdicts; what several targets share."""


def read(line: str, family: Family) -> list[Step]:
    headers = ":INPUT ACCEPT [0:0]\n:X - [0:0]\n"
    text = f"*filter\n{headers}-A X {line}\nCOMMIT\n"
    (table,) = host_rules([(Variant.NFT, family, text)]).rules.tables
    return list(table.chains["X"].steps)


@pytest.mark.parametrize(("name", "text", "family"), samples(MATCHES, MATCHES_OF_IPV6))
def test_a_match_is_modelled_or_open(name: str, text: str, family: Family) -> None:
    for asked in (text, text if name == "comment" else negation(text)):
        *_, step = read(f"{asked} -j DROP", family)
        is_asked = bool(step.fields) or step.tracking != ALWAYS or bool(step.open)
        assert is_asked is (name != "comment")
    is_modelled = name in {"comment", "mark"} or name in OF_PACKET | OF_ANYTHING | OF_CONNTRACK
    assert is_modelled


def negation(text: str) -> str:
    """The same with its last option negated, whether iptables takes that or not."""
    head, option, tail = text.rpartition(" --")
    return f"{head} !{option}{tail}" if option else text


@pytest.mark.parametrize(("name", "options", "family"), samples(TARGETS, TARGETS_OF_IPV6))
def test_a_target_is_modelled_or_open(name: str, options: str, family: Family) -> None:
    found = read(f"-j {name} {options}".rstrip(), family)
    may_do_anything = any(isinstance(one.action, Decision) and one.open for one in found)
    if name in MAY_DO_ANYTHING | {"TPROXY"}:
        assert may_do_anything
    elif name in WITHOUT_EFFECT | MAY_USE_NOTHING:
        assert not found
    else:
        assert len(found) == 1
        assert not may_do_anything


def test_verdicts_are_told() -> None:
    for name, verdict in {"ACCEPT": Verdict.ACCEPT, "DROP": Verdict.DROP, "QUEUE": Verdict.QUEUE}.items():
        (step,) = read(f"-j {name}", V4)
        assert step.action == Decision(verdict)


@pytest.mark.kernel
def test_no_extension_of_the_installed_iptables_is_missing() -> None:
    """Whoever installs a later one is told which names are new."""
    files = [*File("/usr/lib").glob("*/xtables/lib*.so"), *File("/usr/lib64/xtables").glob("lib*.so")]
    found = {name[1] for file in files if (name := re.fullmatch(r"lib(?:xt|ipt|ip6t)_(\w+)\.so", file.name))}
    if not found:
        skip_but_for_ci("no extensions of iptables are installed as files")
    known = MATCHES.keys() | MATCHES_OF_IPV6.keys() | TARGETS.keys() | TARGETS_OF_IPV6.keys() | NO_MATCH_NOR_TARGET
    assert found <= known
