"""Scratch network namespaces, in which tests may do as they like with the kernel: the shipped ones, and more."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import NoReturn

import pytest

from ctpolicy.errors import HostError
from ctpolicy.oracle import namespace as shipped
from ctpolicy.oracle.namespace import TOOLS_PATH, NamespaceUnavailableError

__all__ = ["Namespace", "NamespaceUnavailableError", "join", "make_namespace", "skip_but_for_ci"]


class Namespace(shipped.Namespace):
    """One network namespace with `lo` up and nothing else, until it is closed or this process ends."""

    @staticmethod
    def environment() -> dict[str, str]:
        """With the programs that the tests' own environment has, ctpolicy for one."""
        return {**shipped.Namespace.environment(), "PATH": f"{os.environ.get('PATH', '')}:{TOOLS_PATH}"}

    def run(
        self, *argv: str | os.PathLike[str], stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for it; a failure is an assertion with what it printed."""
        try:
            return super().run(*argv, stdin=stdin, check=check)
        except HostError as error:
            raise AssertionError(str(error)) from error

    def start(self, *argv: str | os.PathLike[str]) -> subprocess.Popen[str]:
        """Start a command inside; whoever starts it ends it."""
        return subprocess.Popen(
            self.command(*argv), env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ruleset(self) -> str:
        """What `nft list ruleset` prints."""
        return self.run("nft", "list", "ruleset").stdout

    def conntrack(self, *options: str) -> list[str]:
        """The entries of the conntrack table, one a line."""
        return self.run("conntrack", "-L", *options).stdout.splitlines()


def make_namespace() -> Namespace:
    """A namespace, or the reason why there is none: a failure under CI, a skip elsewhere."""
    try:
        return Namespace()
    except (NamespaceUnavailableError, FileNotFoundError) as error:
        skip_but_for_ci(f"no network namespace (run as root, or under `unshare -Urn`): {error}")


def skip_but_for_ci(reason: str) -> NoReturn:
    """End a test that cannot be run here: a failure under CI, a skip elsewhere."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def join(one: Namespace, other: Namespace, names: Sequence[str] = ("veth0", "veth0")) -> None:
    """Lay a cable between two namespaces: a veth pair with one end, of the given name, in each."""
    one.ip(f"link add {names[0]} type veth peer name {names[1]} netns {other.path}")
    one.ip(f"link set {names[0]} up")
    other.ip(f"link set {names[1]} up")
