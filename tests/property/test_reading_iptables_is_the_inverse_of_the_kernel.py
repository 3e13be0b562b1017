"""Law: what is sent to iptables and ipset comes back as it was sent: rules as the same text, sets as the same values.

But that protocols which iptables has no name for of its own come back by the name that this host has for them, and of
ipset ranges come back as their members.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctpolicy.iptables.read import read_raw_table
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.render import save_lines
from ctpolicy.iptables.render_sets import ipset_lines
from ctpolicy.iptables.ruleset import IpSet, Variant
from ctpolicy.packetspace.fields import Family
from kernel.loaded_rules import restore, save
from kernel.namespace import Namespace
from raw_rules import ipsets, raw_tables

pytestmark = pytest.mark.kernel


ONE_NAMESPACE_FOR_ALL = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
"""Each example replaces the table and the sets of the one before."""


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize("family", Family)
@settings(max_examples=20, suppress_health_check=ONE_NAMESPACE_FOR_ALL)
@given(data=st.data())
def test_what_is_sent_comes_back(namespace: Namespace, variant: Variant, family: Family, data: st.DataObject) -> None:
    table, sets = data.draw(raw_tables(family)), data.draw(ipsets(family))
    restore(namespace, variant, family, "*raw\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n")
    namespace.run("ipset", "destroy")
    namespace.run("ipset", "restore", stdin="".join(f"{line}\n" for one in sets for line in ipset_lines(one)))
    lines = save_lines(table, family)
    restore(namespace, variant, family, "".join(f"{line}\n" for line in lines))
    listed = save(namespace, variant, family)
    assert [line for line in lines if line.startswith("-A")] == re.findall(r"(?m)^\[0:0\] (-A .*?) *$", listed)
    assert read_raw_table(listed, family) == table
    read = read_sets(namespace.run("ipset", "save").stdout)
    assert read == sets
    assert [most(one) for one in read] == [most(one) for one in sets]


def most(one: IpSet) -> int:
    return one.most
