"""Faulty policies and what is told about them, as they stand in tests/scenarios/faulty; and faulty invariants likewise.

=== case TITLE
the policy, as policy.yaml, or the invariants, as invariants.yaml
=== file NAME          (any number of further files that are read with it)
a further file
=== told
every diagnostic, as a terminal shows it
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.invariants import load_invariants
from ctpolicy.language.load import load_sources
from ctpolicy.language.source import Source

SCENARIOS = Path(__file__).parents[1] / "scenarios"
POLICIES = SCENARIOS / "faulty"
INVARIANTS = SCENARIOS / "faulty-invariants"

_FIRST = {POLICIES: "policy.yaml", INVARIANTS: "invariants.yaml"}
_LOAD: dict[Path, Callable[[Sequence[Source]], object]] = {POLICIES: load_sources, INVARIANTS: load_invariants}

_CASE = re.compile(
    r"^=== case (?P<title>.+)\n(?P<files>(?:.*\n)*?)=== told\n(?P<told>(?:(?!=== case ).*\n)*)", re.MULTILINE
)


@dataclass(frozen=True)
class Case:
    """One faulty policy or file of invariants, with others that are read with it, and what is to be told of it."""

    theme: Path
    title: str
    files: dict[str, str]
    told: str

    def tell(self) -> str:
        """What is told about it."""
        directory = self.theme.parent
        try:
            _LOAD[directory]([Source(name, text, directory) for name, text in self.files.items()])
        except PolicyError as error:
            return str(error).replace(str(directory), "...")
        raise AssertionError(f"{self.theme.name}: {self.title}: no mistake was found")


def cases(directory: Path = POLICIES) -> Iterator[Case]:
    """Every case of every file of a directory."""
    for theme in sorted(directory.glob("*.txt")):
        for found in _CASE.finditer(theme.read_text()):
            files = _files(found["files"], _FIRST[directory])
            yield Case(theme, found["title"], files, found["told"].rstrip("\n"))


def regenerate(directory: Path = POLICIES) -> None:
    """Write down what is told now, for a person to review."""
    for theme in sorted(directory.glob("*.txt")):
        text = "\n".join(_written(case) for case in cases(directory) if case.theme == theme)
        theme.write_text(text)


def _written(case: Case) -> str:
    first, *others = case.files.items()
    files = first[1] + "".join(f"=== file {name}\n{text}" for name, text in others)
    return f"=== case {case.title}\n{files}=== told\n{case.tell()}\n"


def _files(text: str, name: str) -> dict[str, str]:
    first, *others = re.split(r"^=== file (.+)\n", text, flags=re.MULTILINE)
    return {name: first, **dict(zip(others[::2], others[1::2], strict=True))}
