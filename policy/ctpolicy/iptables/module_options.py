"""The options of a module or a target of iptables, as iptables-save prints them: `! --dport 53`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ctpolicy.iptables.words import Quoted


class NotModelledError(Exception):
    """The module was asked what ctpolicy does not know."""


class Option(NamedTuple):
    """One question to a module, or one thing that a target is told."""

    negated: bool
    name: str
    values: Sequence[str]

    def words(self) -> list[str]:
        """The option as it stood."""
        return [*["!"] * self.negated, self.name, *self.values]

    @property
    def only_value(self) -> str:
        """The one value that it has.

        Raises:
            NotModelledError: it has none, or several.
        """
        if len(self.values) != 1:
            raise NotModelledError
        return self.values[0]


def options_of(words: Sequence[str]) -> Iterator[Option]:
    """The options in what stood after `-m MODULE` or `-j TARGET`.

    Raises:
        NotModelledError: there is more than options.
    """
    negated, name, values = False, "", list[str]()
    for word in words:
        if isinstance(word, Quoted) or (word != "!" and not word.startswith("--")):
            values.append(word)
            continue
        if name:
            yield Option(negated, name, values)
            negated, name, values = False, "", []
        if values:
            raise NotModelledError  # a value before any option
        if word == "!":
            negated = True
        else:
            name = word
    if name:
        yield Option(negated, name, values)
    elif negated or values:
        raise NotModelledError
