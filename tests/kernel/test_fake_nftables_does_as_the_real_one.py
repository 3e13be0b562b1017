"""The fake that tests of apply lean on does what nf_tables does: the same documents, run through both."""

from __future__ import annotations

import copy
from typing import Final

import pytest
from hypothesis import HealthCheck, assume, given, settings

from ctpolicy.errors import RefusedError
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.host import NftablesHost
from ctpolicy.nftables.kernel import Kernel, Libnftables
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.ruleset import Ruleset, Table
from ctpolicy.testing.fake_nftables import FakeLibnftables
from ctpolicy.testing.strategies import policies
from kernel.namespace import Namespace
from kernel.nft_commands import (
    ACCEPT,
    HOOK,
    INSIDE,
    TABLE,
    Json,
    NftProgram,
    add,
    addresses,
    asks_map,
    asks_set,
    delete,
    delete_rule,
    flush,
    jump,
    ports,
    prefix,
    rule,
)
from policies import METRICS, VXLAN, table

pytestmark = pytest.mark.kernel

Outcome = tuple[bool, Ruleset]
"""Whether a document was taken, and what is there then."""

Story = list[list[Json]]
"""Documents, each of them taken or refused, on what those before it have left."""

OTHERS: Final[Json] = {"add": {"table": {"family": "ip", "name": "others"}}}


def concatenated(*fields: object) -> Json:
    return {"concat": list(fields)}


def chain_of_chains(length: int) -> list[Json]:
    """A base chain that leads to so many others, one behind the other."""
    chains = [add("chain", f"c{number}") for number in range(length)]
    jumps = [rule(f"c{number}", jump(f"c{number + 1}")) for number in range(length - 1)]
    return [{"add": TABLE}, add("chain", "out", **HOOK), *chains, *jumps, rule("out", jump("c0"))]


