"""Raw tables that others write, loaded by both variants of iptables, read back, and compared with the kernel packet by
packet: as in test_foreign_rulesets.py, for what is there says more than one rule at a time can.
"""

from __future__ import annotations

import re
from pathlib import Path as File
from random import Random
from typing import Final

import pytest

from ctpolicy.iptables.foreign import foreign
from ctpolicy.iptables.render import save_lines
from ctpolicy.iptables.render_sets import ipset_lines
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.iptables.space import raw_treatment
from ctpolicy.netfilter import outcomes
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.oracle.worlds import Oracle, OracleError
from ctpolicy.packetspace.fields import Path
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.universe import FOREST, packet_values
from kernel.loaded_rules import Rules, loaded, loaded_in_both_worlds, read, restore, save
from kernel.namespace import Namespace
from kernel.near import agrees, packets_near

pytestmark = [pytest.mark.kernel, pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)]

FILES: Final = sorted((File(__file__).parent.parent / "scenarios" / "foreign-iptables").glob("*.rules"))
WITH_DOUBT: Final = {"antrea", "calico", "proxmox", "synproxy"}
"""They ask for a mark, for a source's type, for a user, for TCP's flags."""

PACKETS: Final = 5_000

of_every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@of_every_file
def test_the_space_of_raw_tables_is_what_the_kernel_does(oracle: Oracle, file: File, variant: Variant) -> None:
    with loaded_in_both_worlds(oracle, variant, Rules.of_file(file.read_text())) as tables:
        treatment = raw_treatment(tables)
        space = treatment.untracked
        packets = packets_near((*tables.tables.values(), tables.sets), Random(file.stem), PACKETS)
        passing = [packet for packet in packets if not may_be_dropped(treatment, packet)]
        in_kernel = oracle.untracked(passing)
        dropped = [packet for packet in packets if is_dropped(treatment, packet) and packet.path is Path.IN]
        if dropped:
            with pytest.raises(OracleError, match=rf"^{len(dropped)} of {len(dropped)} packets were not seen"):
                oracle.untracked(dropped)
    answers = zip(passing, in_kernel, strict=True)
    wrong = [str(packet) for packet, answer in answers if not agrees(space, packet, answer)]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(passing)}", *wrong[:10]])
    certain = sum(packet in space.certainly for packet in passing)
    print(f"{file.stem}: {len(passing)} packets, {sum(in_kernel)} untracked, {certain} of them certainly")
    assert 0.004 < sum(in_kernel) / len(passing) < 0.98
    assert certain
    assert (space.certainly == space.possibly) is (file.stem not in WITH_DOUBT)


def may_be_dropped(treatment: Treatment, packet: Packet) -> bool:
    return bool(FOREST.value(treatment.root, packet_values(packet)) & outcomes.DROP.value)


def is_dropped(treatment: Treatment, packet: Packet) -> bool:
    return FOREST.value(treatment.root, packet_values(packet)) == outcomes.DROP.value


@of_every_file
def test_what_is_rendered_loads_and_is_read_back_the_same(namespace: Namespace, file: File, variant: Variant) -> None:
    with loaded(namespace, variant, Rules.of_file(file.read_text())) as tables:
        first = printed(namespace, variant, tables)
        for family, table in tables.tables.items():
            restore(namespace, variant, family, "\n".join([*save_lines(table, family), ""]))
        lines = [line for one in tables.sets for line in ipset_lines(one)]
        namespace.run("ipset", "restore", "-exist", stdin="".join(f"{line}\n" for line in lines))
        assert read(namespace, variant) == tables
        assert printed(namespace, variant, tables) == first


def printed(namespace: Namespace, variant: Variant, tables: RawTables) -> list[str]:
    """The listing, but for what we spell otherwise: protocols' names and the older spelling of notrack."""
    text = "".join(save(namespace, variant, family) for family in tables.tables)
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("-j NOTRACK", "-j CT --notrack")
    return [re.sub(r"\[\d+:\d+\]", "[0:0]", line) for line in comments_last(text).splitlines()]


def comments_last(text: str) -> str:
    return re.sub(r"( -m comment --comment (?:\"[^\"]*\"|\S+))(.*)( -j .*)", r"\2\1\3", text)


@of_every_file
def test_every_notrack_of_others_is_told_with_its_place(namespace: Namespace, file: File, variant: Variant) -> None:
    with loaded(namespace, variant, Rules.of_file(file.read_text())) as tables:
        found = foreign(tables, variant)
    told = [one.title for one in found.bypasses]
    assert len(set(told)) == len(told)
    assert told
    assert all(re.match(rf"ip6?tables-{variant.value} raw, chain ", title) for title in told)
    for one in found.bypasses:
        assert one.untracked.possibly
    if file.stem == "openshift-sdn":
        assert told == [f"iptables-{variant.value} raw, chain OPENSHIFT-NOTRACK (OpenShift SDN)"]
