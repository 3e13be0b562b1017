"""A kernel to plan against and to apply to, in a scratch namespace."""

from __future__ import annotations

from ctpolicy.apply.commit import commit_plan
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.kernel import Libnftables
from ctpolicy.nftables.ruleset import Table
from ctpolicy.plan.plan import Plan, plan_policy
from kernel.namespace import Namespace


def kernel_of(namespace: Namespace) -> Libnftables:
    """The kernel of a scratch namespace."""
    return Libnftables(namespace.path)


def apply_in(namespace: Namespace, policy: Policy) -> Plan[Table]:
    """Apply a policy; the plan that was carried out."""
    kernel = kernel_of(namespace)
    plan = plan_policy(NFTABLES, policy, kernel.read())
    commit_plan(plan, kernel)
    return plan
