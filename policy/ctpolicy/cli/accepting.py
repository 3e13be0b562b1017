"""What of a plan's hazards is accepted on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from ctpolicy.errors import HazardError
from ctpolicy.plan.hazard_report import refusal
from ctpolicy.plan.plan import Plan

accept_hazards: Final = click.option(
    "--accept-hazards", is_flag=True, help="Apply it even if traffic is certainly lost by it."
)


def allowing(accepted: bool) -> Callable[[Plan[Any]], None]:
    """What refuses a plan by which traffic is certainly lost, unless that is accepted."""

    def allow(plan: Plan[Any]) -> None:
        if plan.consequences.refused and not accepted:
            raise HazardError(refusal(plan.consequences.refused))

    return allow
