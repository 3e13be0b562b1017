"""Tables as text that `nft -f` loads on a host without Python, spelled as `nft list table` shows them."""

from __future__ import annotations

from collections.abc import Iterator

from ctpolicy.nftables.render_json import known_types
from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    AnonymousSet,
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
    datatype,
    named_types,
)
from ctpolicy.nftables.values import key_text


def text(table: Table) -> str:
    """The table for `nft -f`: it takes the place of any other of its name, in one transaction."""
    name = f"{table.family} {table.name}"
    return "\n".join([f"table {name}", f"delete table {name}", "", *table_lines(table), ""])


def table_lines(table: Table) -> Iterator[str]:
    """The table as `nft list table` shows it, line by line."""
    blocks = [
        *(_holder_lines("set", named_set) for named_set in table.sets),
        *(_holder_lines("map", verdict_map) for verdict_map in table.maps),
        *(chain_lines(chain) for chain in table.chains),
    ]
    yield f"table {table.family} {table.name} {{"
    for number, block in enumerate(blocks):
        if number:
            yield ""
        yield from (f"\t{line}" for line in block)
    yield "}"


def _holder_lines(kind: str, holder: Set | VerdictMap) -> Iterator[str]:
    yield f"{kind} {holder.name} {{"
    yield f"\ttype {holder.type}" + (" : verdict" if isinstance(holder, VerdictMap) else "")
    if holder.flags:
        yield f"\tflags {','.join(sorted(holder.flags))}"
    if holder.elements:
        yield "\telements = {"
        yield from (f"\t\t{element}," for element in element_lines(holder))
        yield "\t}"
    yield "}"


def element_lines(holder: Set | VerdictMap) -> Iterator[str]:
    """The elements, each as nft writes it."""
    types = named_types(holder.type)
    if isinstance(holder, Set):
        yield from (key_text(element, types) for element in holder.elements)
    else:
        for element, verdict in holder.elements:
            yield f"{key_text(element, types)} : {verdict_text(verdict)}"


def chain_lines(chain: Chain) -> Iterator[str]:
    """The chain as `nft list chain` shows it."""
    yield f"chain {chain.name} {{"
    if chain.hook:
        hook = chain.hook
        yield f"\ttype {hook.type} hook {hook.hook} priority {hook.priority}; policy {hook.policy};"
    yield from (f"\t{rule_text(rule)}" for rule in chain.rules)
    yield "}"


def rule_text(rule: Rule) -> str:
    """The rule as nft writes it, with the counter at nought."""
    words = " ".join(_statement_text(statement) for statement in rule.statements)
    return words if rule.comment is None else f'{words} comment "{rule.comment}"'


def _statement_text(statement: Statement) -> str:
    match statement:
        case Match(selector, operand, negated):
            return f"{_selector_text(selector)} {'!= ' if negated else ''}{_operand_text(operand, selector)}"
        case Counter():
            return "counter"
        case Notrack():
            return "notrack"
        case Verdict():
            return verdict_text(statement)
        case VerdictLookup(selector, name):
            return f"{_selector_text(selector)} vmap {_map_text(name, selector)}"
        case Unmodelled(known):
            return known


def _map_text(name: str | AnonymousMap, selector: Selector) -> str:
    if isinstance(name, str):
        return f"@{name}"
    pairs = (f"{_element_text(element, selector)} : {verdict_text(verdict)}" for element, verdict in name.elements)
    return f"{{ {', '.join(pairs)} }}"


def verdict_text(verdict: Verdict) -> str:
    """`accept`, `jump NAME`, and their like."""
    return verdict.kind.value if verdict.chain is None else f"{verdict.kind.value} {verdict.chain}"


def _selector_text(selector: Selector) -> str:
    match selector:
        case Payload(protocol, field):
            return f"{protocol} {field}"
        case Meta("iifname" | "oifname" | "iif" | "oif" as key):
            return key
        case Meta(key):
            return f"meta {key}"
        case Fib(result, flags):
            return f"fib {' . '.join(flags)} {result}"
        case Concatenation(parts):
            return " . ".join(_selector_text(part) for part in parts)


def _operand_text(operand: Operand, selector: Selector) -> str:
    match operand:
        case SetReference(name):
            return f"@{name}"
        case AnonymousSet(elements):
            return f"{{ {', '.join(_element_text(element, selector) for element in elements)} }}"
    return _element_text(operand, selector)


def _element_text(element: Element, selector: Selector) -> str:
    if isinstance(element, str):
        return f'"{element}"' if datatype(selector) is Datatype.INTERFACE else element
    return key_text(element, known_types(selector))
