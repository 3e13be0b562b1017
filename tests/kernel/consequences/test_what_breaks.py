"""What a policy breaks on each host of the catalogue: told before it is applied, and shown by real traffic after.

Nothing that breaks is missed, and nothing that is said to be certainly lost goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from kernel.command_line import done
from kernel.consequences.catalogue import Host, catalogue
from kernel.consequences.flows import Trial
from kernel.consequences.services import running
from kernel.consequences.told import told_of
from kernel.consequences.world import world
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

HOSTS: Final = [pytest.param(host, id=host.name, marks=[pytest.mark.soak] if host.soak else []) for host in catalogue()]

NOT_TOLD: Final = {
    ("track-again-strict", "database"): "nothing is told of packets that are tracked again",
    ("track-again-strict", "metrics"): "likewise",
    ("track-again-translated", "database"): "likewise",
}
"""Flows that break for a reason that is not told yet."""


@pytest.mark.parametrize("host", HOSTS)
def test_what_breaks_on_a_host_is_told_and_nothing_else_breaks(host: Host, tmp_path: Path) -> None:
    with world(host.inside, host.vxlan) as made, running(made, host.services), Trial(made) as trial:
        host.set_up(made["host"])
        if host.first:
            apply(host, host.first, made["host"], tmp_path)
        assert trial.outcomes(host.flows, host.before, host.kept) == host.before
        hazards_are_told(host, made["host"])
        apply(host, host.policy, made["host"], tmp_path)
        made.forget_path_mtus()
        assert trial.outcomes(host.flows, host.after, host.kept) == host.after


def apply(host: Host, policy: Path | None, namespace: Namespace, state: Path) -> None:
    """Apply a policy as a user does, or remove the one that is in force."""
    where = ("--backend", host.backend, "--netns", namespace.path, "--state", state, "--yes")
    done("apply", policy, "--accept-hazards", *where) if policy else done("remove", *where)


def hazards_are_told(host: Host, namespace: Namespace) -> None:
    """The codes that the host's file has for each flow are told of it, and no flow that goes on is certainly lost."""
    reasons = {name for name, codes in host.hazards.items() if codes}
    assert host.broken - reasons == {name for folder, name in NOT_TOLD if folder == host.name}
    if host.policy is None:
        return  # nothing becomes untracked
    told = told_of(host, namespace)
    for name, codes in host.hazards.items():
        assert set(codes) <= {hazard.code for hazard in told.of(name)}, f"{host.name}: {name}"
    assert [f"{name}: {hazard}" for name, hazard in told.wrongly_certain()] == []
