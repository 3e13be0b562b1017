"""Whatever was shown and agreed to, what may not be done is not done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apply.hosts import Scene
from ctpolicy.apply.protocol import apply
from ctpolicy.errors import HazardError
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.plan.plan import Plan, plan_policy
from policies import VXLAN, policy


def test_a_plan_that_is_refused_under_the_lock_writes_nothing(tmp_path: Path) -> None:
    scene, wanted, asked = Scene(tmp_path), policy(VXLAN), list[Plan[Any]]()

    def allow(plan: Plan[Any]) -> None:
        asked.append(plan)
        raise HazardError("It would break something.")

    order = replace(scene.order(), asks=True, allow=allow)
    with pytest.raises(HazardError):
        apply(lambda: plan_policy(NFTABLES, wanted, scene.host.read()), order, scene.doors)
    assert len(asked) == 1
    assert (scene.host.changes, scene.tried_out, scene.state.changes()) == (0, [], [])


def test_the_status_is_that_of_something_found() -> None:
    assert HazardError.exit_status == 8
