"""Advice, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ctpolicy.conntrack.advice import Advice, Candidate, Verdict

_WORDS: Final = {
    Verdict.SAFE: "safe",
    Verdict.NEEDS_ACCEPT: "needs an accept rule",
    Verdict.REFUSED: "not safe",
}
_NAMES: Final = {Verdict.SAFE: "safe", Verdict.NEEDS_ACCEPT: "needs-accept", Verdict.REFUSED: "refused"}


@dataclass(frozen=True, slots=True)
class Written:
    """A candidate as an entry of a policy.

    Args:
        candidate: itself.
        name: of the entry.
        yaml: its lines, as they may stand under `bypass:`.
    """

    candidate: Candidate
    name: str
    yaml: tuple[str, ...]


def advice_lines(advice: Advice, written: Sequence[Written]) -> Iterator[str]:
    """What people read: the table, then each candidate with the entry that may be pasted.

    Args:
        advice: the advice.
        written: those of its candidates that are shown, in order.
    """
    yield f"{advice.total:,} {'entry' if advice.total == 1 else 'entries'} in the conntrack table."
    for name, number in advice.standing:
        yield f"  {number:,} of them ({_percent(number, advice.total)} %) bypassed already: {name}"
    if advice.unadvised:
        yield f"  {advice.unadvised:,} of a kind that is not advised, such as ICMP"
    yield from (f"Note: {note}" for note in advice.notes)
    for one in written:
        yield ""
        yield from _candidate_lines(one, advice.total)
    left = len(advice.candidates) - len(written)
    if left:
        yield ""
        yield f"... and {left} more: --top {len(advice.candidates)}"
    if not any(one.verdict is Verdict.SAFE for one in advice.candidates):
        yield ""
        yield "Nothing is advised that is safe as the host is now."


def _candidate_lines(one: Written, total: int) -> Iterator[str]:
    found = one.candidate
    number = f"{found.entries:,} {'entry' if found.entries == 1 else 'entries'}"
    yield f"{one.name}: {number}, {_percent(found.entries, total)} %  ({_WORDS[found.verdict]})"
    seen = "both directions seen" if found.both_ways else "one direction seen"
    about = "" if found.peers_are_exact else "about "
    yield f"  {seen}, {found.answered:,} answered; {about}{found.peers:,} {'peer' if found.peers == 1 else 'peers'}"
    yield from (f"  {reason}" for reason in found.reasons)
    yield from (f"  {note}" for note in found.notes)
    if found.verdict is not Verdict.REFUSED:
        yield from (f"    {line}" for line in one.yaml)


def remark(one: Written, total: int) -> str:
    """A line about an entry in a policy that was advised."""
    found = one.candidate
    number = f"{found.entries:,} {'entry' if found.entries == 1 else 'entries'}"
    return f"{one.name}: {number} ({_percent(found.entries, total)} %)" + "".join(f"; {note}" for note in found.notes)


def advice_json(advice: Advice, written: Sequence[Written], local: Sequence[str] | None) -> dict[str, Any]:
    """The same as one object, by schemas/advise-v1.schema.json.

    Args:
        advice: the advice.
        written: those of its candidates that are shown, in order.
        local: addresses that were taken for the host's, because they were guessed; None if they are known.
    """
    return {
        "apiVersion": "ctpolicy.advise/v1",
        "total": advice.total,
        "bypassed": [{"name": name, "entries": number} for name, number in advice.standing],
        "unadvised": advice.unadvised,
        "guessedAddresses": None if local is None else list(local),
        "notes": list(advice.notes),
        "candidates": [_candidate_json(one, advice.total) for one in written],
    }


def _candidate_json(one: Written, total: int) -> dict[str, Any]:
    found = one.candidate
    return {
        "name": one.name,
        "verdict": _NAMES[found.verdict],
        "entries": found.entries,
        "percent": float(_percent(found.entries, total)),
        "answered": found.answered,
        "bothDirections": found.both_ways,
        "peers": {"number": found.peers, "exact": found.peers_are_exact},
        "reasons": list(found.reasons),
        "notes": list(found.notes),
        "yaml": "\n".join(one.yaml) + "\n",
    }


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole if whole else 0:.1f}"
