"""libnftables' JSON commands on a table of our name, for tests; and the program `nft` as a door that takes them."""

from __future__ import annotations

import json
from typing import Any, Final

from ctpolicy.errors import RefusedError
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from kernel.namespace import Namespace

Json = dict[str, Any]

INSIDE: Final = {"family": TABLE_FAMILY, "table": TABLE_NAME}
TABLE: Final[Json] = {"table": {"family": TABLE_FAMILY, "name": TABLE_NAME}}
HOOK: Final[Json] = {"type": "filter", "hook": "output", "prio": -300, "policy": "accept"}
ACCEPT: Final[Json] = {"accept": None}


def add(kind: str, name: str, **given: Any) -> Json:
    return {"add": {kind: INSIDE | {"name": name} | given}}


def delete(kind: str, name: str, **given: Any) -> Json:
    return {"delete": {kind: INSIDE | {"name": name} | given}}


def flush(kind: str, name: str) -> Json:
    return {"flush": {kind: INSIDE | {"name": name}}}


def addresses(name: str, *elements: Any, interval: bool = False) -> Json:
    """Add a set of IPv4 addresses."""
    return add("set", name, type="ipv4_addr", **_given(elements, interval))


def ports(name: str, *elements: Any, interval: bool = False) -> Json:
    """Add a map from ports to verdicts."""
    return add("map", name, type="inet_service", map="verdict", **_given(elements, interval))


def _given(elements: tuple[Any, ...], interval: bool) -> Json:
    return ({"elem": list(elements)} if elements else {}) | ({"flags": ["interval"]} if interval else {})


def rule(chain: str, *statements: Json, verb: str = "add", **given: Any) -> Json:
    return {verb: {"rule": INSIDE | {"chain": chain, "expr": list(statements)} | given}}


def delete_rule(chain: str, handle: int) -> Json:
    return {"delete": {"rule": INSIDE | {"chain": chain, "handle": handle}}}


def jump(chain: str) -> Json:
    return {"jump": {"target": chain}}


def prefix(address: str, length: int) -> Json:
    return {"prefix": {"addr": address, "len": length}}


def asks_set(name: str) -> Json:
    return {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": f"@{name}"}}


def asks_map(data: Any) -> Json:
    return {"vmap": {"key": {"payload": {"protocol": "udp", "field": "dport"}}, "data": data}}


class NftProgram:
    """The kernel of a namespace through the program `nft`: the same library, and quicker than a child of Python."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def commit(self, document: Json) -> None:
        done = self._namespace.run("nft", "-j", "-f", "-", stdin=json.dumps(document), check=False)
        if done.returncode:
            raise RefusedError(done.stderr)

    def listing(self) -> str:
        return self._namespace.run("nft", "-j", "-a", "list", "ruleset").stdout

    def table_listing(self) -> str:
        done = self._namespace.run("nft", "-j", "-a", "list", "table", TABLE_FAMILY, TABLE_NAME, check=False)
        return done.stdout if done.returncode == 0 else ""
