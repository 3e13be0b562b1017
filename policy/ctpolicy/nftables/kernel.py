"""The one door between this backend and the running kernel.

It deals in libnftables' JSON; only `read_ruleset` knows what that means.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from ctpolicy.errors import DeadlineError, HostError, InputError, KernelCrashError, RefusedError
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_json import Json
from ctpolicy.nftables.ruleset import Ruleset
from ctpolicy.nftables.worker import WorkerStatus

DEADLINE: Final = 120.0
"""Seconds for one call; a table of 100,000 elements takes about 2 (Linux 6.18, nft 1.0.6)."""


class Kernel(Protocol):
    """What libnftables can be asked. A fake stands in for it in tests."""

    def table_listing(self) -> str:
        """Our table as `nft -j list table` prints it; nothing if there is no such table.

        Raises:
            HostError: it cannot be read.
            DeadlineError: no answer in time.
        """

    def listing(self) -> str:
        """All tables as `nft -j list ruleset` prints them; raises as table_listing does."""

    def commit(self, document: Json) -> None:
        """Run libnftables JSON as one transaction: all of it, or nothing.

        Raises:
            RefusedError: it was not run.
            HostError: likewise, because this host cannot.
            KernelCrashError: it may have been run.
            DeadlineError: likewise.
        """


class Libnftables:
    """The kernel of this host, or of a network namespace, through libnftables in a child process.

    Args:
        namespace: path of a network namespace; None for the one that we are in.
        deadline: seconds for one call.
        worker: the child's command, for tests of what happens when it fails.
    """

    def __init__(
        self, namespace: Path | None = None, deadline: float = DEADLINE, worker: Sequence[str] | None = None
    ) -> None:
        self._namespace = namespace
        self._deadline = deadline
        self._worker = tuple(worker or (sys.executable, "-I", "-m", "ctpolicy.nftables.worker"))

    def table_listing(self) -> str:
        """Our table; see Kernel."""
        return self._call("list", "")

    def listing(self) -> str:
        """All tables; see Kernel."""
        return self._call("ruleset", "")

    def read_ruleset(self) -> Ruleset:
        """Every table as it is now, whoever it belongs to; raises as listing does."""
        return read_text(self.listing())

    def commit(self, document: Json) -> None:
        """Change what is there; see Kernel."""
        self._call("run", json.dumps(document))

    def _call(self, mode: str, given: str) -> str:
        command = [*self._worker, mode, *([str(self._namespace)] if self._namespace else [])]
        try:
            done = subprocess.run(  # noqa: S603 (no shell, absolute path, clean environment)
                command,
                input=given,
                capture_output=True,
                text=True,
                timeout=self._deadline,
                env=_environment(),
                process_group=0,  # what is typed at the terminal, such as Ctrl-C, must not end it in mid-call
                close_fds=False,  # the lock (apply/lock.py) is inherited, and nothing else is inheritable
            )
        except subprocess.TimeoutExpired as error:
            raise DeadlineError(
                f"libnftables did not answer within {self._deadline:g} seconds and was ended; read the host again."
            ) from error
        except OSError as error:
            raise HostError(f"The child for libnftables could not be started: {error}.") from error
        if done.returncode != WorkerStatus.DONE:
            raise self._failure(done.returncode, done.stderr.strip())
        return done.stdout

    def _failure(self, status: int, text: str) -> Exception:
        match status:
            case WorkerStatus.NO_LIBRARY:
                # The first line: after it the bindings may complain of having been made by halves (pip-nftables 1.0.2).
                reason = text.partition("\n")[0]
                return HostError(f"libnftables cannot be used ({reason}). Install it: apt-get install libnftables1.")
            case WorkerStatus.NO_NAMESPACE:
                return _no_namespace(self._namespace, text)
            case WorkerStatus.REFUSED if "Operation not permitted" in text:
                return HostError(
                    "The kernel's ruleset may only be read and changed with CAP_NET_ADMIN: run this as root (sudo)."
                )
            case WorkerStatus.REFUSED:
                return RefusedError(f"nftables refused: {text}")
        died = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        last = f": {text.splitlines()[-1]}" if text else ""
        return KernelCrashError(f"libnftables died in mid-call ({died}{last}).")


def _no_namespace(namespace: Path | None, text: str) -> Exception:
    if "Operation not permitted" in text or "Permission denied" in text:
        return HostError(f"Entering {namespace} needs CAP_SYS_ADMIN: run this as root (sudo).")
    return InputError(f"{namespace} is not a network namespace ({text}); `ip netns list` shows those with names.")


def _environment() -> dict[str, str]:
    # LC_ALL, so that error texts are English; nothing else, so that nobody's LD_PRELOAD or PYTHONPATH comes along.
    return {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
