"""What a policy breaks on each host of the catalogue: real traffic, before it is applied and after."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from kernel.command_line import done
from kernel.consequences.catalogue import Host, catalogue
from kernel.consequences.flows import Trial
from kernel.consequences.services import running
from kernel.consequences.world import world
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel


HOSTS: Final = [pytest.param(host, id=host.name, marks=[pytest.mark.soak] if host.soak else []) for host in catalogue()]


@pytest.mark.parametrize("host", HOSTS)
def test_what_breaks_on_a_host_is_what_its_file_says(host: Host, tmp_path: Path) -> None:
    with world(host.inside, host.vxlan) as made, running(made, host.services), Trial(made) as trial:
        host.set_up(made["host"])
        if host.first:
            apply(host, host.first, made["host"], tmp_path)
        assert trial.outcomes(host.flows, host.before, host.kept) == host.before
        apply(host, host.policy, made["host"], tmp_path)
        made.forget_path_mtus()
        assert trial.outcomes(host.flows, host.after, host.kept) == host.after


def apply(host: Host, policy: Path | None, namespace: Namespace, state: Path) -> None:
    """Apply a policy as a user does, or remove the one that is in force."""
    where = ("--backend", host.backend, "--netns", namespace.path, "--state", state, "--yes")
    done("apply", policy, *where) if policy else done("remove", *where)
