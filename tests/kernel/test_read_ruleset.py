"""The whole ruleset of a host is read: whoever a table belongs to, and also where nothing is."""

from __future__ import annotations

import pytest

from ctpolicy.cli.host import read_live
from ctpolicy.nftables.render_text import text
from ctpolicy.nftables.space import ruleset_space
from ctpolicy.packetspace.packet import parse_packet
from kernel.live import kernel_of
from kernel.namespace import Namespace
from policies import VXLAN, table

pytestmark = pytest.mark.kernel

FOREIGN = """
table ip somebody {
    chain early {
        type filter hook prerouting priority raw; policy accept;
        meta l4proto 17 notrack
    }
}
"""


def test_tables_of_everybody_are_read(namespace: Namespace) -> None:
    namespace.load(FOREIGN)
    namespace.load(text(table(VXLAN)))
    read = read_live(str(namespace.path)).tables
    assert [(found.family, found.name) for found in read] == [("inet", "ctpolicy"), ("ip", "somebody")]
    assert parse_packet("in udp 192.0.2.1:1 -> 192.0.2.2:2") in ruleset_space(read).certainly


def test_a_host_without_tables_has_an_empty_ruleset(namespace: Namespace) -> None:
    assert kernel_of(namespace).read_ruleset() == ()
