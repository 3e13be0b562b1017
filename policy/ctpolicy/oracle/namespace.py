"""The door to scratch network namespaces in which the kernel is asked.

A namespace lives as long as a child process that holds it, and is addressed by `/proc/PID/ns/net`: that works for
root, and for an ordinary user in a user namespace, where `ip netns add` has no /run to write to.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from ctpolicy.errors import HostError

TOOLS_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"

_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_HOLDER: Final = "ip link set lo up && echo ready && exec cat"
_PATIENCE: Final = 120.0


class NamespaceUnavailableError(Exception):
    """This machine gives us no network namespace; the message says why."""


class Namespace:
    """One network namespace with `lo` up and nothing else, until it is closed or this process ends."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(  # noqa: S603 (nothing of it is anybody's words)
            ["unshare", "--net", "sh", "-c", _HOLDER],  # noqa: S607 (by the PATH of its environment, which is ours)
            env=self.environment(),
            stdin=subprocess.PIPE,  # the holder ends with us, because this pipe does
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            _, reason = self._holder.communicate()
            raise NamespaceUnavailableError(reason.strip())

    @staticmethod
    def environment() -> dict[str, str]:
        """That of the tools."""
        return {"PATH": TOOLS_PATH, "LC_ALL": "C", "HOME": "/"}

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
        """Run a command inside and wait for it.

        Raises:
            HostError: it failed, and `check` is true.
        """
        done = subprocess.run(  # noqa: S603 (no shell, a clean environment)
            self.command(*argv), input=stdin, env=self.environment(), capture_output=True, text=True, timeout=_PATIENCE
        )
        if check and done.returncode:
            raise HostError(f"{' '.join(map(str, argv))}: status {done.returncode}\n{done.stderr}{done.stdout}")
        return done

    def ip(self, *lines: str) -> None:
        """Run `ip` once for all these lines, each without the word `ip`."""
        self.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    def load(self, ruleset: str) -> None:
        """Load nftables text, in one transaction."""
        self.run("nft", "-f", "-", stdin=ruleset)

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
