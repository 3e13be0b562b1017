"""A review, stage after stage: read, lint, try what is expected, hold against invariants, prove, and ask.

Every stage is a function from the policy to checks, in a module of its own. Each has a bound on its work, so that a
stranger's policy can take neither the time nor the memory of whoever reviews it; what was given up says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ctpolicy.language.diagnostics import Diagnostic, Place, PolicyError
from ctpolicy.language.expectations import Tried
from ctpolicy.language.invariants import load_invariants
from ctpolicy.language.load import Reading, read_for_review
from ctpolicy.language.policy import Policy
from ctpolicy.language.rules import Invariants
from ctpolicy.language.source import Source
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.review.change import change_between
from ctpolicy.review.codes import BY_CODE, LINTS
from ctpolicy.review.finding import Finding, Severity, found_within
from ctpolicy.review.hazards import Host, check_hazards
from ctpolicy.review.invariants import check_invariants, sensitive_space
from ctpolicy.review.kernel import ask_kernel
from ctpolicy.review.lints import lints
from ctpolicy.review.proofs import prove
from ctpolicy.review.properties import check_properties
from ctpolicy.review.review import Change, Check, Level, Progress, Remark, Result, Review, Subject
from ctpolicy.review.revisions import Base
from ctpolicy.review.spaces import Spaces
from ctpolicy.review.summary import summaries

MOST_WORK: Final = 12_000_000
"""Of the lints: about as many microseconds, and 400 MB at most (see packetspace.space.bounded)."""

Told = Callable[[int, int, str], None]
"""Is told how many stages are done, of how many, and what is begun."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of the policies.

    Args:
        today: by which waivers are valid or not.
        base: what they are compared with; None to compare with nothing.
        invariants: files of them.
        invariants_before: their texts in the base; None if nobody knows.
        examples: that each property is tried with.
        packets: that the kernel is asked about; 0 to leave it alone.
        hosts: on which it is asked what would break.
    """

    today: date
    base: Base | None = None
    invariants: tuple[Source, ...] = ()
    invariants_before: tuple[str, ...] | None = None
    examples: int = 200
    packets: int = 0
    hosts: tuple[Host, ...] = ()


def examine(sources: Sequence[Source], questions: Questions, told: Told) -> Review:
    """All that there is to say about policies, which are one, and how they differ from their base.

    Args:
        sources: of the policies, as they could be read.
        questions: what is asked.
        told: is told how far it is.
    """
    reading = read_for_review(sources)
    files = tuple(source.name for source in sources)
    language = tuple(_language(files, reading.mistakes))
    if reading.policy is None:
        return Review(files, checks=(*language, *_unread()))
    return _Examination(files, language, reading, reading.policy, questions, told).review()


@dataclass(slots=True)
class _Examination:
    """A review of policies that can be read, while it goes on."""

    files: tuple[str, ...]
    language: tuple[Check, ...]
    reading: Reading
    policy: Policy
    questions: Questions
    told: Told
    spaces: Spaces | None = None
    done: int = 0

    def review(self) -> Review:
        """The stages, one after the other."""
        self.told(0, 1, "reading what the policy means")
        self.spaces = _spaces(self.policy)
        invariants, unread = _invariants(self.questions)
        places = self.reading.places
        stages: tuple[tuple[str, Callable[[Progress], list[Check]]], ...] = (
            ("linting", lambda _: _lints(self.policy, places, self.spaces)),
            ("trying what is expected", lambda _: list(map(_expected, self.reading.expectations))),
            ("proving invariants", lambda _: [*unread, *self._held(invariants)]),
            ("proving", lambda progress: prove(self.policy, progress, self.spaces)),
            ("trying properties", self._properties),
            ("asking the kernel", self._asked_of_the_kernel),
            ("looking for hazards", self._hazards),
        )
        of = len(stages) + 1
        checks: list[Check] = []
        for self.done, (words, ask) in enumerate(stages):
            self.told(self.done, of, words)
            checks += ask(lambda more: self.told(self.done, of, more))
        self.told(len(stages), of, "comparing with the base")
        change, about_base = _change(self.policy, self.spaces, invariants, places, self.questions.base)
        self.told(of, of, "done")
        entries = summaries(self.policy, places)
        return Review(self.files, self.policy.name, entries, (*self.language, *about_base, *checks), change)

    def _held(self, invariants: Invariants) -> Iterator[Check]:
        today = self.questions.today
        yield from check_invariants(self.policy, invariants, today, self.reading.places, self.spaces)
        if self.questions.invariants_before is not None:
            yield from _same_invariants(self.questions.invariants_before, self.questions.invariants)

    def _properties(self, progress: Progress) -> list[Check]:
        return check_properties(self.policy, self.questions.examples, progress, self.spaces)

    def _asked_of_the_kernel(self, progress: Progress) -> list[Check]:
        if not self.questions.packets:
            told = "left alone, as was asked"
            return [Check(Subject.KERNEL, "the kernel does as the policy means", Result.NOT_ASKED, told)]
        return ask_kernel(self.policy, self.questions.packets, progress, spaces=self.spaces)

    def _hazards(self, progress: Progress) -> list[Check]:
        hosts = self.questions.hosts
        before = _base_policy(self.questions.base) if hosts else Policy("")
        return list(check_hazards(before, self.policy, hosts, self.reading.places, progress))


def _base_policy(base: Base | None) -> Policy:
    """What is compared with; a policy without entries if there is none, or none that can be read."""
    reading = read_for_review(base.sources) if base is not None and base.sources else None
    return (reading.policy if reading is not None else None) or Policy("")


def _language(files: Sequence[str], mistakes: Sequence[Diagnostic]) -> Iterator[Check]:
    """A check for each file: what is wrong with a list that a policy names stands in a file of its own."""
    wrong: dict[str, list[Remark]] = {file: [] for file in files}
    for mistake in mistakes:
        wrong.setdefault(mistake.file, []).append(_mistake(mistake, "RV001"))
    for file, remarks in wrong.items():
        yield Check(Subject.LANGUAGE, file, Result.BROKEN if remarks else Result.HELD, remarks=tuple(remarks))


def _mistake(mistake: Diagnostic, code: str) -> Remark:
    return Remark(code, Level.ERROR, mistake.message, mistake.place, mistake.hint)


def _unread() -> Iterator[Check]:
    for subject in Subject:
        if subject not in {Subject.LANGUAGE, Subject.HAZARDS}:
            yield Check(subject, "everything", Result.NOT_ASKED, "the policy cannot be read")


def _spaces(policy: Policy) -> Spaces | None:
    """What the policy means; None if that is too large to know, and then each stage says so."""
    try:
        with bounded(MOST_WORK):
            return Spaces.of(policy)
    except TooLargeError:
        return None


def _lints(policy: Policy, places: Mapping[str, Place], spaces: Spaces | None) -> list[Check]:
    """A check for each lint."""
    found = found_within(lambda: lints(policy, spaces), MOST_WORK)
    if found is None:
        remark = Remark("RV012", Level.WARNING, "the policy's packets are too many different ones to lint exactly")
        return [Check(Subject.LINTS, "everything", Result.BROKEN, remarks=(remark,))]
    return [_lint(code, [finding for finding in found if finding.code == code], places) for code in LINTS]


def _lint(code: str, found: Sequence[Finding], places: Mapping[str, Place]) -> Check:
    remarks = tuple(
        Remark(
            code=code,
            level=Level.WARNING if finding.severity is Severity.WARNING else Level.NOTE,
            message=f"`{finding.about}` {finding.message}",
            place=places.get(str(finding.about)),
            witness=finding.witness,
            entry=str(finding.about),
        )
        for finding in found
    )
    is_broken = any(remark.level is not Level.NOTE for remark in remarks)
    name = f"{code} {BY_CODE[code].name}"
    return Check(Subject.LINTS, name, Result.BROKEN if is_broken else Result.HELD, remarks=remarks)


def _expected(tried: Tried) -> Check:
    if tried.diagnostic is None:
        return Check(Subject.EXPECTATIONS, tried.text, Result.HELD)
    return Check(Subject.EXPECTATIONS, tried.text, Result.BROKEN, remarks=(_mistake(tried.diagnostic, "RV002"),))


def _invariants(questions: Questions) -> tuple[Invariants, list[Check]]:
    """The invariants; if they cannot be read, none, and the check that says so."""
    try:
        return load_invariants(questions.invariants) if questions.invariants else Invariants(""), []
    except PolicyError as error:
        remarks = tuple(_mistake(mistake, "RV011") for mistake in error.diagnostics)
        return Invariants(""), [Check(Subject.INVARIANTS, "the invariants can be read", Result.BROKEN, remarks=remarks)]


def _same_invariants(before: Sequence[str], now: Sequence[Source]) -> Iterator[Check]:
    """Whoever changes the rules that a change is held against, is seen to."""
    if list(before) == [source.text for source in now]:
        return
    message = "the invariants are other ones than the base's: their owners are to agree"
    remark = Remark("RV011", Level.NOTE, message, now[0].whole() if now else None)
    yield Check(Subject.INVARIANTS, "the invariants are seen to change", Result.HELD, remarks=(remark,))


def _change(
    policy: Policy, spaces: Spaces | None, invariants: Invariants, places: Mapping[str, Place], base: Base | None
) -> tuple[Change | None, list[Check]]:
    """The change, and what is to be said of the base."""
    if base is None:
        return None, []
    reading = read_for_review(base.sources)
    before = reading.policy if base.sources else Policy("")
    if before is None:
        first = reading.mistakes[0]
        reason = f"{first.place}: {first.message}"
        remark = Remark("RV010", Level.NOTE, f"{base.words} cannot be read ({reason}), so no change is shown")
        check = Check(Subject.LANGUAGE, f"the base: {base.words}", Result.NOT_ASKED, reason, (remark,))
        return Change(base.words, unread=reason), [check]
    words = f"{base.words}, which has no {', '.join(base.new)}" if base.new else base.words
    sensitive = sensitive_space(invariants)
    told = change_between(before, policy, sensitive=sensitive, places=places, base_name=words, spaces=spaces)
    return told, []
