"""One rule of nftables as steps of hazards/rules.py: its statements, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ctpolicy.hazards.rules import Action, Decision, Nat, Open, Service, Step, Translation, Use, Within, anything
from ctpolicy.hazards.rules import Rule as Told
from ctpolicy.hazards.rules import Verdict as Outcome
from ctpolicy.hazards.situations import ALWAYS, OF_AN_ENTRY, WITH_ENTRY, Tracking
from ctpolicy.nftables.host_conditions import FAMILY_IS, Question, about, needs_of, question
from ctpolicy.nftables.host_lookups import Lookups, verdict_targets
from ctpolicy.nftables.host_tracking import conntrack_question, state_pairs
from ctpolicy.nftables.read_rules import read_statement
from ctpolicy.nftables.rule_words import rule_words
from ctpolicy.nftables.ruleset import (
    Element,
    Match,
    Notrack,
    Rule,
    Selector,
    Unmodelled,
    Verdict,
    VerdictKind,
    VerdictLookup,
)

_VERDICTS: Final = {
    VerdictKind.ACCEPT: Outcome.ACCEPT,
    VerdictKind.DROP: Outcome.DROP,
    VerdictKind.RETURN: Outcome.RETURN,
    VerdictKind.JUMP: Outcome.JUMP,
    VerdictKind.GOTO: Outcome.GOTO,
}
_USES: Final = {
    "ct helper": Service.HELPER,
    "ct timeout": Service.TIMEOUT,
    "ct expectation": Service.HELPER,
    "flow": Service.OFFLOAD,
    "ct count": Service.LIMIT,
    "synproxy": Service.SYNPROXY,
    "tproxy": Service.TPROXY,
}
_CT_KEYS: Final = {"mark": Service.CT_MARK, "zone": Service.ZONE, "label": Service.LABEL, "helper": Service.HELPER}
_WITHOUT_EFFECT: Final = frozenset({"log", "counter", "last", "secmark", "dup"})
_HEADER_FIELDS_OF_NO_MATTER: Final = frozenset({"dscp", "ecn", "ttl", "hoplimit", "flowlabel", "checksum", "csum"})
_NATS: Final = {
    "snat": Nat.SOURCE,
    "masquerade": Nat.MASQUERADE,
    "dnat": Nat.DESTINATION,
    "redirect": Nat.REDIRECT,
}
_XT_NATS: Final = {"SNAT": "snat", "MASQUERADE": "masquerade", "DNAT": "dnat", "REDIRECT": "redirect", "NETMAP": "dnat"}
_XT_USES: Final = {
    "CONNMARK": Service.CT_MARK,
    "CONNSECMARK": Service.CT_MARK,
    "MARK": Service.MARK,
    "CT": Service.NOTRACK,
    "NOTRACK": Service.NOTRACK,
    "FLOWOFFLOAD": Service.OFFLOAD,
}
_XT_WITHOUT_EFFECT: Final = frozenset(
    {"LOG", "NFLOG", "ULOG", "TRACE", "AUDIT", "TCPMSS", "TTL", "HL", "DSCP", "TOS", "ECN", "CLASSIFY", "CHECKSUM"}
) | frozenset({"SECMARK", "SET", "RATEEST", "IDLETIMER", "LED", "TEE", "TCPOPTSTRIP"})


def steps_of(table: Lookups, rule: Rule, chain: str, told: Told) -> Iterator[Step]:
    """What a rule of a chain does.

    Args:
        table: where its sets and maps are looked up.
        rule: as it is listed.
        chain: its name.
        told: the same rule, for people.
    """
    yield from _Reading(table, chain, told).of(rule)


@dataclass(slots=True)
class _Reading:
    """One rule while its statements are read: what has been asked so far."""

    table: Lookups
    chain: str
    told: Told
    fields: tuple[Within, ...] = ()
    tracking: Tracking = ALWAYS
    open: tuple[Open, ...] = field(default=())

    def of(self, rule: Rule) -> Iterator[Step]:
        """A step for each thing that the rule does."""
        for statement in rule.statements:
            words = rule_words(Rule((statement,)))
            match statement:
                case Match(selector, operand, negated):
                    self._ask(question(selector, self.table.elements(operand), words, negated=negated))
                case Verdict():
                    yield from self._decided(statement, Question())
                case VerdictLookup(selector, found):
                    yield from self._looked_up(selector, self.table.pairs(found), words)
                case Notrack():
                    yield self._step(Use(Service.NOTRACK))
                case Unmodelled(text):
                    ((word, body),) = json.loads(text).items()
                    yield from self._unmodelled(word, body, words)

    def _ask(self, asked: Question) -> None:
        self.fields += asked.fields
        self.open += asked.open

    def _step(self, action: Action, asked: Question | None = None, tracking: Tracking = ALWAYS) -> Step:
        """What is done if all holds that has been asked so far, and what is asked now."""
        more = asked or Question()
        held = self.tracking & tracking
        return Step(self.told, self.fields + more.fields, held, self.open + more.open, action)

    def _decided(self, verdict: Verdict, asked: Question, tracking: Tracking = ALWAYS) -> Iterator[Step]:
        if verdict.kind in _VERDICTS:
            yield self._step(Decision(_VERDICTS[verdict.kind], verdict.chain or ""), asked, tracking)

    def _looked_up(
        self, selector: Selector, pairs: Sequence[tuple[Element, Verdict]] | None, words: str
    ) -> Iterator[Step]:
        if pairs is None:
            yield from self._anywhere(words)
            return
        for element, verdict in pairs:
            yield from self._decided(verdict, question(selector, (element,), words))

    def _anywhere(self, words: str) -> Iterator[Step]:
        """What may send the packet to any chain, drop it or accept it: a map whose elements are not known."""
        yield from self._anything(f"{words} (whose elements are not known)", self.table.may_lead_to(self.chain))

    def _anything(self, words: str, targets: Iterable[str] = ()) -> Iterator[Step]:
        """What may send the packet to certain chains, drop it or accept it."""
        for chain in targets:
            yield self._step(Decision(Outcome.JUMP, chain), Question(open=(Open(words),)))
        yield from anything(self.told, self.fields, self.tracking, self.open, words)

    def _unmodelled(self, word: str, body: Any, words: str) -> Iterator[Step]:
        if word == "match":
            self._match(body, words)
        elif word == "vmap":
            yield from self._vmap(body["key"], body["data"], words)
        elif word == "reject":
            kind = body.get("type", "") if isinstance(body, dict) else ""
            yield self._step(Decision(Outcome.REJECT), _of_family(kind))
        elif word == "queue":
            yield self._step(Decision(Outcome.QUEUE))
        elif word in _NATS:
            yield from self._translated(word, body if isinstance(body, dict) else {})
        elif word == "mangle":
            yield from self._mangle(body["key"], body["value"], words)
        elif word == "xt":
            yield from self._xt(body.get("type"), str(body.get("name")))
        elif word in _USES:
            yield from self._used(word, words)
        elif word in {"limit", "quota", "set", "map", "meter"}:
            self.open += (Open(words),)
        elif word not in _WITHOUT_EFFECT:
            yield from self._anything(words, verdict_targets(body))

    def _match(self, body: dict[str, Any], words: str) -> None:
        of_conntrack = conntrack_question(body)
        if of_conntrack is not None:
            self.tracking &= of_conntrack
        else:
            self.fields += needs_of(body["left"])
            self.open += (Open(words, about([body["left"], body["right"]])),)

    def _vmap(self, key: Any, data: Any, words: str) -> Iterator[Step]:
        pairs = data.get("set") if isinstance(data, dict) else None
        if not isinstance(pairs, list):
            yield from self._anywhere(words)
            return
        told = state_pairs(key, pairs)
        verdicts = [read_statement(listed) for _, listed in pairs]
        decides = all(isinstance(one, Verdict) and one.kind is not VerdictKind.CONTINUE for one in verdicts)
        is_complete = decides and _counts_to(key) == len(pairs)
        for at, ((value, _), verdict) in enumerate(zip(pairs, verdicts, strict=True)):
            if not isinstance(verdict, Verdict):
                yield from self._anything(words)
            elif told is not None:
                yield from self._decided(verdict, Question(), told[at])
            else:
                # Of `numgen random mod 2` with two elements, the last is found where the others are not.
                doubt = () if is_complete and at == len(pairs) - 1 else (Open(f"{words} ({value})", about(key)),)
                yield from self._decided(verdict, Question(needs_of(key), doubt))

    def _translated(self, word: str, body: dict[str, Any]) -> Iterator[Step]:
        address, port = body.get("addr"), body.get("port")
        of_family = (FAMILY_IS[body["family"]],) if body.get("family") in FAMILY_IS else ()
        is_looked_up = any(isinstance(one, dict) and "map" in one for one in (address, port))
        doubt = (Open(f"{word} to a map's value"),) if is_looked_up else ()
        to = address if isinstance(address, str) else "" if address is None else json.dumps(address)
        action = Translation(_NATS[word], to, port if isinstance(port, int) else None)
        yield self._step(action, Question(of_family, doubt))

    def _mangle(self, key: Any, value: Any, words: str) -> Iterator[Step]:
        if _names_ct(value):
            self.tracking &= OF_AN_ENTRY if _asks_what_may_be_missing(value) else Tracking(WITH_ENTRY, WITH_ENTRY)
        match key:
            case {"ct": {"key": str(name)}}:
                yield self._step(Use(_CT_KEYS.get(name, Service.LABEL)))
            case {"meta": {"key": "mark"}}:
                yield self._step(Use(Service.RESTORED_MARK if _names_ct(value) else Service.MARK))
            case {"payload": {"field": str(name)}} if name not in _HEADER_FIELDS_OF_NO_MATTER:
                yield from self._anything(words)

    def _used(self, word: str, words: str) -> Iterator[Step]:
        yield self._step(Use(_USES[word]))
        if word == "flow":  # nothing comes after it for packets that it does not take (nft_flow_offload_eval)
            self.tracking &= OF_AN_ENTRY
        elif word == "synproxy":
            yield from self._anything(words)
        elif word in {"tproxy", "ct count"}:
            self.open += (Open(words),)

    def _xt(self, kind: str | None, name: str) -> Iterator[Step]:
        """A statement of iptables-nft, of which nft tells the name alone."""
        if kind == "match":
            if name in {"connmark", "connlimit"}:
                yield self._step(Use(Service.LIMIT if name == "connlimit" else Service.RESTORED_MARK))
            if name != "comment":
                self.open += (Open(f"-m {name}"),)
        elif name == "REJECT":
            yield self._step(Decision(Outcome.REJECT))
        elif name in {"NFQUEUE", "QUEUE"}:
            yield self._step(Decision(Outcome.QUEUE))
        elif name in _XT_NATS:
            yield self._step(Translation(_NATS[_XT_NATS[name]]))
        elif name in _XT_USES:
            yield self._step(Use(_XT_USES[name]), Question(open=(Open(f"-j {name}"),)))
        elif name in {"SYNPROXY", "TPROXY"}:
            yield self._step(Use(_USES[name.lower()]))
            yield from self._anything(f"-j {name}")
        elif name not in _XT_WITHOUT_EFFECT:
            yield from self._anything(f"-j {name}")


def _of_family(reject: str) -> Question:
    """The family that a reject is for: `icmp` of IPv4, `icmpv6`; any for `icmpx` and resets."""
    return Question((FAMILY_IS[reject],) if reject in {"icmp", "icmpv6"} else ())


def _counts_to(key: Any) -> int | None:
    """How many values there are, from 0, if that is known."""
    match key:
        case {"numgen": {"mod": int(mod)}} | {"jhash": {"mod": int(mod)}} | {"symhash": {"mod": int(mod)}}:
            return mod
    return None


def _names_ct(value: Any) -> bool:
    """Whether something is asked of a connection."""
    if isinstance(value, dict):
        return "ct" in value or any(map(_names_ct, value.values()))
    return isinstance(value, list) and any(map(_names_ct, value))


def _asks_what_may_be_missing(value: Any) -> bool:
    """Whether it asks for more than the mark, which every entry has."""
    match value:
        case {"ct": {"key": "mark"}}:
            return False
        case dict() if value.keys() <= {"&", "|", "^", "<<", ">>"}:
            return any(_asks_what_may_be_missing(one) for parts in value.values() for one in parts)
        case int() | {"meta": {"key": "mark"}}:
            return False
    return True
