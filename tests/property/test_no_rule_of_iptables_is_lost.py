"""Law: whatever a rule of iptables asks, what it does is a step, or it is told to be without effect; and what is not
certain about it is not told as certain.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.iptables.host_rules import host_rules
from ctpolicy.iptables.host_targets import WITHOUT_EFFECT
from ctpolicy.iptables.read import read_table
from ctpolicy.iptables.ruleset import Variant
from iptables_extensions import MATCHES, TARGETS, V4

VERDICTS = ("ACCEPT", "DROP", "RETURN", "QUEUE", "somebodys")
WITHOUT_STEPS = WITHOUT_EFFECT | {"SET"}
UNKNOWN = ("-m unknown --word 1", "-m unknown ! --word", "-s 10.0.0.0/255.0.0.255", "-p nobodys", "-f", "-m set --word")

matches = st.lists(st.sampled_from((*MATCHES.values(), *UNKNOWN)), max_size=4).map(" ".join)
targets = st.sampled_from([(name, f"-j {name} {words}".rstrip()) for name, words in TARGETS.items()]) | st.sampled_from(
    [(name, f"-j {name}") for name in VERDICTS]
)


@given(st.lists(st.tuples(matches, targets), min_size=1, max_size=8))
def test_every_rule_that_does_something_is_a_step(rules: list[tuple[str, tuple[str, str]]]) -> None:
    lines = [f"-A X {asked} {words}".replace("  ", " ") for asked, (_, words) in rules]
    text = "\n".join(["*mangle", ":INPUT ACCEPT [0:0]", ":X - [0:0]", *lines, "COMMIT", ""])
    (table,) = host_rules([(Variant.NFT, V4, text)]).rules.tables
    steps = table.chains["X"].steps
    assert {step.rule.number for step in steps} >= {
        number for number, (_, (name, _)) in enumerate(rules, start=1) if name not in WITHOUT_STEPS
    }
    for step in steps:
        assert step.rule.text == lines[step.rule.number - 1]
    raw = read_table(text, V4, "mangle")
    assert raw is not None
    for number, rule in enumerate(raw.chains[1].rules, start=1):
        # A rule with a match of which nothing is told as a field, or of conntrack, is open at its last step.
        found = [step for step in steps if step.rule.number == number]
        if found and any(word in lines[number - 1] for word in UNKNOWN):
            assert found[-1].open
        assert rule.spelling in lines[number - 1]
