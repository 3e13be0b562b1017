"""What is told of a table without its entries."""

from __future__ import annotations

from ctpolicy.conntrack import counted, netlink
from ctpolicy.conntrack.counted import Totals
from ctpolicy.conntrack.facts import Statistics, TableFacts, entry_bytes, timeouts_and_settings

SLABS = """slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount>
nf_conntrack_expect   10   46    176   23    1 : tunables    0    0    0 : slabdata      2      2      0
{}          64    128    256   16    1 : tunables    0    0    0 : slabdata      8      8      0
"""

NEW_FILE = """entries  clashres found new invalid ignore delete chainlength insert \
insert_failed drop early_drop icmp_error  \
expect_new expect_create expect_delete search_restart
00000005  00000001 00000002 00000000 00000003 00000000 00000000 00000004 0000000a 00000005 00000006 00000007 00000008\
  00000000 00000000 00000000 00000009
00000005  00000000 00000000 00000000 00000010 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\
  00000000 00000000 00000000 00000000
"""


def test_fill_and_headroom_are_told_of_what_is_known() -> None:
    facts = TableFacts(True, 900, 1000, 256)
    assert (facts.fill, facts.headroom, facts.is_full) == (0.9, 100, False)
    assert TableFacts(True, 1001, 1000).is_full
    unlimited = TableFacts(True, 1001, 0)
    assert (unlimited.fill, unlimited.headroom, unlimited.is_full) == (None, None, False)
    assert not TableFacts(False).is_full


def test_memory_is_that_of_entries_extensions_and_buckets() -> None:
    assert TableFacts(True, buckets=1000, entry_bytes=320).memory(10) == 10 * (320 + 128) + 8000


def test_a_table_that_nothing_was_ever_counted_of_shows_no_use() -> None:
    assert TableFacts(True, 0, 10, statistics=Statistics()).shows_no_use
    assert not TableFacts(True, 0, 10, statistics=Statistics(invalid=1)).shows_no_use
    assert not TableFacts(True, 1, 10, statistics=Statistics()).shows_no_use


def test_timeouts_are_told_apart_from_settings() -> None:
    names = ("tcp_timeout_established", "udp_timeout", "udp_timeout_stream", "acct", "tcp_loose", "frag6_timeout")
    timeouts, settings = timeouts_and_settings({f"nf_conntrack_{name}": at for at, name in enumerate(names)})
    assert timeouts == {"tcp_established": 0, "udp": 1, "udp_stream": 2, "frag6": 5}
    assert settings == {"acct": 3, "tcp_loose": 4}


def test_statistics_of_the_file_are_those_of_all_processors() -> None:
    assert counted.statistics_of_file(NEW_FILE) == Statistics(2, 0x13, 10, 5, 6, 7, 8, 9, 1, 4)


def test_statistics_of_an_older_file_have_no_clashes() -> None:
    older = counted.statistics_of_file(NEW_FILE.replace("clashres", "searched").replace("chainlength", "delete_list"))
    assert older == Statistics(2, 0x13, 10, 5, 6, 7, 8, 9, 0, 0)


def test_another_file_has_no_statistics() -> None:
    assert counted.statistics_of_file("") is None
    assert counted.statistics_of_file("entries\n0\n") is None


def test_a_processors_statistics_are_read_by_their_attributes() -> None:
    told = b"".join(netlink.attribute(kind, (kind * 100).to_bytes(4)) for kind in range(2, 16))
    sent = netlink.message(260, 0, 1, bytes(4) + told)
    (found,) = netlink.messages(sent, len(sent))
    assert counted.statistics(sent, found) == Statistics(200, 400, 800, 900, 1000, 1100, 1200, 1300, 1400, 1500)


def test_totals_without_a_maximum_are_those_of_older_kernels() -> None:
    sent = netlink.message(261, 0, 1, bytes(4) + netlink.attribute(1, (7).to_bytes(4)))
    (found,) = netlink.messages(sent, len(sent))
    assert counted.totals(sent, found) == Totals(7, None)


def test_an_entrys_bytes_are_those_of_its_slab_and_no_other() -> None:
    assert entry_bytes(SLABS.format("nf_conntrack")) == 256
    assert entry_bytes(SLABS.format("nf_conntrack_1")) == 256
    assert entry_bytes(SLABS.format("something")) is None


def test_statistics_differ_by_what_came_since() -> None:
    before, after = Statistics(drop=5, invalid=1), Statistics(drop=8, invalid=1)
    assert after - before == Statistics(drop=3)
    assert not (before - before)