STORIES: Final[dict[str, Story]] = {
    "tables": [
        [{"delete": TABLE}],
        [add("chain", "one")],
        [{"add": TABLE}, OTHERS],
        [{"add": TABLE}],
        [{"create": TABLE}],
        [add("chain", "one"), add("chain", "out", **HOOK), rule("out", jump("one"))],
        [{"flush": TABLE}],
        [rule("out", jump("one")), addresses("peers", "10.0.0.1")],
        [{"delete": TABLE}, {"add": TABLE}, addresses("peers", prefix("10.0.0.0", 8), interval=True)],
        [{"delete": TABLE}],
        [{"add": TABLE}, {"delete": TABLE}, {"add": TABLE}],
        [],
        [{"flush": {"ruleset": None}}],
    ],
    "a document is taken whole or not at all": [
        [{"add": TABLE}, add("chain", "one"), delete("chain", "missing")],
        [{"add": TABLE}],
        [add("chain", "one"), add("chain", "two"), delete("chain", "missing")],
        [addresses("peers", "10.0.0.1"), rule("missing", ACCEPT)],
    ],
    "chains": [
        [{"add": TABLE}, add("chain", "one"), add("chain", "two"), add("chain", "out", **HOOK)],
        [add("chain", "one")],
        [{"create": {"chain": INSIDE | {"name": "one"}}}],
        [add("chain", "out", **HOOK)],
        [add("chain", "out")],
        [add("chain", "out", **HOOK | {"prio": -200})],
        [add("chain", "out", **HOOK | {"hook": "prerouting"})],
        [add("chain", "one", **HOOK)],
        [add("chain", "out", **HOOK | {"policy": "drop"})],
        [add("chain", "without", type="filter", hook="output")],
        [add("chain", "by-word", **HOOK | {"prio": "raw"})],
        [rule("one", ACCEPT), rule("two", jump("one")), rule("out", jump("two"))],
        [delete("chain", "one")],
        [delete("chain", "one"), flush("chain", "two")],
        [flush("chain", "two"), delete("chain", "one"), delete("chain", "missing")],
        [delete("chain", "two")],
        [flush("chain", "out"), delete("chain", "two"), delete("chain", "one")],
        [flush("chain", "one")],
        [delete("chain", "one")],
    ],
    "jumps": [
        [{"add": TABLE}, add("chain", "one"), add("chain", "two"), add("chain", "out", **HOOK)],
        [rule("one", jump("missing"))],
        [rule("one", jump("out"))],
        [rule("one", asks_map({"set": [[53, jump("missing")]]}))],
        [rule("one", asks_map({"set": [[53, jump("two")]]}))],
        [delete("chain", "two")],
        [rule("two", jump("one"))],
        [rule("out", jump("one"))],
        [flush("chain", "one"), rule("out", jump("two"))],
        [rule("one", {"goto": {"target": "two"}})],
        [ports("dispatch", [53, jump("one")]), rule("one", asks_map("@dispatch"))],
    ],
    "fifteen jumps": [chain_of_chains(15)],
    "sixteen jumps": [chain_of_chains(16)],
    "rules": [
        [{"add": TABLE}, add("chain", "one"), rule("one", ACCEPT, comment="a"), rule("one", ACCEPT, comment="b")],
        [rule("one", ACCEPT, comment="c", handle=2), rule("one", ACCEPT, comment="d", verb="insert", handle=3)],
        [rule("one", ACCEPT, comment="e", verb="insert")],
        [rule("one", ACCEPT, verb="insert", handle=99)],
        [rule("one", ACCEPT, handle=99)],
        [rule("missing", ACCEPT)],
        [delete_rule("one", 99)],
        [add("chain", "two"), delete_rule("two", 2)],
        [delete_rule("one", 2), delete_rule("one", 2)],
        [delete_rule("one", 2)],
        [rule("one", {"counter": None}, ACCEPT), rule("one", {"counter": {"packets": 7, "bytes": 700}})],
        [rule("one", asks_set("missing"))],
        [rule("one", asks_map("@missing"))],
    ],
    "sets": [
        [{"add": TABLE}, add("chain", "one"), addresses("peers", "10.0.0.1"), rule("one", asks_set("peers"))],
        [addresses("peers")],
        [addresses("peers", "10.0.0.2")],
        [add("set", "peers", type="ipv4_addr", elem=[])],
        [add("set", "none", type="ipv4_addr", elem=[])],
        [addresses("none")],
        [addresses("peers", interval=True)],
        [add("set", "peers", type="inet_service")],
        [add("map", "peers", type="ipv4_addr", map="verdict")],
        [{"create": {"set": INSIDE | {"name": "peers", "type": "ipv4_addr"}}}],
        [add("element", "peers", elem=["10.0.0.1"])],
        [add("element", "peers", elem=[prefix("10.0.0.0", 24)])],
        [add("element", "missing", elem=["10.0.0.1"])],
        [add("element", "peers", elem=[])],
        [delete("element", "peers", elem=[])],
        [delete("element", "peers", elem=["10.9.9.9"])],
        [delete("element", "peers", elem=["10.0.0.1"]), add("element", "peers", elem=["10.0.0.1", "10.0.0.3"])],
        [delete("set", "peers")],
        [delete("set", "peers"), flush("chain", "one")],
        [flush("set", "peers"), flush("set", "peers")],
        [flush("set", "missing")],
        [delete("set", "missing")],
        [flush("chain", "one"), delete("set", "peers"), addresses("peers", prefix("10.0.0.0", 8), interval=True)],
        [add("set", "timed", type="ipv4_addr", flags=["timeout"], timeout=60)],
    ],
    "intervals": [
        [{"add": TABLE}, addresses("peers", prefix("10.0.0.0", 24), interval=True)],
        [add("element", "peers", elem=[prefix("10.0.0.0", 24)])],
        [add("element", "peers", elem=["10.0.0.1"])],
        [add("element", "peers", elem=[prefix("10.0.0.0", 16)])],
        [add("element", "peers", elem=[{"range": ["10.0.0.200", "10.0.1.9"]}])],
        [add("element", "peers", elem=[prefix("10.0.1.0", 24), prefix("10.0.3.0", 24), prefix("10.0.3.0", 24)])],
        [add("element", "peers", elem=[prefix("10.0.4.0", 24), "10.0.4.9"])],
        [add("element", "peers", elem=[prefix("10.0.0.0", 16)]), delete("element", "peers", elem=["10.0.0.1"])],
        [delete("element", "peers", elem=["10.0.0.1"])],
        [delete("element", "peers", elem=["10.9.9.9"])],
        [delete("element", "peers", elem=[prefix("10.0.0.0", 24), prefix("10.0.1.0", 24), prefix("10.0.3.0", 24)])],
        [add("element", "peers", elem=[prefix("10.0.0.0", 24)])],
        [
            delete("element", "peers", elem=[prefix("10.0.0.0", 24)]),
            add("element", "peers", elem=[{"range": ["10.0.0.0", "10.0.3.7"]}, "255.255.255.255", "0.0.0.0"]),
        ],
        [flush("set", "peers"), add("element", "peers", elem=[prefix("10.0.0.0", 15)])],
    ],
    "concatenations": [
        [{"add": TABLE}, add("set", "both", type=["ipv4_addr", "inet_service"], flags=["interval"])],
        [add("element", "both", elem=[concatenated(prefix("10.0.0.0", 24), 53)])],
        [add("element", "both", elem=[concatenated(prefix("10.0.0.0", 24), 53)])],
        [add("element", "both", elem=[concatenated(prefix("10.0.0.0", 25), 53)])],
        [add("element", "both", elem=[concatenated(prefix("10.0.0.0", 24), 54)])],
        [delete("element", "both", elem=[concatenated(prefix("10.0.0.0", 24), 54)])],
    ],
    "maps": [
        [{"add": TABLE}, add("chain", "one"), add("chain", "two"), add("chain", "out", **HOOK)],
        [ports("dispatch", [53, jump("missing")])],
        [ports("dispatch", [53, jump("one")])],
        [add("element", "dispatch", elem=[[53, jump("one")]])],
        [add("element", "dispatch", elem=[[53, jump("two")]])],
        [add("element", "dispatch", elem=[[54, jump("missing")]])],
        [add("element", "dispatch", elem=[[54, jump("out")]])],
        [delete("chain", "one")],
        [delete("element", "dispatch", elem=[[54, jump("one")]])],
        [delete("element", "dispatch", elem=[[53, jump("one")]]), add("element", "dispatch", elem=[[53, jump("two")]])],
        [delete("element", "dispatch", elem=[[53, jump("one")]]), delete("chain", "two")],
        [rule("out", asks_map("@dispatch"))],
        [delete("map", "dispatch")],
        [flush("set", "dispatch")],
        [flush("map", "dispatch"), delete("chain", "one")],
        [flush("chain", "out"), delete("set", "dispatch")],
    ],
    "maps of intervals": [
        [{"add": TABLE}, add("chain", "one"), add("chain", "two")],
        [ports("dispatch", [53, jump("one")], [{"range": [60, 69]}, jump("two")], interval=True)],
        [add("element", "dispatch", elem=[[53, jump("two")]])],
        [add("element", "dispatch", elem=[[{"range": [50, 61]}, jump("two")]])],
        [
            delete("element", "dispatch", elem=[[53, jump("one")]]),
            add("element", "dispatch", elem=[[{"range": [50, 59]}, jump("two")]]),
        ],
        [delete("chain", "two")],
        [delete("map", "dispatch"), delete("chain", "two")],
    ],
}


