"""nf_tables in memory, driven by libnftables' JSON, for tests of what stands above the door: any call of it can fail.

    kernel = FakeLibnftables()
    kernel.commit(load_document(compile_policy(policy)))
    assert NftablesHost(kernel).read() == compile_policy(policy)

It takes what ctpolicy sends, and refuses what the kernel refuses of that (Linux 6.18, nft 1.0.6): the tests run the
same documents through this and through the real one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.testing.failures import FailingDoor
from ctpolicy.testing.fake_ruleset import (
    EXISTS,
    MISSING,
    LiveChain,
    LiveHolder,
    LiveRule,
    LiveTable,
    refuse_if,
)

Json = dict[str, Any]
Key = tuple[str, str]
"""A table's family and name."""

_METAINFO: Final = {"metainfo": {"version": "1.0.6", "release_name": "made up", "json_schema_version": 1}}


class FakeLibnftables(FailingDoor):
    """Stands in for `nftables.kernel.Libnftables`: see `nftables.kernel.Kernel`, and `FailingDoor` for its failures.

    `documents` has what every call of `commit` was given so far, of failed ones too.

    A document may add, create, delete and flush tables, chains, sets, maps and elements, add, insert and delete rules,
    and flush the ruleset. All of it is done, or nothing. Anything else raises ValueError, because this fake would have
    to guess.
    """

    def __init__(self) -> None:
        super().__init__()
        self.documents: list[Json] = []
        self._tables: dict[Key, LiveTable] = {}
        self._last_handle = 0

    def table_listing(self) -> str:
        """Our table as `nft -j list table` prints it; nothing if there is no such table."""
        ours = TABLE_FAMILY, TABLE_NAME
        return self._read("table_listing", lambda: self._listing([ours]) if ours in self._tables else "")

    def listing(self) -> str:
        """All tables as `nft -j list ruleset` prints them."""
        return self._read("listing", lambda: self._listing(list(self._tables)))

    def commit(self, document: Json) -> None:
        """Run libnftables JSON as one transaction."""
        self.documents.append(document)
        self._change("commit", lambda: self._run(document))

    def _run(self, document: Json) -> None:
        batch = _Batch({key: table.copy() for key, table in self._tables.items()}, self._last_handle)
        for command in document["nftables"]:
            ((verb, given),) = command.items()
            ((kind, body),) = given.items()
            batch.run(verb, kind, body or {})
        for table in batch.tables.values():
            table.refuse_too_deep()
        self._tables, self._last_handle = batch.tables, batch.last_handle

    def _listing(self, keys: list[Key]) -> str:
        objects = (listed for key in keys for listed in _table_objects(key, self._tables[key]))
        return json.dumps({"nftables": [_METAINFO, *objects]})


