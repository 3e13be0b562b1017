"""Expectations: the unit tests that travel with a policy."""

from __future__ import annotations

from collections.abc import Iterable

from ctpolicy.language.mistakes import Mistakes, ValueMistake
from ctpolicy.language.nodes import Mapping, Scalar
from ctpolicy.language.policy import Expectation, Policy
from ctpolicy.meaning import Decision, Meaning
from ctpolicy.packetspace.packet import NOTATION, NotationError, Packet, parse_packet

PlacedExpectation = tuple[Scalar, Expectation]
"""An expectation and where its packet stands."""


def read_expectation(node: Mapping, mistakes: Mistakes) -> PlacedExpectation | None:
    """One item under `expect`; None if it has a mistake, which has been told here or by the schema's stage."""
    verdicts = [key for key in node.pairs if key in {"untracked", "tracked"}]
    if len(verdicts) > 1:
        mistakes.tell(node, "two packets stand in one item", "one packet an item: `- untracked: ...`, `- tracked: ...`")
        return None
    text = node.get(verdicts[0]) if verdicts else None
    if not isinstance(text, Scalar) or not isinstance(text.value, str):
        return None
    packet = mistakes.parsed(text, _packet)
    return (text, Expectation(packet, verdicts[0] == "untracked")) if packet else None


def check_expectations(policy: Policy, expectations: Iterable[PlacedExpectation], mistakes: Mistakes) -> None:
    """Tell each expectation that a policy does not meet, and which entries decide that."""
    meaning = Meaning.of(policy)
    for place, expectation in expectations:
        decision = meaning.decide(expectation.packet)
        if decision.untracked != expectation.untracked:
            wanted = "untracked" if expectation.untracked else "tracked"
            mistakes.tell(place, f"this packet is expected to be {wanted}, and is not: {_reason(decision)}")


def _packet(text: str) -> Packet:
    try:
        return parse_packet(text)
    except NotationError as error:
        word = (text[error.offset :].split() or [""])[0]
        length = len(word) if error.offset or error.reason.startswith(f"`{word}`") else None
        expected = NOTATION if NOTATION not in error.reason else ""
        raise ValueMistake(error.reason, expected, offset=error.offset, length=length) from error


def _reason(decision: Decision) -> str:
    if decision.untracked:
        return f"it is in bypass {_names(decision.bypassed_by)}, and in no track entry"
    if not decision.bypassed_by:
        return "it is in no bypass entry"
    return f"it is in track {_names(decision.tracked_by)}, which outweighs bypass {_names(decision.bypassed_by)}"


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
