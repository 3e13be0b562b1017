"""Fixtures that several kinds of test share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.namespace import Namespace, make_namespace
from kernel.oracle import Oracle


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--soak"):
        for item in items:
            if "soak" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="a long run: give --soak"))


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
