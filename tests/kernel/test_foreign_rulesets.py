"""Rulesets that others write, loaded, read back, and compared with the kernel packet by packet.

What the space calls certainly untracked the kernel leaves untracked, and what the kernel leaves untracked the space
calls possibly untracked. The two differ only where a rule asks for a mark.
"""

from __future__ import annotations

import json
from pathlib import Path as File
from random import Random
from typing import Final

import pytest

from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.render_text import text
from ctpolicy.nftables.ruleset import Ruleset, Unmodelled
from ctpolicy.nftables.space import ruleset_space
from ctpolicy.oracle.worlds import Oracle
from kernel.namespace import Namespace
from kernel.near import agrees, packets_near

pytestmark = pytest.mark.kernel

FILES: Final = sorted((File(__file__).parent.parent / "scenarios" / "foreign").glob("*.nft"))
WITH_MARKS: Final = {"calico"}
PACKETS: Final = 20_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_space_of_a_foreign_ruleset_is_what_the_kernel_does(oracle: Oracle, file: File) -> None:
    for world in oracle.worlds:
        world.namespace.load(file.read_text())
    ruleset = listed(oracle)
    try:
        space = ruleset_space(ruleset)
        packets = packets_near(ruleset, Random(file.stem), PACKETS)
        in_kernel = oracle.untracked(packets)
    finally:
        for world in oracle.worlds:
            world.namespace.load("".join(f"delete table {table.family} {table.name}\n" for table in ruleset))
    wrong = [
        str(packet) for packet, answer in zip(packets, in_kernel, strict=True) if not agrees(space, packet, answer)
    ]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(packets)}", *wrong[:10]])
    certain = sum(packet in space.certainly for packet in packets)
    print(f"{file.stem}: {len(packets)} packets, {sum(in_kernel)} untracked, {certain} of them certainly")
    assert 0.02 < sum(in_kernel) / len(packets) < 0.98
    assert certain
    assert (space.certainly == space.possibly) is (file.stem not in WITH_MARKS)


def listed(oracle: Oracle) -> Ruleset:
    """The ruleset as the kernel lists it, without the oracle's own table."""
    ruleset = read_text(oracle.home.namespace.run("nft", "-j", "list", "ruleset").stdout)
    return tuple(table for table in ruleset if table.name not in {"oracle", "ctpolicy"})


REBUILT: Final = [file for file in FILES if file.stem != "web-front-end"]
"""All but the one whose set counts, and comments on elements: that is seen, and not made again."""


@pytest.mark.parametrize("file", REBUILT, ids=lambda file: file.stem)
@pytest.mark.parametrize("form", ["json", "text"])
def test_what_is_read_of_a_foreign_ruleset_is_rendered_the_same(namespace: Namespace, file: File, form: str) -> None:
    namespace.load(file.read_text())
    ruleset = read_text(namespace.run("nft", "-j", "list", "ruleset").stdout)
    for table in ruleset:
        if form == "json":
            namespace.run("nft", "-j", "-f", "-", stdin=json.dumps(load_document(table)))
        elif not any(
            isinstance(part, Unmodelled) for chain in table.chains for rule in chain.rules for part in rule.statements
        ):
            namespace.load(text(table))
    assert read_text(namespace.run("nft", "-j", "list", "ruleset").stdout) == ruleset