class _Batch:
    """Tables that a transaction is changing."""

    def __init__(self, tables: dict[Key, LiveTable], last_handle: int) -> None:
        self.tables = tables
        self.last_handle = last_handle

    def run(self, verb: str, kind: str, body: Json) -> None:
        """One command."""
        runs: dict[tuple[str, str], Callable[[Json], None]] = {
            ("add", "table"): self._add_table,
            ("create", "table"): lambda body: self._add_table(body, is_new=True),
            ("delete", "table"): self._delete_table,
            ("flush", "table"): self._flush_table,
            ("flush", "ruleset"): lambda _: self.tables.clear(),
            ("add", "chain"): lambda body: self._table(body).add_chain(body["name"], body, is_new=False),
            ("create", "chain"): lambda body: self._table(body).add_chain(body["name"], body, is_new=True),
            ("delete", "chain"): lambda body: self._table(body).delete_chain(body["name"]),
            ("flush", "chain"): lambda body: self._table(body).chain(body["name"]).rules.clear(),
            ("add", "rule"): self._add_rule,
            ("insert", "rule"): self._insert_rule,
            ("delete", "rule"): self._delete_rule,
            ("add", "element"): self._add_elements,
            ("delete", "element"): lambda body: self._holder(body).delete(body["elem"]),
        }
        for word in ("set", "map"):
            runs["add", word] = lambda body: self._add_holder(kind, body, is_new=False)
            runs["create", word] = lambda body: self._add_holder(kind, body, is_new=True)
            runs["delete", word] = lambda body: self._table(body).delete_holder(body["name"])
            runs["flush", word] = lambda body: self._flush_holder(kind, body)
        if (verb, kind) not in runs:
            raise ValueError(f"this fake of nf_tables does not know {verb} {kind}")
        runs[verb, kind](body)

    def _table(self, body: Json) -> LiveTable:
        key = body["family"], body["table"]
        refuse_if(key not in self.tables, MISSING)
        return self.tables[key]

    def _holder(self, body: Json) -> LiveHolder:
        return self._table(body).holder(body["name"])

    def _add_table(self, body: Json, is_new: bool = False) -> None:
        key = body["family"], body["name"]
        if "flags" in body:
            raise ValueError("this fake of nf_tables does not know flags of a table")
        refuse_if(is_new and key in self.tables, EXISTS)
        if key not in self.tables:
            self.last_handle += 1
            self.tables[key] = LiveTable(self.last_handle)

    def _delete_table(self, body: Json) -> None:
        refuse_if(self.tables.pop((body["family"], body["name"]), None) is None, MISSING)

    def _flush_table(self, body: Json) -> None:
        for chain in self._table(body | {"table": body["name"]}).chains.values():
            chain.rules.clear()

    def _add_holder(self, kind: str, body: Json, is_new: bool) -> None:
        table, name = self._table(body), body["name"]
        header = {key: value for key, value in body.items() if key not in {"elem", "handle"}}
        made = LiveHolder(0, kind, header)
        live = table.holders.get(name)
        refuse_if(live is not None and (is_new or live.identity() != made.identity()), EXISTS)
        if live is None:
            made.handle = table.next_handle()
            table.holders[name] = made
        self._add_elements(body)

    def _add_elements(self, body: Json) -> None:
        holder = self._holder(body)
        elements = body.get("elem", [])
        refuse_if(body.get("elem") == [], "Invalid set elem expression.")
        if holder.kind == "map":
            self._table(body).refuse_dangling([verdict for _, verdict in elements])
        holder.add(elements)

    def _flush_holder(self, kind: str, body: Json) -> None:
        holder = self._holder(body)
        refuse_if(holder.kind != kind, MISSING)
        holder.elements.clear()

    def _add_rule(self, body: Json) -> None:
        """At the end: libnftables 1.0.6 does not look at a handle that is given."""
        rules = self._table(body).chain(body["chain"]).rules
        rules.append(self._rule(body))

    def _insert_rule(self, body: Json) -> None:
        """Before the rule of this handle, or at the beginning."""
        chain = self._table(body).chain(body["chain"])
        chain.rules.insert(_place(chain, body["handle"]) if "handle" in body else 0, self._rule(body))

    def _delete_rule(self, body: Json) -> None:
        chain = self._table(body).chain(body["chain"])
        del chain.rules[_place(chain, body["handle"])]

    def _rule(self, body: Json) -> LiveRule:
        table = self._table(body)
        if "index" in body:
            raise ValueError("this fake of nf_tables does not know the index of a rule")
        table.refuse_dangling(body["expr"])
        comment = {"comment": body["comment"]} if "comment" in body else {}
        return LiveRule.of(table.next_handle(), {**comment, "expr": [_as_listed(one) for one in body["expr"]]})


def _place(chain: LiveChain, handle: int) -> int:
    places = [place for place, rule in enumerate(chain.rules) if rule.handle == handle]
    refuse_if(not places, MISSING)
    return places[0]


def _as_listed(statement: Json) -> Json:
    return {"counter": {"packets": 0, "bytes": 0}} if statement == {"counter": None} else statement


def _table_objects(key: Key, table: LiveTable) -> Iterator[Json]:
    family, name = key
    inside = {"family": family, "table": name}
    yield {"table": {"family": family, "name": name, "handle": table.handle}}
    for one in table.holders.values():
        elements = {"elem": list(one.elements.values())} if one.elements else {}
        yield {one.kind: one.header | {"handle": one.handle} | elements}
    for chain_name, chain in table.chains.items():
        yield {"chain": inside | {"name": chain_name, "handle": chain.handle} | chain.hook}
    for chain_name, chain in table.chains.items():
        for rule in chain.rules:
            yield {"rule": inside | {"chain": chain_name, "handle": rule.handle} | rule.body}
