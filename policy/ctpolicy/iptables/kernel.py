"""The one door between this backend and the running kernel: the tools of iptables and ipset, each in a child.

It deals in the text that the tools print and take, and knows nothing of what rules mean.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ctpolicy.errors import CtpolicyError, DeadlineError, HostError, InputError, KernelCrashError
from ctpolicy.iptables import worker
from ctpolicy.iptables.failures import NotForIptablesError, ipset_failure, iptables_failure, kernel_lacks_ipset
from ctpolicy.iptables.installed import TOOLS_PATH, Action, Command, find_ipset, find_iptables, full_name
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.iptables.worker import WorkerStatus
from ctpolicy.packetspace.fields import Family

DEADLINE: Final = 120.0
"""Seconds for one call; loading 100,000 rules takes about 0.3 (Linux 6.18, iptables 1.8.9)."""

LOCK_WAIT: Final = 30
"""Seconds to wait for the lock of iptables-legacy."""

_MOST_ERRORS: Final = 4000
"""Bytes of what a tool says about its failure; kube-proxy's restore can fail with thousands of lines."""


class Tools(Protocol):
    """What the tools can be asked. A fake stands in for them in tests.

    All text is what the tools print and take. A byte that is not UTF-8, as others' comments may have, is a surrogate
    there (`surrogateescape`), so that what was printed can be given back byte for byte.
    """

    def save(self, variant: Variant, family: Family) -> str | None:
        """The raw table as `iptables-save --counters -t raw` prints it; None if there is none.

        Raises:
            HostError: it cannot be read.
            NotForIptablesError: it is there, and the tool cannot show it.
            DeadlineError: no answer in time.
        """

    def restore(self, variant: Variant, family: Family, text: str) -> None:
        """Run `iptables-restore --noflush --counters` on a raw table: all of it, or nothing.

        Raises:
            RefusedError: it was not run.
            HostError: likewise, because this host cannot.
            LockError: likewise, because another held the lock.
            KernelCrashError: it may have been run.
            DeadlineError: likewise.
        """

    def sets(self) -> str | None:
        """All ipsets as `ipset save` prints them; None where there is no ipset, as a tool or in the kernel.

        Raises:
            HostError: they cannot be read.
            DeadlineError: no answer in time.
        """

    def restore_sets(self, text: str) -> None:
        """Run `ipset restore`, line after line, to the first that is refused.

        Raises:
            SetsRefusedError: a line was refused; those before it were run.
            HostError: nothing was run, because this host cannot.
            KernelCrashError: any number of them may have been run.
            DeadlineError: likewise.
        """


@dataclass(frozen=True, slots=True)
class _Done:
    """How a child ended: its exit status (negative for a signal), and what it printed."""

    status: int
    output: str
    errors: str


