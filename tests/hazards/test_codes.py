"""Codes of hazards are what people write in `acknowledge`, so they are told, once each."""

from __future__ import annotations

import re
from pathlib import Path

from ctpolicy.hazards.codes import CODES

TOLD = Path(__file__).parents[2] / "docs" / "hazards.md"


def test_every_code_is_told_as_it_is() -> None:
    rows = re.findall(r"^\| (HZ\d{3}) \| (\S+) \| (\S+) \| (.*) \|$", TOLD.read_text(), re.MULTILINE)
    assert rows == sorted((code.code, code.name, code.severity.value, code.summary) for code in CODES)


def test_no_code_stands_for_two_things() -> None:
    assert len({code.code for code in CODES}) == len({code.name for code in CODES}) == len(CODES)
