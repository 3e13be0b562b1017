"""Fixtures that several kinds of test share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from ctpolicy.oracle.worlds import Oracle
from kernel.namespace import Namespace, make_namespace


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests too")
    parser.addoption("--regenerate", action="store_true", help="write the expected diagnostics anew, for review")


def pytest_configure(config: pytest.Config) -> None:
    # No deadline for one example: another process on the machine is no fault of what is tested.
    slow = [HealthCheck.too_slow]
    settings.register_profile("laws", max_examples=20, deadline=None, suppress_health_check=slow)
    settings.register_profile("soak", max_examples=1000, deadline=None, suppress_health_check=slow)
    settings.load_profile("soak" if config.getoption("--soak") else "laws")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--soak"):
        long_runs = [item for item in items if "soak" in item.keywords]
        config.hook.pytest_deselected(items=long_runs)
        items[:] = [item for item in items if item not in long_runs]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A scratch network namespace with `lo` up."""
    with make_namespace() as scratch:
        yield scratch


@pytest.fixture
def other_namespace() -> Iterator[Namespace]:
    """Another one."""
    with make_namespace() as scratch:
        yield scratch


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """The kernel, to be asked which packets a ruleset leaves untracked."""
    asked = Oracle(make_namespace(), make_namespace())
    yield asked
    asked.close()
