"""What a plain YAML scalar means here: true, false, a decimal integer, or text; and what is refused as a surprise.

YAML 1.1, which many tools read, makes 1350 of `22:30`, 8 of `010` and false of `no`; YAML 1.2 does not. What the two
read differently, or as anything but text, integer or truth, has to be written so that nobody can be surprised.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import yaml

from ctpolicy.language.mistakes import ValueMistake

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)")

LONGEST_INTEGER: Final = 18
"""Digits; no value of the language has more than five."""

_TRUTHS: Final = {"true": True, "false": False}

_ONLY_ELSEWHERE: Final = re.compile(
    r"(?P<boolean>[yYnN])|(?P<octal>[-+]?0o?[0-9_]+)|(?P<number>[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)"
)
"""What PyYAML takes as text, and YAML 1.1's own text, YAML 1.2 or another reader does not."""

_KINDS: Final = {
    "bool": "a truth value",
    "int": "a number",
    "float": "a fraction",
    "null": "nothing at all",
    "timestamp": "a date",
    "merge": "a merge key",
    "value": "a default value",
}

Resolvers = dict[str, list[tuple[str, re.Pattern[str]]]]
_RESOLVERS: Final[Resolvers] = yaml.SafeLoader.yaml_implicit_resolvers


@lru_cache(maxsize=1024)  # keys come again and again
def plain_value(text: str) -> bool | int | str:
    """The value of a scalar that was written without quotation marks.

    Raises:
        ValueMistake: another reader of YAML would take it for something else.
    """
    if text in _TRUTHS:
        return _TRUTHS[text]
    if _INTEGER.fullmatch(text) and text != "-0":
        if len(text) > LONGEST_INTEGER:
            raise ValueMistake("this number is too large", "a smaller number")
        return int(text)
    if taken_for := _surprise(text):
        raise _mistake(text, taken_for)
    return text


def _surprise(text: str) -> str:
    """What some reader of YAML would take plain text for; nothing if it is text to all of them."""
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            return _KINDS[tag.rpartition(":")[2]]
    if text and text[0] in "yYnN+-.0123456789" and (found := _ONLY_ELSEWHERE.fullmatch(text)):
        return _KINDS["bool"] if found["boolean"] else _KINDS["int"] if found["octal"] else _KINDS["float"]
    return ""


def _mistake(text: str, taken_for: str) -> ValueMistake:
    if not text:
        return ValueMistake("there is no value here", "a value, or the key left out")
    shown = text if len(text) <= 40 else text[:37] + "..."
    if text.lower() in _TRUTHS:
        return ValueMistake(f"`{shown}` is written in small letters", suggestion=text.lower())
    if text == "~" or text.lower() == "null":
        return ValueMistake(f"`{shown}` is nothing", "a value, or the key left out")
    if taken_for == _KINDS["merge"]:
        return ValueMistake("merge keys (`<<`) are not taken", "the keys written out")
    message = f"`{shown}` is {taken_for} to some readers of YAML"
    if taken_for == _KINDS["bool"]:
        return ValueMistake(message, f'true or false, or quotation marks if it is text: "{shown}"')
    if re.fullmatch("0+[0-9]+", text):
        message = f"`{shown}` is another number to some readers of YAML, which take it for octal"
        return ValueMistake(message, f'a number without leading zeros, or quotation marks: "{shown}"')
    return ValueMistake(message, f'a plain decimal number, or quotation marks if it is text: "{shown}"')
