"""Faulty policies and what is told about them, as they stand in tests/scenarios/faulty.

=== case TITLE
the policy, as policy.yaml
=== file NAME          (any number of further files that are read with it)
a further file
=== told
every diagnostic, as a terminal shows it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.load import load_sources
from ctpolicy.language.source import Source

SCENARIOS = Path(__file__).parents[1] / "scenarios" / "faulty"

_CASE = re.compile(
    r"^=== case (?P<title>.+)\n(?P<files>(?:.*\n)*?)=== told\n(?P<told>(?:(?!=== case ).*\n)*)", re.MULTILINE
)


@dataclass(frozen=True)
class Case:
    """One faulty policy, of one or several files, and what is expected to be told about it."""

    theme: Path
    title: str
    files: dict[str, str]
    told: str

    def tell(self) -> str:
        """What is told about it."""
        try:
            load_sources([Source(name, text, SCENARIOS) for name, text in self.files.items()])
        except PolicyError as error:
            return str(error).replace(str(SCENARIOS), "...")
        raise AssertionError(f"{self.theme.name}: {self.title}: no mistake was found")


def cases() -> Iterator[Case]:
    """Every case of every file."""
    for theme in sorted(SCENARIOS.glob("*.txt")):
        for found in _CASE.finditer(theme.read_text()):
            yield Case(theme, found["title"], _files(found["files"]), found["told"].rstrip("\n"))


def regenerate() -> None:
    """Write down what is told now, for a person to review."""
    for theme in sorted(SCENARIOS.glob("*.txt")):
        text = "\n".join(_written(case) for case in cases() if case.theme == theme)
        theme.write_text(text)


def _written(case: Case) -> str:
    first, *others = case.files.items()
    files = first[1] + "".join(f"=== file {name}\n{text}" for name, text in others)
    return f"=== case {case.title}\n{files}=== told\n{case.tell()}\n"


def _files(text: str) -> dict[str, str]:
    first, *others = re.split(r"^=== file (.+)\n", text, flags=re.MULTILINE)
    return {"policy.yaml": first, **dict(zip(others[::2], others[1::2], strict=True))}
