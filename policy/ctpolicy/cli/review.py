"""`ctpolicy review`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import click

from ctpolicy.cli.options import POLICY_PATH, policies, read_file
from ctpolicy.cli.output import print_lines, tell
from ctpolicy.cli.waiting import bar
from ctpolicy.errors import HostError, InputError
from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.source import Source, UnreadableError, read_policy
from ctpolicy.plan.dump import read_dump
from ctpolicy.review.examine import Questions, examine
from ctpolicy.review.hazards import Host
from ctpolicy.review.reports.formats import ENDINGS, FORMATS
from ctpolicy.review.reports.terminal import terminal
from ctpolicy.review.review import Result, Review, Subject
from ctpolicy.review.revisions import read_base, sources_at

FOUND: Final = 8
TERMINAL: Final = "terminal"
PACKETS: Final = 2_000
"""That the kernel is asked about."""


@click.command("review")
@policies
@click.option(
    "--base",
    "bases",
    metavar="REV|FILE",
    multiple=True,
    help="Compare with the same files at this git revision, or with these files.",
)
@click.option(
    "--invariants",
    "invariants",
    metavar="FILE",
    multiple=True,
    type=POLICY_PATH,
    help="What must hold of any policy, kept by its owners.",
)
@click.option(
    "--kernel/--no-kernel",
    default=None,
    help="Load what is compiled in a scratch namespace and ask this kernel; if not said, where that can be had.",
)
@click.option(
    "--live",
    "dumps",
    metavar="FILE",
    multiple=True,
    type=POLICY_PATH,
    help="Look what would break on the host of which this was saved, as `plan --live` takes it. May be given again.",
)
@click.option("--examples", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Of each property.")
@click.option("--as-of", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="The day by which waivers are judged.")
@click.option(
    "--format", "form", type=click.Choice([TERMINAL, *FORMATS]), default=TERMINAL, show_default=True, help="To print."
)
@click.option(
    "--output",
    "outputs",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Write the report here too, in the format of the name's ending: {', '.join(ENDINGS)}.",
)
@click.option("--each", is_flag=True, help="Each file is a policy of its own.")
def command(
    policies: tuple[Path, ...],
    bases: tuple[str, ...],
    invariants: tuple[Path, ...],
    kernel: bool | None,
    dumps: tuple[Path, ...],
    examples: int,
    as_of: datetime | None,
    form: str,
    outputs: tuple[Path, ...],
    each: bool,
) -> int:
    """Review policies as a change to how packets are treated.

    Says what changes in packets since the base, tries what the policies expect, proves their invariants, proves that
    the rules of every backend mean what the policies mean, tries properties on packets near their boundaries, and asks
    the kernel in a scratch namespace. The exit status is 8 if anything is broken. Needs no privilege, no network, and
    runs nothing that comes from the policies: it is safe on a stranger's pull request.

    With --live it says what the change would break on hosts whose rules were collected, or without a base what the
    policy would.

    \b
      ctpolicy review examples/openshift-worker.yaml
      ctpolicy review --base origin/main --invariants invariants.yaml policy.yaml
      ctpolicy review --base origin/main --live worker.json --live gateway.json policy.yaml
      ctpolicy review --base HEAD~1 --output review.html --output review.sarif policy.yaml
    """
    for output in outputs:
        if _ending(output) is None:
            raise InputError(f"{output}: the ending says no format; there are {', '.join(ENDINGS)}.")
    groups = [(path,) for path in policies] if each else [policies]
    if len(groups) > 1 and (outputs or form != TERMINAL):
        raise InputError("With --each there is a review of each file: for reports, review them one by one.")
    questions = Questions(
        today=as_of.date() if as_of else _today(),
        invariants=tuple(_source(path) for path in invariants),
        examples=examples,
        packets=0 if kernel is False else PACKETS,
        hosts=tuple(Host(str(path), read_dump(read_file(path))) for path in dict.fromkeys(dumps)),
    )
    reviews = [_review(group, bases, invariants, questions) for group in groups]
    for review in reviews:
        if kernel:
            _refuse_silence(review)
        _print(review, form)
        _write(review, outputs)
    return 0 if all(review.is_passed for review in reviews) else FOUND


def _review(paths: Sequence[Path], bases: Sequence[str], invariants: Sequence[Path], questions: Questions) -> Review:
    if bases:
        base = read_base(bases, paths)
        questions = replace(questions, base=base, invariants_before=_invariants_before(bases, invariants))
    with bar() as told:
        return examine([_source(path) for path in paths], questions, told)


def _invariants_before(bases: Sequence[str], invariants: Sequence[Path]) -> tuple[str, ...] | None:
    """Their texts at the revision; None if the base is files, or they are kept in another repository."""
    if not invariants or all(Path(base).is_file() for base in bases):
        return None
    try:
        return tuple(source.text for source in sources_at(bases[0], invariants).sources)
    except (InputError, UnreadableError):
        return None


def _today() -> date:
    return datetime.now(UTC).date()


def _source(path: Path) -> Source:
    """A file's text.

    Raises:
        InputError: it cannot be read at all, so there is nothing to review.
    """
    try:
        return read_policy(path)
    except UnreadableError as error:
        raise PolicyError([error.diagnostic]) from error


def _refuse_silence(review: Review) -> None:
    """Whoever asks for the kernel's answer is to have it."""
    for check in review.checks:
        if check.subject is Subject.KERNEL and check.result is Result.NOT_ASKED:
            raise HostError(f"The kernel cannot be asked: {check.told}. Leave --kernel out to review without it.")


def _ending(output: Path) -> str | None:
    return next((ENDINGS[ending] for ending in ENDINGS if output.name.endswith(ending)), None)


def _print(review: Review, form: str) -> None:
    if form == TERMINAL:
        print_lines(terminal(review))
        return
    for line in FORMATS[form](review).splitlines():
        tell(line)


def _write(review: Review, outputs: Sequence[Path]) -> None:
    for output in outputs:
        form = _ending(output)
        assert form is not None, "it was looked at before anything else"
        try:
            output.write_text(FORMATS[form](review), encoding="utf-8")
        except OSError as error:
            raise HostError(f"{output} cannot be written: {error.strerror}.") from error
