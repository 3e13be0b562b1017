"""What changes of a live table cost beside nft doing the same alone: one address of many, the first load, removal.

`ctpolicy apply` reads the policy and the whole host, plans, changes, reads our table again and compares. libnftables
reads a whole interval set whenever one of its elements changes, so each of these three takes about as long as a
listing (nft 1.0.6).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Final

from benchmarks.commands import many_peers
from benchmarks.measuring import Measurement, least, seconds, show
from ctpolicy.language.load import load_files
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_json import Json, add_elements, delete_elements
from ctpolicy.nftables.ruleset import Set, Table
from ctpolicy.nftables.transaction import MOST_DELETED, transactions
from kernel.command_line import ctpolicy
from kernel.live import kernel_of
from kernel.namespace import Namespace

LIMIT: Final = 1.5
"""Of a change, planned and verified, to reading the table once and changing it; of a first load to loading alone."""


def measure_changes() -> list[Measurement]:
    """Of a list of 100,000 prefixes; and where it is quicker to fill an interval set again than to delete from it."""
    with tempfile.TemporaryDirectory() as directory:
        policy = many_peers(Path(directory))
        nodes = Path(directory, "nodes.txt")
        nodes.with_name("other-nodes.txt").write_text(nodes.read_text().replace("11.20.0.32/28", "12.20.0.32/28"))
        other = policy.with_name("other-peers.yaml")
        other.write_text(policy.read_text().replace("nodes.txt", "other-nodes.txt"))
        return [*_one_address(policy, other), *_first_load(policy), *_deleting()]


def _one_address(policy: Path, other: Path) -> Iterator[Measurement]:
    tables = [compile_policy(load_files([path])) for path in (policy, other)]
    there_and_back = cycle([_only(*tables), _only(*reversed(tables))])
    others = cycle([other, policy])
    with Namespace() as host, Namespace() as raw:
        for namespace in (host, raw):
            kernel_of(namespace).commit(_only(None, tables[0]))
        took = least(
            4,
            {
                "nft -j list table": seconds(lambda: raw.run("nft", "-j", "list", "table", "inet", "ctpolicy")),
                "nft -j, the update": seconds(lambda: _nft(raw, next(there_and_back))),
                "ctpolicy plan": seconds(lambda: ctpolicy("plan", other, "--netns", host.path)),
                "ctpolicy apply": seconds(lambda: ctpolicy("apply", next(others), "--netns", host.path, "--yes")),
            },
        )
    yardstick = took["nft -j list table"] + took["nft -j, the update"]
    for name, least_time in took.items():
        limit = LIMIT if name == "ctpolicy apply" else None
        yield Measurement(
            "one changed address in a list of 100,000", name, 1000 * least_time, "ms", least_time / yardstick, limit
        )


def _first_load(policy: Path) -> Iterator[Measurement]:
    load = _only(None, compile_policy(load_files([policy])))
    with Namespace() as host:
        took = least(
            3,
            {  # each undoes what the one before has done
                "nft -j": seconds(partial(_nft, host, load)),
                "nft delete table": seconds(lambda: host.run("nft", "delete", "table", "inet", "ctpolicy")),
                "ctpolicy apply": seconds(lambda: ctpolicy("apply", policy, "--netns", host.path, "--yes")),
                "ctpolicy remove": seconds(lambda: ctpolicy("remove", "--netns", host.path, "--yes")),
            },
        )
    for group, names, limit in (
        ("the first load of a list of 100,000", ("nft -j", "ctpolicy apply"), LIMIT),
        ("its removal", ("nft delete table", "ctpolicy remove"), None),
    ):
        for name in names:
            ratio = took[name] / took[names[0]]
            yield Measurement(group, name, 1000 * took[name], "ms", ratio, limit if name == names[1] else None)


def _deleting() -> Iterator[Measurement]:
    """The crossover that MOST_DELETED is: below it the one should be quicker, above it the other."""
    elements = tuple((first, first + 15) for first in range(0x0B000000, 0x0B000000 + 32 * 10_000, 32))
    whole = Set("measured", "ipv4_addr", frozenset({"interval"}), elements)
    table = Table("inet", "ctpolicy", sets=(whole,))
    flush = {"flush": {"set": {"family": table.family, "table": table.name, "name": whole.name}}}
    refill: Json = {"nftables": [flush, add_elements(table, whole)]}
    with Namespace() as host:
        kernel = kernel_of(host)
        kernel.commit(_only(None, table))
        for deleted in (MOST_DELETED // 2, MOST_DELETED, 2 * MOST_DELETED):
            some = Set(whole.name, whole.type, whole.flags, elements[:: len(elements) // deleted][:deleted])
            change = delete_elements(table, some), add_elements(table, some)
            runs: dict[str, Callable[[], float]] = {
                "flushed, and all added again": seconds(partial(kernel.commit, refill)),
                "deleted, and added again": seconds(partial(kernel.commit, {"nftables": [*change]})),
            }
            took = least(4, runs)
            for name, least_time in took.items():
                ratio = least_time / took["flushed, and all added again"]
                yield Measurement(f"{deleted} of 10,000 prefixes", name, 1000 * least_time, "ms", ratio)


def _only(live: Table | None, desired: Table) -> Json:
    (transaction,) = transactions(live, desired)
    return transaction


def _nft(namespace: Namespace, document: Json) -> None:
    namespace.run("nft", "-j", "-f", "-", stdin=json.dumps(document))


if __name__ == "__main__":
    show(measure_changes())
