"""Printing: what comes from a host or a file never reaches the terminal as anything but text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, Final

import click

from ctpolicy.language.diagnostics import harmless

_COLORS: Final = {"+": "green", "-": "red", "~": "yellow"}


def print_lines(lines: Iterable[str]) -> None:
    """Print lines, those of a diff in the colour of their sign."""
    for line in lines:
        sign = line.lstrip()[:2]
        color = _COLORS.get(sign[:1]) if sign[1:] == " " else None
        click.echo(click.style(harmless(line), fg=color) if color else harmless(line))


def print_error(text: str) -> None:
    """Print lines on standard error."""
    for line in text.removesuffix("\n").split("\n"):
        click.echo(harmless(line), err=True)


def print_json(value: Any) -> None:
    """Print one JSON value. It is ASCII, and of that only DEL is none of its own escapes."""
    click.echo(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


def tell(sentence: str) -> None:
    """Print a sentence about what goes on."""
    click.echo(harmless(sentence))


def asks(yes: bool) -> bool:
    """Whether there is somebody to ask, and to be asked."""
    return not yes and sys.stdin.isatty()


def may_go_on(question: str, yes: bool, to_errors: bool = False) -> bool:
    """Whether the user agrees; without a terminal there is nobody to ask, so that is a yes.

    Args:
        question: what is asked.
        yes: whether the user has said so already.
        to_errors: whether to ask on standard error, because a program reads standard output.
    """
    return not asks(yes) or click.confirm(question, err=to_errors)
