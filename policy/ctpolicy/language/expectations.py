"""Expectations: the unit tests that travel with a policy."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ctpolicy.language.diagnostics import Diagnostic, Place
from ctpolicy.language.mistakes import Mistakes, ValueMistake
from ctpolicy.language.nodes import Mapping, Node, Scalar
from ctpolicy.language.policy import Expectation, Policy
from ctpolicy.meaning import Decision, Meaning
from ctpolicy.packetspace.packet import NOTATION, NotationError, Packet, parse_packet

PlacedExpectation = tuple[Scalar, Expectation]
"""An expectation and where its packet stands."""

_VERDICTS = ("untracked", "tracked")
_KEYS = {*_VERDICTS, "by"}


@dataclass(frozen=True, slots=True)
class Roles:
    """The names of all entries, by what the entries do; in the order of the files."""

    bypass: Collection[str]
    track: Collection[str]


@dataclass(frozen=True, slots=True)
class Tried:
    """An expectation that was tried.

    Args:
        text: what is expected, in one line: `untracked: in udp 192.0.2.1:1 -> 192.0.2.2:53, by dns`.
        place: where its packet stands.
        diagnostic: why the policy does not meet it; None if it does.
    """

    text: str
    place: Place
    diagnostic: Diagnostic | None


def read_expectation(node: Mapping, roles: Roles | None, mistakes: Mistakes) -> PlacedExpectation | None:
    """One item under `expect`; None if it has a mistake, which has been told here or by the schema's stage.

    Args:
        node: the item.
        roles: of all entries; None if not all of them are known, because a file could not be read.
        mistakes: where to tell mistakes.
    """
    verdicts = [key for key in node.pairs if key in _VERDICTS]
    if len(verdicts) > 1:
        mistakes.tell(node, "two packets stand in one item", "one packet an item: `- untracked: ...`, `- tracked: ...`")
        return None
    if not verdicts and set(node.pairs) == {"by"} and not node.is_torn:
        mistakes.tell(node, "this item has no packet", "`untracked` or `tracked` beside `by`")
        return None
    text = node.get(verdicts[0]) if verdicts else None
    if not isinstance(text, Scalar) or not isinstance(text.value, str):
        return None
    before = mistakes.count
    packet = mistakes.parsed(text, _packet)
    by = _deciding(node.get("by"), verdicts[0] == "untracked", roles, mistakes)
    if packet is None or mistakes.count > before or not node.pairs.keys() <= _KEYS:
        return None
    return text, Expectation(packet, verdicts[0] == "untracked", by)


def _deciding(node: Node | None, untracked: bool, roles: Roles | None, mistakes: Mistakes) -> str | None:
    """The entry that is to decide. That there is none such is told, unless it may be in a file that is not there."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return None
    name = node.value
    if roles is None:
        return name
    wanted, others = (roles.bypass, roles.track) if untracked else (roles.track, roles.bypass)
    role, verdict = ("bypass", "untracked") if untracked else ("track", "tracked")
    if name in others and name not in wanted:
        message = f"`{name[:40]}` is no {role} entry, and only these make a packet {verdict}"
        mistakes.tell(node, message, f"the name of a {role} entry")
    elif name not in wanted:
        suggestion = mistakes.nearest(name, wanted)
        mistakes.tell(node, f"there is no {role} entry `{name[:40]}`", f"the name of a {role} entry", suggestion)
    return name


def try_expectations(policy: Policy, expectations: Iterable[PlacedExpectation]) -> tuple[Tried, ...]:
    """Each expectation, and why a policy does not meet it, if it does not."""
    meaning = Meaning.of(policy)
    return tuple(_tried(place, expectation, meaning) for place, expectation in expectations)


def _tried(where: Scalar, expectation: Expectation, meaning: Meaning) -> Tried:
    place = where.place
    fault = _fault(expectation, meaning.decide(expectation.packet))
    return Tried(_text(expectation), place, Diagnostic(place, fault) if fault else None)


def _text(expectation: Expectation) -> str:
    verdict = "untracked" if expectation.untracked else "tracked"
    return f"{verdict}: {expectation.packet}" + (f", by {expectation.by}" if expectation.by else "")


def _fault(expectation: Expectation, decision: Decision) -> str:
    """Why a decision is not as expected; nothing if it is."""
    wanted = "untracked" if expectation.untracked else "tracked"
    if decision.untracked != expectation.untracked:
        return f"this packet is expected to be {wanted}, and is not: {_reason(decision)}"
    deciding = decision.bypassed_by if decision.untracked else decision.tracked_by
    if expectation.by in {None, *deciding}:
        return ""
    role = "bypass" if decision.untracked else "track"
    found = f"in {role} {_names(deciding)}" if deciding else f"in no {role} entry"
    return f"this packet is expected to be {wanted} by `{expectation.by}`, and is not: it is {found}"


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
