"""A move from one backend to another: the new rules are applied and verified before the old ones go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ctpolicy.errors import CtpolicyError, InconsistentError
from ctpolicy.netfilter.backend import Backend
from ctpolicy.plan.plan import Plan


def migrate(
    arrive: Callable[[], Plan[Any] | None], depart: Callable[[], object], old: Backend[Any], new: Backend[Any]
) -> bool:
    """Apply the new rules, then remove the old ones; whether that was wanted.

    Args:
        arrive: applies to the new backend; None if it is not wanted.
        depart: removes what is in the old one.
        old: the backend to move from.
        new: that to move to.

    Raises:
        CtpolicyError: the new rules could not be applied, as `apply` tells it. The old ones stay.
        InconsistentError: the old ones could not be removed, so that both are there.
    """
    if arrive() is None:
        return False
    try:
        depart()
    except CtpolicyError as error:
        raise InconsistentError(
            f"The rules of {new.name} were applied and verified, but those of {old.name} could not be removed: {error} "
            f"Both are there, and each leaves untracked what it means. To go on, run `ctpolicy remove --backend "
            f"{old.name}`; to go back, `ctpolicy remove --backend {new.name}`."
        ) from error
    return True