def taken(kernel: Kernel, document: Json) -> Outcome:
    try:
        kernel.commit(document)
    except RefusedError:
        return False, read_text(kernel.listing())
    return True, read_text(kernel.listing())


@pytest.mark.parametrize("story", STORIES)
def test_each_document_is_taken_or_refused_and_does_the_same(story: str, namespace: Namespace) -> None:
    fake, real = FakeLibnftables(), NftProgram(namespace)
    for commands in STORIES[story]:
        document = {"nftables": commands}
        assert (commands, taken(fake, document)) == (commands, taken(real, document))


def both_changed(namespace: Namespace, steps: list[Table | None]) -> None:
    """Change both hosts from each state to the next, and look whether they are it."""
    fake, real = NftablesHost(FakeLibnftables()), NftablesHost(NftProgram(namespace))
    for desired in steps:
        for host in (fake, real):
            host.change(host.read(), desired)
            assert host.read() == desired


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=policies(), other=policies())
def test_changes_from_one_policy_to_another_and_back(namespace: Namespace, one: Policy, other: Policy) -> None:
    first, second = compile_policy(one), compile_policy(other)
    both_changed(namespace, [first, second, first, None, second, None])


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=policies(), other=policies())
def test_the_changes_of_a_policy_are_refused_alike_on_another_state(
    namespace: Namespace, one: Policy, other: Policy
) -> None:
    """Documents that were made for a host that has moved on, as under an apply that something else runs into.

    But where they declare an interval set once more with elements that overlap: if one reaches to the end of its type,
    nft 1.0.6 and the kernel take that, and cut it off. The fake refuses; ctpolicy adds to what is there otherwise.
    """
    first, second = compile_policy(one), compile_policy(other)
    documents = [NFTABLES.document(None, first), NFTABLES.document(None, second)]
    fake, real = FakeLibnftables(), NftProgram(namespace)
    for kernel in (fake, real):
        kernel.commit({"nftables": [{"flush": {"ruleset": None}}]})
    for document in documents:
        try:
            copy.deepcopy(fake).commit(document)
        except RefusedError as error:
            assume("interval overlaps" not in str(error))
        assert taken(fake, document) == taken(real, document)


