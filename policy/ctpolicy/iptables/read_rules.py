"""One rule of iptables-save to a Rule: the inverse of `render.rule_text`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from ctpolicy.iptables.read_matches import read_matches
from ctpolicy.iptables.ruleset import (
    Address,
    End,
    Interface,
    Match,
    Notrack,
    Protocol,
    Rule,
    Target,
    UnmodelledMatch,
    UnmodelledTarget,
    Verdict,
    VerdictKind,
)
from ctpolicy.iptables.values import parse_prefix, parse_protocol
from ctpolicy.iptables.words import Quoted, text_of, words_of
from ctpolicy.netfilter.protocol_words import PROTOCOL_WORDS
from ctpolicy.packetspace.fields import Family

_LONG: Final = {
    **{"--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d", "--in-interface": "-i"},
    **{"--out-interface": "-o", "--protocol": "-p", "--proto": "-p", "--match": "-m", "--jump": "-j", "--goto": "-g"},
    "--fragment": "-f",
}
"""What people write and iptables-save does not."""

_OWN: Final = frozenset({"-s", "-d", "-i", "-o", "-p", "-m", "-j", "-g", "-f"})
"""Options of iptables itself, at which a module's or target's options end."""

_PLAIN: Final = {kind.value: kind for kind in (VerdictKind.ACCEPT, VerdictKind.DROP, VerdictKind.RETURN)}


def read_rule(spelling: str, family: Family, chains: Collection[str]) -> Rule:
    """A rule from its words after `-A CHAIN`.

    Args:
        spelling: the words.
        family: of the table.
        chains: that the table has, which tell a jump from a target.

    Raises:
        ValueError: iptables prints no such rule.
    """
    reader = _RuleReader(words_of(spelling), family, chains)
    reader.read()
    matches = tuple(sorted(reader.matches, key=_place))
    return Rule(matches, reader.target, reader.comment, spelling=spelling)


class _RuleReader:
    def __init__(self, words: Sequence[str], family: Family, chains: Collection[str]) -> None:
        self._words = words
        self._at = 0
        self._family = family
        self._chains = chains
        self._protocol = ""
        self.matches: list[Match] = []
        self.target: Target | None = None
        self.comment: str | None = None

    def read(self) -> None:
        """All of the words."""
        while self._at < len(self._words):
            negated = self._words[self._at] == "!" and not isinstance(self._words[self._at], Quoted)
            self._at += negated
            if self._own() is None:
                self._implied_module(negated)
                continue
            option = self._own()
            self._at += 1
            if option in {"-m", "-j", "-g"} and negated:
                raise ValueError(f"`!` stands before `{option}`")
            self._read_option(option or "", negated)

    def _own(self) -> str | None:
        """The option of iptables itself that comes next, if it is one."""
        if self._at >= len(self._words) or isinstance(self._words[self._at], Quoted):
            return None
        word = _LONG.get(self._words[self._at], self._words[self._at])
        return word if word in _OWN else None

    def _read_option(self, option: str, negated: bool) -> None:
        match option:
            case "-m":
                self._read_module(self._next())
            case "-j":
                self._set_target(self._jump(self._next(), self._rest_of_block()))
            case "-g":
                self._set_target(Verdict(VerdictKind.GOTO, self._next()))
            case "-f":
                self.matches.append(UnmodelledMatch("! -f" if negated else "-f"))
            case "-p":
                self._protocol = self._next()
                self.matches += _protocol(self._protocol, negated)
            case "-i" | "-o":
                end = End.SOURCE if option == "-i" else End.DESTINATION
                self.matches.append(Interface(end, self._next(), negated))
            case _:
                self._read_address(option, self._next(), negated)

    def _read_address(self, option: str, text: str, negated: bool) -> None:
        end = End.SOURCE if option == "-s" else End.DESTINATION
        if "/" in text and not text.rpartition("/")[2].isdigit():
            try:
                self.matches.append(Address(end, parse_prefix(text, self._family), negated))
            except ValueError:  # a mask with holes
                self.matches.append(UnmodelledMatch(f"{'! ' * negated}{option} {text}"))
            return
        self.matches.append(Address(end, parse_prefix(text, self._family), negated))

    def _read_module(self, module: str) -> None:
        if module != "comment":
            self.matches += read_matches(module, self._rest_of_block(), self._family)
            return
        if self._next() != "--comment":
            raise ValueError("a comment has no text")
        if self.comment is not None:  # the last one is the comment; of the others nothing is lost
            self.matches.append(UnmodelledMatch(text_of(["-m", "comment", "--comment", Quoted(self.comment)])))
        self.comment = str(self._next())

    def _implied_module(self, negated: bool) -> None:
        """Options without `-m`, as people write them: those of the module that is named after the protocol."""
        words = [*["!"] * negated, *self._rest_of_block()]
        if not self._protocol or not words or not words[-1 if len(words) == 1 else negated].startswith("--"):
            raise ValueError(f"`{text_of(words)}` is not expected here")
        self.matches += read_matches(self._protocol, words, self._family)

    def _next(self) -> str:
        if self._at >= len(self._words):
            raise ValueError("it ends in the middle of an option")
        self._at += 1
        return self._words[self._at - 1]

    def _rest_of_block(self) -> list[str]:
        """The words up to the next option of iptables itself, or the `!` before it."""
        begin = self._at
        while self._at < len(self._words) and self._own() is None:
            self._at += 1
        if self._at < len(self._words) and self._at > begin and self._words[self._at - 1] == "!":
            self._at -= 1
        return list(self._words[begin : self._at])

    def _set_target(self, target: Target) -> None:
        if self.target is not None:
            raise ValueError("it has two targets")
        self.target = target

    def _jump(self, name: str, options: Sequence[str]) -> Target:
        if (name == "NOTRACK" and not options) or (name == "CT" and "--notrack" in options):
            return Notrack()  # of any other options the kernel takes no notice then (xt_ct_tg_check)
        if not options and name in _PLAIN:
            return Verdict(_PLAIN[name])
        if not options and name in self._chains:
            return Verdict(VerdictKind.JUMP, name)
        return UnmodelledTarget(text_of(["-j", name, *options]))


def _protocol(text: str, negated: bool) -> list[Match]:
    if text not in PROTOCOL_WORDS and text[:1].isalpha() and text != "all":  # of another host's /etc/protocols
        return [UnmodelledMatch(f"{'! ' * negated}-p {text}")]
    number = parse_protocol(text) if text != "all" else 0
    return [Protocol(number, negated)] * bool(number)  # 0 is any, also by that number


def _place(match: Match) -> int:
    """Where iptables-save prints it."""
    match match:
        case Address(end):
            return 0 if end is End.SOURCE else 1
        case Interface(end):
            return 2 if end is End.SOURCE else 3
        case Protocol():
            return 4
    return 5
