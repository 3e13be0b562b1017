"""The fake that tests of apply lean on does what iptables and ipset do: the same changes, run through both."""

from __future__ import annotations

import re

import pytest

from ctpolicy.errors import CtpolicyError
from ctpolicy.iptables.kernel import IptablesTools, Tools
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from ctpolicy.testing.fake_tools import FakeTools
from kernel.namespace import Namespace
from kernel.raw_tables import change

pytestmark = pytest.mark.kernel

RULE = "-p udp -m udp --dport 53 -j CT --notrack"
IN_SET = "-m set --match-set peers dst -j CT --notrack"

Step = tuple[str, ...]
"""Lines of one change; of ipsets if the first does not say otherwise by `:`, `-` or `[`."""

STORIES: dict[str, list[Step]] = {
    "chains and jumps": [
        (":OURS - [0:0]", f"-A OURS {RULE}", "-I OUTPUT -j OURS", "-A OUTPUT -p tcp"),
        (":OURS - [0:0]", f"[3:30] -A OURS {RULE}", "-A OURS -p tcp", ":MORE - [0:0]"),
        ("-I OUTPUT 2 -j MORE", "-D OUTPUT -j OURS", "-A OUTPUT -j OURS", "-I PREROUTING -j MORE"),
        ("-D OUTPUT -j MORE", "-D PREROUTING 1", "-X MORE", "-D OUTPUT -j OURS", "-F OURS", "-X OURS"),
    ],
    "refusals": [
        ("-N OURS", f"-A OURS {RULE}", "-A OUTPUT -j OURS"),
        ("-A OUTPUT -p tcp", "-X OURS"),
        ("-A OUTPUT -p tcp", "-F OURS", "-X OURS"),
        ("-A OUTPUT -p tcp", "-A NOWHERE -p udp"),
        ("-A OUTPUT -p tcp", "-A OUTPUT -j NOWHERE"),
        ("-A OUTPUT -p tcp", "-D OUTPUT -p udp"),
        ("-A OUTPUT -p tcp", "-D OUTPUT 7"),
        ("-A OUTPUT -p tcp", "-I OUTPUT 7 -p udp"),
        ("-N OURS",),
        (f"-A OUTPUT {IN_SET}",),
        ("-A OUTPUT -p tcp", "-X OUTPUT"),
        ("-D PREROUTING -j OURS",),
    ],
    "the same rule twice": [
        ("-A OUTPUT -p udp", "-A OUTPUT -p tcp", "[7:70] -A OUTPUT -p udp"),
        ("-D OUTPUT -p udp",),
        ("-D OUTPUT -p udp",),
        ("-D OUTPUT -p udp",),
    ],
    "sets": [
        ("create peers hash:net", "add peers 10.0.0.0/8", "create ports bitmap:port range 0-65535", "add ports 53"),
        ("-A OUTPUT -m set --match-set peers dst -j CT --notrack",),
        ("create new hash:net maxelem 100", "add new 11.0.0.0/8", "swap new peers", "destroy new"),
        ("destroy ports", "destroy peers"),
        ("add peers 12.0.0.0/8", "add peers 12.0.0.0/8", "add peers 13.0.0.0/8"),
        ("del peers 99.0.0.0/8",),
        ("create peers hash:net",),
        ("create six hash:net family inet6", "swap six peers"),
        ("add nowhere 10.0.0.0/8",),
        ("flush six", "destroy six", "destroy six"),
        (f"-D OUTPUT {IN_SET}",),
        ("flush peers", "destroy peers"),
    ],
}


def run(tools: Tools, variant: Variant, step: Step) -> str:
    """Make the change; the name of the error, if it is refused."""
    try:
        if step[0][0] in ":-[":
            tools.restore(variant, Family.IPV4, change(*step))
        else:
            tools.restore_sets("\n".join(step) + "\n")
    except CtpolicyError as error:
        return type(error).__name__
    return ""


def state(tools: Tools, variant: Variant) -> tuple[list[str], list[str]]:
    """What is there, without what the tools make up as they go."""
    table = [line for line in (tools.save(variant, Family.IPV4) or "").splitlines() if not line.startswith("#")]
    sets = re.sub(r"initval 0x[0-9a-f]+", "initval", tools.sets() or "").splitlines()
    return [line for line in table if line], sorted(sets)


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)
def test_the_fake_does_as_the_real_tools(story: str, variant: Variant, namespace: Namespace) -> None:
    fake, real = FakeTools(), IptablesTools(namespace.path)
    for step in STORIES[story]:
        assert (step, run(fake, variant, step)) == (step, run(real, variant, step))
        if fake.save(variant, Family.IPV4) is not None:  # a refused change may leave the real table made, and empty
            assert state(fake, variant) == state(real, variant), step
