"""Law: a name is in a set of interfaces exactly when one of the patterns it was made of covers the name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.packetspace.interfaces import Interfaces, is_interface_name, is_interface_pattern

NAMES = st.text(alphabet="ab0", min_size=1, max_size=4)
PATTERNS = st.lists(st.one_of(NAMES, NAMES.map(lambda name: name + "*")), max_size=6)


@given(PATTERNS, NAMES)
def test_membership_is_that_of_the_patterns(patterns: list[str], name: str) -> None:
    covered = any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns)
    assert (name in Interfaces.of(patterns)) == covered


@given(PATTERNS)
def test_no_pattern_is_covered_by_another(patterns: list[str]) -> None:
    kept = Interfaces.of(patterns)
    assert set(kept.names) | set(kept.wildcards) == set(kept.patterns or ()) <= set(patterns)
    for pattern in kept.patterns or ():
        others = Interfaces.of(set(kept.patterns or ()) - {pattern})
        assert pattern.rstrip("*") not in others or (pattern.endswith("*") and pattern[:-1] in others.names)


@given(st.text(max_size=18))
def test_a_name_is_a_pattern_and_never_holds_what_a_ruleset_cannot_quote(text: str) -> None:
    if is_interface_name(text):
        assert is_interface_pattern(text)
        assert text.isascii() and text.isprintable() and not set(text) & set(' "\\/*;{}') and len(text) <= 15
