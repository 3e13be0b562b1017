"""What is offered against hazards, pasted: then nothing breaks on any host, and no loss is certain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.command_line import done, ran
from kernel.consequences.catalogue import Host, catalogue
from kernel.consequences.flows import Trial
from kernel.consequences.services import running
from kernel.consequences.world import world

pytestmark = pytest.mark.kernel

IN_EACH_RUN: Final = ("iptables-stateful-drop", "nft-sets", "nft-dnat-half", "ufw-host", "firewalld-host")
"""The rest is left to the soak."""

HOSTS: Final = [
    pytest.param(host, id=host.name, marks=[] if host.name in IN_EACH_RUN else [pytest.mark.soak])
    for host in catalogue()
    if host.policy and host.broken and not host.first and not host.kept
]

NOT_MENDED: Final = {
    ("iptables-connlimit", "recent-new"): "a list of new packets meets none; nothing but the bypass itself could go",
    ("nft-unreachable-dropped", "closed6"): "an ICMP error that is no reason to give up a bypass",
    ("ufw-host", "limited"): "a limit of new packets meets none; that is possible, and nobody gives up a bypass for it",
}
"""Flows that no remedy helps, and why."""


@pytest.mark.parametrize("host", HOSTS)
def test_what_was_offered_mends_what_breaks(host: Host, tmp_path: Path) -> None:
    with world(host.inside, host.vxlan) as made, running(made, host.services), Trial(made) as trial:
        host.set_up(made["host"])
        assert trial.outcomes(host.flows, host.before, host.kept) == host.before
        where = ("--backend", host.backend, "--netns", made["host"].path)
        script = tmp_path / "remedies.sh"
        assert host.policy is not None
        planned = json.loads(done("plan", host.policy, "--json", "--remedies", script, *where))
        made["host"].run("sh", "-eu", stdin=script.read_text())
        policies = [host.policy, *track_entries(planned, tmp_path)]
        left = ran("plan", *policies, "--json", *where)
        assert certain_losses(json.loads(left.output)) == []
        done("apply", *policies, *where, "--state", tmp_path, "--yes")
        made.forget_path_mtus()
        outcomes = trial.outcomes(host.flows, host.before, host.kept)
        broken = {name for name, outcome in outcomes.items() if outcome != host.before[name]}
        assert broken == {name for folder, name in NOT_MENDED if folder == host.name}


def track_entries(planned: dict[str, Any], directory: Path) -> list[Path]:
    """The entries against what is certain, as files beside the policy; each name is taken once."""
    files = []
    wanted = [one for one in planned["remedies"] if one["kind"] == "track entry"]
    for number, remedy in enumerate(wanted):
        files.append(directory / f"track-{number}.yaml")
        files[-1].write_text(remedy["policy"])
    return files


def certain_losses(planned: dict[str, Any]) -> list[str]:
    found = planned["hazards"]["found"]
    return [f"{one['code']} {one['packets']}" for one in found if one["certain"] and one["severity"] == "error"]
