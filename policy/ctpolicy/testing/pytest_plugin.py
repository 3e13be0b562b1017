"""The plugin of pytest: the policy that a team's tests are about, read once.

    pytest --ctpolicy=policy.yaml

or, in pytest.ini or pyproject.toml, `ctpolicy_files = policy.yaml`. Several files are merged, as by every command.

It is loaded wherever ctpolicy is installed, so it imports nothing of ctpolicy or Hypothesis until a test asks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ctpolicy.language.policy import Policy
    from ctpolicy.packetspace.space import PacketSpace
    from ctpolicy.testing.fake_host import FakeHost


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--ctpolicy=FILE`, and the same in a file."""
    help_text = "policy that the tests are about; several are merged"
    group = parser.getgroup("ctpolicy", "policies about connection tracking")
    group.addoption("--ctpolicy", action="append", default=[], metavar="FILE", help=help_text)
    parser.addini("ctpolicy_files", f"{help_text}; --ctpolicy goes before it", type="paths", default=[])


def policy_files(config: pytest.Config) -> list[Path]:
    """The policies that were named: on the command line, or else in the configuration."""
    given: list[str] = config.getoption("--ctpolicy")
    named: list[Path] = config.getini("ctpolicy_files")
    return [_as_short_as_it_goes(path) for path in ([config.invocation_params.dir / one for one in given] or named)]


@pytest.fixture(scope="session")
def ctpolicy_policy(pytestconfig: pytest.Config) -> Policy:
    """The policy that `--ctpolicy` or `ctpolicy_files` names. Mistakes in it fail each test that asks."""
    from ctpolicy.language.diagnostics import PolicyError
    from ctpolicy.language.load import load_files

    files = policy_files(pytestconfig)
    if not files:
        pytest.fail("Which policy? Say --ctpolicy=FILE, or ctpolicy_files = FILE in pytest.ini.", pytrace=False)
    try:
        return load_files(files)
    except PolicyError as error:
        mistakes = str(error)
    pytest.fail(f"The policy has mistakes:\n{mistakes}", pytrace=False)


@pytest.fixture(scope="session")
def ctpolicy_space(ctpolicy_policy: Policy) -> PacketSpace:
    """The packets that the policy leaves untracked: `packet in ctpolicy_space`."""
    from ctpolicy.meaning_space import bypass_space

    return bypass_space(ctpolicy_policy)


@pytest.fixture(scope="session")
def ctpolicy_host(ctpolicy_policy: Policy) -> FakeHost:
    """A host in memory to which the policy was applied. Tests share it: those that change it make one of their own."""
    from ctpolicy.testing.fake_host import FakeHost

    host = FakeHost()
    host.apply(ctpolicy_policy)
    return host


def _as_short_as_it_goes(path: Path) -> Path:
    """As seen from here, so that mistakes are told with the file's name as people know it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
