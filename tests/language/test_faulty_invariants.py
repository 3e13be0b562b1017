"""Every faulty file of invariants under tests/scenarios/faulty-invariants is told as written there.

`pytest tests/language/test_faulty_invariants.py --regenerate` writes down what is told now; review the difference.
"""

from __future__ import annotations

import pytest

from language.faulty import INVARIANTS, Case, cases, regenerate

CASES = list(cases(INVARIANTS))


@pytest.fixture(scope="session", autouse=True)
def regenerated(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--regenerate"):
        regenerate(INVARIANTS)
        pytest.exit("tests/scenarios/faulty-invariants has been written anew; review it with git diff", returncode=0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.theme.stem}: {case.title}")
def test_faulty_invariants_are_told_as_written_down(case: Case) -> None:
    assert case.tell() == case.told


def test_there_are_many_and_no_title_comes_twice() -> None:
    titles = [(case.theme, case.title) for case in CASES]
    assert len(set(titles)) == len(titles) >= 25
