"""Tables as libnftables JSON.

Things are spelled as the kernel lists them (nft 1.0.6 and 1.1.3), so that what was sent and what is read back are
the same. The order of objects is that of their dependence: sets, chains, verdict maps, which name chains, and rules,
which name all three.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    AnonymousSet,
    BaseHook,
    Chain,
    Concatenation,
    Counter,
    Datatype,
    Element,
    Fib,
    Match,
    Meta,
    Notrack,
    Operand,
    Payload,
    Rule,
    Selector,
    Set,
    SetReference,
    Statement,
    Table,
    Unmodelled,
    Verdict,
    VerdictLookup,
    VerdictMap,
    key_types,
    named_types,
)
from ctpolicy.nftables.values import key_json, parse_key

Json = dict[str, Any]


def load_document(table: Table) -> Json:
    """The libnftables JSON that puts this table in the place of any other of its name, in one transaction."""
    delete = {"delete": {"table": _named(table)}}
    return {"nftables": [{"add": {"table": _named(table)}}, delete, *add_table(table)]}


def add_table(table: Table) -> list[Json]:
    """The commands that add a table that is not there, and all that is in it."""
    return [
        {"add": {"table": _named(table)}},
        *(add_set(table, named_set) for named_set in table.sets),
        *(add_chain(table, chain) for chain in table.chains),
        *(add_map(table, verdict_map) for verdict_map in table.maps),
        *(add_rule(table, chain.name, rule) for chain in table.chains for rule in chain.rules),
    ]


def add_set(table: Table, named_set: Set) -> Json:
    """Add a set and its elements."""
    return {"add": {"set": _set_header(table, named_set) | _with_elements(named_set)}}


def add_map(table: Table, verdict_map: VerdictMap) -> Json:
    """Add a verdict map and its elements. The chains that they name must come before.

    Not the elements by a command of their own: libnftables 1.0.6 sends the elements of a new interval map where the
    map is added, however late they come, and a chain that is added in between is then not found.
    """
    return {"add": {"map": _set_header(table, verdict_map) | {"map": "verdict"} | _with_elements(verdict_map)}}


def _with_elements(holder: Set | VerdictMap) -> Json:
    """libnftables 1.0.6 refuses an empty list of them; only a set that others have made or emptied has none."""
    return {"elem": elements_json(holder)} if holder.elements else {}


def add_elements(table: Table, holder: Set | VerdictMap) -> Json:
    """Add the elements of a set or verdict map that is there."""
    return {"add": {"element": _in(table, holder.name) | {"elem": elements_json(holder)}}}


def delete_elements(table: Table, holder: Set | VerdictMap) -> Json:
    """Delete these elements from the set or verdict map of this name."""
    return {"delete": {"element": _in(table, holder.name) | {"elem": elements_json(holder)}}}


def add_chain(table: Table, chain: Chain) -> Json:
    """Add a chain without its rules."""
    return {"add": {"chain": _in(table, chain.name) | (_hook_json(chain.hook) if chain.hook else {})}}


def add_rule(table: Table, chain: str, rule: Rule) -> Json:
    """Add a rule at the end of a chain."""
    return {"add": {"rule": rule_json(table, chain, rule)}}


def rule_json(table: Table, chain: str, rule: Rule) -> Json:
    """A rule as an object."""
    body: Json = {"family": table.family, "table": table.name, "chain": chain}
    if rule.comment is not None:
        body["comment"] = rule.comment
    return body | {"expr": [_statement_json(statement) for statement in rule.statements]}


def elements_json(holder: Set | VerdictMap) -> list[Any]:
    """The elements of a set, or the pairs of a verdict map."""
    types = named_types(holder.type)
    adorned = {parse_key(key["elem"]["val"], types): key for key in _adorned_keys(holder)}
    if isinstance(holder, Set):
        return [adorned.get(element) or key_json(element, types) for element in holder.elements]
    return [[adorned.get(key) or key_json(key, types), _verdict_json(verdict)] for key, verdict in holder.elements]


def _adorned_keys(holder: Set | VerdictMap) -> Iterator[Json]:
    """The elements that have a comment or a counter; of a map they are kept with their verdicts."""
    for one in _unmodelled(holder).get("adorned", ()):
        yield one[0] if isinstance(one, list) else one


def _unmodelled(holder: Set | VerdictMap) -> Json:
    """What a set that somebody has made or edited has beyond ours, as read.py keeps it."""
    attributes: Json = json.loads(holder.unmodelled) if holder.unmodelled else {}
    return attributes


def _named(table: Table) -> Json:
    return {"family": table.family, "name": table.name}


def _in(table: Table, name: str) -> Json:
    return {"family": table.family, "table": table.name, "name": name}


def _set_header(table: Table, holder: Set | VerdictMap) -> Json:
    flags = {"flags": sorted(holder.flags)} if holder.flags else {}
    words = [part.value for part in named_types(holder.type)]
    others = {key: value for key, value in _unmodelled(holder).items() if key != "adorned"}
    return _in(table, holder.name) | {"type": words if len(words) > 1 else words[0]} | flags | others


def _hook_json(hook: BaseHook) -> Json:
    # An integer: a string prio makes a chain without a hook, and libnftables 1.0.6 says nothing.
    device = {"dev": hook.device} if hook.device else {}
    return {"type": hook.type, "hook": hook.hook, "prio": hook.priority, "policy": hook.policy} | device


def _statement_json(statement: Statement) -> Json:
    match statement:
        case Match(selector, operand, negated):
            right = _operand_json(operand, selector)
            return {"match": {"op": "!=" if negated else "==", "left": _selector_json(selector), "right": right}}
        case Counter(packets, size):
            return {"counter": {"packets": packets, "bytes": size}}
        case Notrack():
            return {"notrack": None}
        case Verdict():
            return _verdict_json(statement)
        case VerdictLookup(selector, name):
            return {"vmap": {"key": _selector_json(selector), "data": _map_json(name, selector)}}
        case Unmodelled(text):
            known: Json = json.loads(text)
            return known


def _map_json(name: str | AnonymousMap, selector: Selector) -> Any:
    if isinstance(name, str):
        return f"@{name}"
    return {"set": [[_element_json(element, selector), _verdict_json(verdict)] for element, verdict in name.elements]}


def _verdict_json(verdict: Verdict) -> Json:
    return {verdict.kind.value: {"target": verdict.chain} if verdict.chain else None}


def _selector_json(selector: Selector) -> Json:
    match selector:
        case Payload(protocol, field):
            return {"payload": {"protocol": protocol, "field": field}}
        case Meta(key):
            return {"meta": {"key": key}}
        case Fib(result, flags):
            return {"fib": {"result": result, "flags": list(flags)}}
        case Concatenation(parts):
            return {"concat": [_selector_json(part) for part in parts]}


def _operand_json(operand: Operand, selector: Selector) -> Any:
    match operand:
        case SetReference(name):
            return f"@{name}"
        case AnonymousSet(elements):
            return {"set": [_element_json(element, selector) for element in elements]}
    return _element_json(operand, selector)


def _element_json(element: Element, selector: Selector) -> Any:
    return element if isinstance(element, str) else key_json(element, known_types(selector))


def known_types(selector: Selector) -> tuple[Datatype, ...]:
    """The types of a selector that is compared with values of ours."""
    types = key_types(selector)
    assert types is not None, f"{selector} has no values of ours"
    return types
