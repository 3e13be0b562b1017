"""A kernel to plan against and to apply to, in a scratch namespace."""

from __future__ import annotations

from ctpolicy.apply.commit import commit_plan
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.host import NftablesHost
from ctpolicy.nftables.kernel import Libnftables
from ctpolicy.nftables.ruleset import Table
from ctpolicy.plan.plan import Plan, plan_policy
from kernel.namespace import Namespace


def kernel_of(namespace: Namespace) -> Libnftables:
    """The kernel of a scratch namespace."""
    return Libnftables(namespace.path)


def host_of(namespace: Namespace) -> NftablesHost:
    """A scratch namespace as a host that policies are applied to."""
    return NftablesHost(kernel_of(namespace))


def apply_in(namespace: Namespace, policy: Policy) -> Plan[Table]:
    """Apply a policy; the plan that was carried out."""
    host = host_of(namespace)
    plan = plan_policy(NFTABLES, policy, host.read())
    commit_plan(plan, host)
    return plan
