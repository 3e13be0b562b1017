"""What `ctpolicy.testing` offers is there, and is loaded when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ctpolicy.testing


@pytest.mark.parametrize("name", ctpolicy.testing.__all__)
def test_name_is_there_and_explained(name: str) -> None:
    assert getattr(ctpolicy.testing, name).__doc__


def test_all_names_are_listed() -> None:
    assert set(dir(ctpolicy.testing)) == set(ctpolicy.testing.__all__) == set(ctpolicy.testing._MODULE_OF)


def test_name_that_there_is_not() -> None:
    with pytest.raises(AttributeError, match=r"'ctpolicy[.]testing' has no attribute 'packet'"):
        ctpolicy.testing.packet  # noqa: B018


def test_host_in_memory_needs_no_hypothesis() -> None:
    look = "import sys; from ctpolicy.testing import FakeHost; print('hypothesis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
