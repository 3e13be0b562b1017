"""Scratch network namespaces, in which tests may do as they like with the kernel.

A namespace lives as long as a child process that holds it, and is addressed by `/proc/PID/ns/net`: that works for
root and for an ordinary user inside `unshare -Urn` alike, where `ip netns add` has no /run to write to.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import pytest

_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_TOOLS_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
_HOLDER: Final = "ip link set lo up && echo ready && exec cat"


class NamespaceUnavailableError(Exception):
    """This machine gives us no network namespace; the message says why."""


class Namespace:
    """One network namespace with `lo` up and nothing else, until it is closed or this process ends."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", _HOLDER],
            env=_environment(),
            stdin=subprocess.PIPE,  # the holder ends with us, because this pipe does
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            _, reason = self._holder.communicate()
            raise NamespaceUnavailableError(reason.strip())

    @property
    def path(self) -> Path:
        """What `--netns` and nsenter take."""
        return Path(f"/proc/{self._holder.pid}/ns/net")

    def command(self, *argv: str | os.PathLike[str]) -> list[str]:
        """A command line that runs another one inside."""
        return ["nsenter", f"--net={self.path}", *(os.fspath(word) for word in argv)]

    def run(
        self, *argv: str | os.PathLike[str], stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for it; a failure is an assertion with what it printed."""
        done = subprocess.run(
            self.command(*argv), input=stdin, env=_environment(), capture_output=True, text=True, timeout=120
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(map(str, argv))}: status {done.returncode}\n{done.stderr}{done.stdout}")
        return done

    def start(self, *argv: str | os.PathLike[str]) -> subprocess.Popen[str]:
        """Start a command inside; whoever starts it ends it."""
        return subprocess.Popen(
            self.command(*argv), env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ip(self, *lines: str) -> None:
        """Run `ip` once for all these lines, each without the word `ip`."""
        self.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    def load(self, ruleset: str) -> None:
        """Load nftables text, in one transaction."""
        self.run("nft", "-f", "-", stdin=ruleset)

    def ruleset(self) -> str:
        """What `nft list ruleset` prints."""
        return self.run("nft", "list", "ruleset").stdout

    def conntrack(self, *options: str) -> list[str]:
        """The entries of the conntrack table, one a line."""
        return self.run("conntrack", "-L", *options).stdout.splitlines()

    def write(self, sysctl: str, value: str | int) -> None:
        """Write a file under /proc/sys/net, as this namespace sees it."""
        with self.entered():
            Path("/proc/sys/net", sysctl).write_text(f"{value}\n")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread inside the namespace: sockets made here belong to it for good."""
        with Path("/proc/thread-self/ns/net").open() as outside, self.path.open() as inside:
            _enter(inside.fileno())
            try:
                yield
            finally:
                _enter(outside.fileno())

    def close(self) -> None:
        """End the holder, and with it the namespace, once nothing else runs there."""
        self._holder.communicate()

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _environment() -> dict[str, str]:
    return {"PATH": f"{os.environ.get('PATH', '')}:{_TOOLS_PATH}", "LC_ALL": "C", "HOME": "/"}