class IptablesTools:
    """The tools on this host, for its kernel or a network namespace.

    Args:
        namespace: path of a network namespace; None for the one that we are in.
        deadline: seconds for one call, without the wait for the lock.
        lock_wait: whole seconds to wait for the lock of iptables-legacy.
        path: directories with the tools, as in the environment's PATH.
    """

    def __init__(
        self,
        namespace: Path | None = None,
        deadline: float = DEADLINE,
        lock_wait: int = LOCK_WAIT,
        path: str = TOOLS_PATH,
    ) -> None:
        self._namespace = namespace
        self._deadline = deadline
        self._lock_wait = lock_wait
        self._path = path

    def save(self, variant: Variant, family: Family) -> str | None:
        """The raw table; see Tools."""
        tool = full_name(variant, family, Action.SAVE)
        command = find_iptables(variant, family, Action.SAVE, self._path)
        done = self._call(tool, f"{variant.value}:{family.value}", command, ("--counters", "-t", "raw"))
        if done.status == WorkerStatus.NO_TABLE:
            return None
        if done.status:
            raise self._failure(tool, variant, family, done)
        # Both with exit status 0: it prints that line instead of the table, or of some chains (nft 1.8.9).
        if any(line.startswith("# Table `") for line in done.output.split("\n")):
            raise NotForIptablesError(_not_for_iptables(family))
        if "*raw" not in done.output.split("\n"):
            raise HostError(f"{tool} printed no raw table, though there is one.")
        return done.output

    def listing(self, variant: Variant, family: Family) -> str | None:
        """All tables that there are, as `iptables-save` prints them; None where the tool is not installed.

        Raises:
            HostError: they cannot be read.
            DeadlineError: no answer in time.
        """
        tool = full_name(variant, family, Action.SAVE)
        command = find_iptables(variant, family, Action.SAVE, self._path)
        if command is None:
            return None
        done = self._call(tool, "", command, ())
        if done.status:
            raise self._failure(tool, variant, family, done)
        return done.output

    def restore(self, variant: Variant, family: Family, text: str) -> None:
        """Change a raw table; see Tools."""
        assert_only_ours(text)
        tool = full_name(variant, family, Action.RESTORE)
        command = find_iptables(variant, family, Action.RESTORE, self._path)
        # Without -w legacy waits for the lock without end; nft has no lock.
        wait = ("-w", str(self._lock_wait)) if variant is Variant.LEGACY else ()
        done = self._call(tool, "", command, ("--noflush", "--counters", *wait), text)
        if done.status:
            raise self._failure(tool, variant, family, self._with_reason(done, variant, family))

    def sets(self) -> str | None:
        """All ipsets; see Tools."""
        command = find_ipset(self._path)
        if command is None:
            return None
        done = self._call("ipset", "", command, ("save",))
        if done.status and kernel_lacks_ipset(done.errors):
            return None
        if done.status:
            raise self._ended_early("ipset", done) or ipset_failure(done.status, done.errors)
        return done.output

    def restore_sets(self, text: str) -> None:
        """Change ipsets; see Tools."""
        done = self._call("ipset", "", find_ipset(self._path), ("restore",), text)
        if done.status:
            raise self._ended_early("ipset", done) or ipset_failure(done.status, done.errors)

    def _with_reason(self, done: _Done, variant: Variant, family: Family) -> _Done:
        """iptables-legacy-restore says the same of a missing module, family or privilege; its sister says which."""
        if "unable to initialize table" not in done.errors:
            return done
        tool = full_name(variant, family, Action.SAVE)
        asked = self._call(tool, "", find_iptables(variant, family, Action.SAVE, self._path), ("-t", "raw"))
        return _Done(done.status, done.output, f"{done.errors}\n{asked.errors}")

    def _call(self, tool: str, table: str, command: Command | None, arguments: Sequence[str], given: str = "") -> _Done:
        """Run the worker, and in it the tool, on files in memory: no pipe can fill, no child of it can hold one."""
        words = [str(self._namespace or ""), table, *((*command, *arguments) if command else ())]
        with ExitStack() as open_files:
            files = [open_files.enter_context(os.fdopen(os.memfd_create(name), "w+b")) for name in ("in", "out", "err")]
            files[0].write(given.encode(errors="surrogateescape"))
            files[0].seek(0)
            try:
                status = subprocess.run(  # noqa: S603 (no shell, absolute path, clean environment)
                    [sys.executable, "-I", worker.__file__, *words],
                    stdin=files[0],
                    stdout=files[1],
                    stderr=files[2],
                    timeout=self._deadline + self._lock_wait,
                    env={"LC_ALL": "C", "PATH": self._path},
                    process_group=0,  # what is typed at the terminal, such as Ctrl-C, must not end it in mid-call
                    close_fds=False,  # the lock (apply/lock.py) is inherited, and nothing else is inheritable
                ).returncode
            except subprocess.TimeoutExpired as error:
                raise DeadlineError(
                    f"{tool} did not end within {error.timeout:g} seconds and was ended; read the host again."
                ) from error
            except OSError as error:
                raise HostError(f"The child for {tool} could not be started: {error}.") from error
            output = _read(files[1].fileno(), worker.MOST_OUTPUT if status == 0 else 0)
            errors = _read(files[2].fileno(), _MOST_ERRORS)
        return _Done(status, output, errors)

    def _failure(self, tool: str, variant: Variant, family: Family, done: _Done) -> CtpolicyError:
        return self._ended_early(tool, done) or iptables_failure(tool, variant, family, done.status, done.errors)

    def _ended_early(self, tool: str, done: _Done) -> CtpolicyError | None:
        """The error of a child that never became the tool, or printed without end; None for others."""
        text = done.errors.strip()
        match done.status:
            case WorkerStatus.NO_TOOL:
                package = "ipset" if tool == "ipset" else "iptables"
                return HostError(f"{tool} cannot be run ({text}). Install it: apt-get install {package}.")
            case WorkerStatus.NO_NAMESPACE:
                return _no_namespace(self._namespace, text)
            case WorkerStatus.NO_PROC:
                return HostError(f"{tool} cannot be used here: {text}.")
            case status if -status == signal.SIGXFSZ:
                return KernelCrashError(f"{tool} printed more than {worker.MOST_OUTPUT} bytes and was ended.")
        return None


def _read(descriptor: int, most: int) -> str:
    size = min(os.fstat(descriptor).st_size, most)
    return os.pread(descriptor, size, 0).decode(errors="surrogateescape")


def assert_only_ours(text: str) -> None:
    """One raw table, and no built-in chain's header: it would set the chain's policy.

    Raises:
        ValueError: it is something else, which is a bug of ours.
    """
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    headers = [line.split()[1:2] for line in lines if line.startswith(":")]
    one_table = lines[:1] == ["*raw"] and lines[-1:] == ["COMMIT"] and lines.count("COMMIT") == 1
    if not one_table or sum(line.startswith("*") for line in lines) != 1 or any(policy != ["-"] for policy in headers):
        raise ValueError(f"not a change of ours to one raw table: {text[:200]!r}")


def _not_for_iptables(family: Family) -> str:
    table = "ip raw" if family is Family.IPV4 else "ip6 raw"
    return (
        f"The table {table} belongs to iptables-nft, but holds nftables objects that iptables cannot show (a native "
        f"set, concatenation or base chain). See `nft list table {table}`, and move what is not iptables' to a table "
        "of its own, or use --backend nftables."
    )


def _no_namespace(namespace: Path | None, text: str) -> CtpolicyError:
    if "Operation not permitted" in text or "Permission denied" in text:
        return HostError(f"Entering {namespace} needs CAP_SYS_ADMIN: run this as root (sudo).")
    return InputError(f"{namespace} is not a network namespace ({text}); `ip netns list` shows those with names.")
