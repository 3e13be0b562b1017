"""The plugin gives a team's tests their policy, says what is wrong with it, and costs nothing where it is not used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from loaded_first import LOADED
from policies import METRICS

pytest_plugins = ["pytester"]

POLICY = f"apiVersion: ctpolicy/v1\nname: tested\n{METRICS}"
OTHER = "apiVersion: ctpolicy/v1\nname: other\nbypass:\n  - {name: dns, host-client: udp/53}\n"
SHOWS_ITS_NAME = "def test_it(ctpolicy_policy):\n    assert ctpolicy_policy.name == {name!r}\n"


assert LOADED, "before pytester runs"


@pytest.fixture
def team(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with a policy, as a team has it."""
    pytester.makefile(".yaml", policy=POLICY, other=OTHER)
    return pytester


def run(team: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return team.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider", *arguments)


def test_policy_is_the_one_on_the_command_line(team: pytest.Pytester) -> None:
    team.makepyfile(SHOWS_ITS_NAME.format(name="tested"))
    run(team, "--ctpolicy=policy.yaml").assert_outcomes(passed=1)


def test_several_policies_are_merged(team: pytest.Pytester) -> None:
    team.makepyfile(SHOWS_ITS_NAME.format(name="tested + other"))
    run(team, "--ctpolicy=policy.yaml", "--ctpolicy=other.yaml").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\nctpolicy_files = policy.yaml other.yaml\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nctpolicy_files = ["policy.yaml", "other.yaml"]\n'),
    ],
)
def test_policy_is_named_in_the_configuration_wherever_pytest_is_run(
    team: pytest.Pytester, file: str, text: str
) -> None:
    (team.path / file).write_text(text)
    tests = team.mkdir("tests")
    (tests / "test_policy.py").write_text(SHOWS_ITS_NAME.format(name="tested + other"))
    run(team).assert_outcomes(passed=1)
    team.chdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tests)
        run(team).assert_outcomes(passed=1)


def test_command_line_goes_before_the_configuration(team: pytest.Pytester) -> None:
    team.makeini("[pytest]\nctpolicy_files = policy.yaml\n")
    team.makepyfile(SHOWS_ITS_NAME.format(name="other"))
    run(team, "--ctpolicy=other.yaml").assert_outcomes(passed=1)


def test_mistakes_are_told_and_no_traceback(team: pytest.Pytester) -> None:
    (team.path / "policy.yaml").write_text(POLICY.replace("tcp/9100", "tcp/91000"))
    team.makepyfile(SHOWS_ITS_NAME.format(name="tested"))
    told = run(team, "--ctpolicy=policy.yaml")
    told.assert_outcomes(errors=1)
    told.stdout.fnmatch_lines(["The policy has mistakes:", "policy.yaml:*: port 91000 is above 65535", "*^~*"])
    told.stdout.no_fnmatch_line("*Traceback*")
    told.stdout.no_fnmatch_line("*pytest_plugin.py*")
    told.stdout.no_fnmatch_line("*During handling*")


def test_file_that_is_not_there_is_told(team: pytest.Pytester) -> None:
    team.makepyfile(SHOWS_ITS_NAME.format(name="tested"))
    told = run(team, "--ctpolicy=absent.yaml")
    told.assert_outcomes(errors=1)
    told.stdout.fnmatch_lines(["absent.yaml: *"])


def test_no_policy_at_all_is_told_with_what_to_do(team: pytest.Pytester) -> None:
    team.makepyfile(SHOWS_ITS_NAME.format(name="tested"))
    told = run(team)
    told.assert_outcomes(errors=1)
    told.stdout.fnmatch_lines(["Which policy? Say --ctpolicy=FILE, or ctpolicy_files = FILE in pytest.ini."])


def test_laws_of_a_team_are_held_with_hypothesis(team: pytest.Pytester) -> None:
    """With all its health checks: the fixtures are of the session, so none is made anew for each example."""
    team.makepyfile(
        """
        from hypothesis import given, settings, strategies as st
        from ctpolicy.testing import packets, packets_inside

        few = settings(max_examples=15, database=None, deadline=None)

        @few
        @given(packets(protocol="tcp", destination_port=22))
        def test_ssh_is_tracked(ctpolicy_space, packet):
            assert packet not in ctpolicy_space

        @few
        @given(packet=packets(path="in", protocol="tcp", source="192.168.7.0/24", destination_port=9100))
        def test_metrics_are_tracked(ctpolicy_host, packet):
            assert not ctpolicy_host.untracked(packet)

        @few
        @given(data=st.data())
        def test_rules_are_the_policy(ctpolicy_policy, ctpolicy_space, ctpolicy_host, data):
            packet = data.draw(packets_inside(ctpolicy_policy))
            assert packet in ctpolicy_space
            assert ctpolicy_host.untracked(packet)
        """
    )
    told = run(team, "--ctpolicy=policy.yaml")
    told.assert_outcomes(passed=2, failed=1)
    told.stdout.fnmatch_lines(["*packet=Packet(path=Path.IN,*"])


def test_help_has_the_option_and_the_setting(team: pytest.Pytester) -> None:
    told = run(team, "--help")
    told.stdout.fnmatch_lines(["*--ctpolicy=FILE*", "*ctpolicy_files (paths)*"])


def test_where_it_is_not_used_nothing_is_imported(team: pytest.Pytester) -> None:
    team.makepyfile(
        """
        import sys

        def test_nothing_of_ctpolicy_is_loaded_but_the_plugin(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("ctpolicy")
            loaded = {name for name in sys.modules if name.partition(".")[0] == "ctpolicy"}
            assert loaded == {"ctpolicy", "ctpolicy.testing", "ctpolicy.testing.pytest_plugin"}
            assert not {"yaml", "jsonschema", "click", "nftables", "rich"} & set(sys.modules)
        """
    )
    # In a process of its own: this one has loaded everything already.
    team.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)


def test_module_itself_imports_nothing_but_pytest() -> None:
    look = (
        "import sys, pytest; before = set(sys.modules); import ctpolicy.testing.pytest_plugin; "
        "print(*sorted(name for name in set(sys.modules) - before if name.partition('.')[0] != 'importlib'))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["ctpolicy", "ctpolicy.testing", "ctpolicy.testing.pytest_plugin"]