FAULTS: Final[dict[str, list[Json]]] = {
    "an emptied set": [flush("set", "nodes_v4")],
    "another element": [add("element", "nodes_v4", elem=["192.0.2.1"])],
    "an element less": [delete("element", "nodes_v4", elem=[prefix("10.1.0.0", 16)])],
    "an emptied map": [flush("map", "output_tcp_sport")],
    "a verdict of another kind": [
        flush("map", "output_tcp_sport"),
        add("element", "output_tcp_sport", elem=[[9100, {"goto": {"target": "track_ssh"}}]]),
    ],
    "an emptied chain": [flush("chain", "prerouting_tcp")],
    "all rules gone": [{"flush": TABLE}],
    "a rule before ours": [rule("output", ACCEPT, verb="insert", comment="strange")],
    "a rule twice": [rule("track_ssh", {"counter": None}, ACCEPT)],
    "a policy that drops": [add("chain", "output", **HOOK | {"policy": "drop"})],
    "another priority": [
        flush("chain", "output"),
        delete("chain", "output"),
        add("chain", "output", **HOOK | {"prio": -150}),
    ],
    "a chain, a set and a map of others": [
        add("chain", "strange"),
        rule("strange", asks_set("nodes_v4")),
        addresses("strangers", "192.0.2.1"),
        ports("ways", [53, jump("strange")]),
    ],
    "a set that forgets": [add("set", "timed", type="ipv4_addr", flags=["timeout"], timeout=60)],
}
"""What somebody does to the table that METRICS compiles to."""


@pytest.mark.parametrize("fault", FAULTS)
def test_what_somebody_has_broken_is_read_mended_and_put_back_alike(fault: str, namespace: Namespace) -> None:
    """An emptied set could not be put back: libnftables refuses to add one with a list of no elements (1.0.6)."""
    fake, real = FakeLibnftables(), NftProgram(namespace)
    found = []
    for kernel in (fake, real):
        host = NftablesHost(kernel)
        host.change(None, table(METRICS))
        kernel.commit({"nftables": FAULTS[fault]})
        found.append(broken := host.read())
        for desired in (table(METRICS), broken, table(VXLAN), broken, None, broken):
            host.change(host.read(), desired)
            assert host.read() == desired
    assert found[0] == found[1] != table(METRICS)


def test_the_program_and_the_child_are_one_kernel(namespace: Namespace) -> None:
    """What is compared above with the program holds for the door that ctpolicy uses."""
    NftProgram(namespace).commit({"nftables": STORIES["maps"][0]})
    child = Libnftables(namespace.path)
    assert read_text(child.table_listing()) == read_text(NftProgram(namespace).table_listing())
    with pytest.raises(RefusedError):
        child.commit({"nftables": STORIES["maps"][1]})
    assert NftProgram(namespace).table_listing() == NftProgram(namespace).listing() != ""


def test_commands_that_the_fake_would_have_to_guess_are_refused_as_a_mistake_of_the_test() -> None:
    for document in ([add("counter", "counted")], [{"add": TABLE}, {"add": {"flowtable": INSIDE | {"name": "fast"}}}]):
        with pytest.raises(ValueError, match="this fake of nf_tables does not know"):
            FakeLibnftables().commit({"nftables": document})
