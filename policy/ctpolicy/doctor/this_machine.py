"""The door to the machine that the doctor looks at: files, and programs with a deadline. Nothing is changed."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from ctpolicy.apply.place import is_the_hosts
from ctpolicy.apply.service import NAME
from ctpolicy.conntrack.facts import TableFacts
from ctpolicy.conntrack.kernel_facts import KernelFacts
from ctpolicy.doctor.facts import Directory, Log, LogLine, Namespaces, Presence, Trial, Unit, Unseen
from ctpolicy.doctor.kernel_log import record
from ctpolicy.doctor.machine import Ran
from ctpolicy.doctor.trials import trials
from ctpolicy.errors import CtpolicyError
from ctpolicy.iptables.installed import TOOLS_PATH
from ctpolicy.namespaces import NAMED, made_in
from ctpolicy.nftables.kernel import Libnftables

PATIENCE: Final = 10.0
"""Seconds for one answer of a program or of the kernel, and for looking through /proc."""

_SMALL: Final = 1 << 20
_MOST_OUTPUT: Final = 1 << 26
_RECORD: Final = 1 << 13
_MOST_RECORDS: Final = 1 << 18
_UNITS: Final = tuple(map(Path, ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")))

_STATISTICS: Final = Path("/proc/thread-self/net/stat/nf_conntrack")

_Seen = TypeVar("_Seen")


class ThisMachine:
    """The machine that we are on; see machine.Machine.

    Args:
        namespace: path of a network namespace; None for the one that we are in.
        path: directories with the programs, as in the environment's PATH.
        may_try: whether things are tried out in a scratch namespace.
    """

    def __init__(self, namespace: Path | None = None, path: str = TOOLS_PATH, may_try: bool = True) -> None:
        self._namespace = namespace
        self._path = path
        self._may_try = may_try

    def release(self) -> str:
        """The kernel's; see Machine."""
        return os.uname().release

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def user(self) -> int:
        """Whoever we are, by number."""
        return os.geteuid()

    def is_the_hosts(self) -> bool:
        """Whether the network namespace is the machine's own."""
        return is_the_hosts(self._namespace) if self._namespace else is_the_hosts()

    def number(self) -> int:
        """Of the network namespace; see Machine."""
        try:
            return (self._namespace or Path("/proc/self/ns/net")).stat().st_ino
        except OSError:
            return 0

    def module(self, name: str) -> Presence | None:
        """How a module is in the kernel; see Machine. What is built in is found by its parameters alone."""
        if not Path("/sys/module", name).exists():
            return None
        # Of a module that was loaded there is a state; of what is built in there is none.
        return Presence.LOADED if Path("/sys/module", name, "initstate").exists() else Presence.BUILT_IN

    def text(self, path: str) -> str | Unseen | None:
        """A small file; see Machine."""
        return made_in(self._namespace, lambda: _text(Path(path)))

    def run(self, tool: str, *arguments: str) -> Ran | Unseen | None:
        """Run a program; see Machine."""
        places = (Path(directory, tool) for directory in self._path.split(":") if directory.startswith("/"))
        found = next((place for place in places if place.is_file() and os.access(place, os.X_OK)), None)
        if found is None:
            return None
        return made_in(self._namespace, lambda: _ran((str(found), *arguments), self._path))

    def trials(self) -> Mapping[Trial, str] | Unseen:
        """What works in a scratch namespace; see Machine."""
        return trials(self._path, PATIENCE) if self._may_try else Unseen("it was not to be tried out")

    def table(self) -> TableFacts | Unseen:
        """Sizes, settings and statistics of conntrack."""
        return _seen(KernelFacts(self._namespace, PATIENCE).facts)

    def listing(self) -> str | Unseen:
        """All tables of nftables; see Machine."""
        return _seen(Libnftables(self._namespace, 2 * PATIENCE).listing)

    def kernel_log(self) -> Log | Unseen:
        """The kernel's log, from its own buffer; see Machine."""
        try:
            descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return Unseen(f"/dev/kmsg: {error.strerror}")
        try:
            return Log(tuple(_records(descriptor)), "the kernel's log")
        except OSError as error:
            return Unseen(f"/dev/kmsg: {error.strerror}")
        finally:
            os.close(descriptor)

    def namespaces(self) -> Namespaces | Unseen:
        """The network namespaces of the machine: those of processes, and those with names."""
        until = time.monotonic() + PATIENCE
        found: dict[int, str] = {}
        told: dict[int, _Use | None] = {}
        hidden = 0
        for name, path in _candidates():
            if time.monotonic() > until:
                return Unseen(f"to look through /proc took longer than {PATIENCE:g} seconds")
            try:
                number = path.stat().st_ino
            except PermissionError:
                hidden += 1
                continue
            except OSError:
                continue  # the process has ended
            if number not in found:
                told[number] = _use(path)
            # A name says more than a process, and comes later.
            if number not in found or name.startswith("netns "):
                found[number] = name
        in_use = {found[number]: use.entries for number, use in told.items() if use is not None and use.is_any}
        return Namespaces(len(found), in_use, sum(use is None for use in told.values()), hidden)

    def directory(self, path: str) -> Directory | Unseen | None:
        """Whose a directory is; see Machine."""
        try:
            found = Path(path).lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return Unseen(f"{path}: {error.strerror}")
        if not stat.S_ISDIR(found.st_mode):
            return Unseen(f"{path} is no directory")
        return Directory(found.st_uid, stat.S_IMODE(found.st_mode))

    def unit(self) -> Unit | Unseen | None:
        """The boot service; see Machine."""
        try:
            found = next((directory / NAME for directory in _UNITS if (directory / NAME).exists()), None)
            return Unit(str(found), any(_UNITS[0].glob(f"*.wants/{NAME}"))) if found else None
        except OSError as error:
            return Unseen(f"{_UNITS[0]}: {error.strerror}")

    def runs_systemd(self) -> bool:
        """As sd_booted(3) tells it."""
        return Path("/run/systemd/system").is_dir()


def _seen(ask: Callable[[], _Seen]) -> _Seen | Unseen:
    try:
        return ask()
    except CtpolicyError as error:
        return Unseen(str(error))


def _text(path: Path) -> str | Unseen | None:
    try:
        with path.open("rb") as file:
            return file.read(_SMALL).decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        return Unseen(f"{path}: {error.strerror}")


def _ran(command: tuple[str, ...], path: str) -> Ran | Unseen:
    try:
        done = subprocess.run(  # noqa: S603 (no shell, absolute path, clean environment)
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            env={"LC_ALL": "C", "PATH": path},
            process_group=0,
        )
    except subprocess.TimeoutExpired:
        return Unseen(f"{command[0]} did not end within {PATIENCE:g} seconds")
    except OSError as error:
        return Unseen(f"{command[0]}: {error.strerror}")
    if len(done.stdout) > _MOST_OUTPUT:
        return Unseen(f"{command[0]} printed more than {_MOST_OUTPUT >> 20} MiB")
    return Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def _records(descriptor: int) -> Iterator[LogLine]:
    """What is in the buffer now. To read on would wait."""
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    for _ in range(_MOST_RECORDS):
        try:
            raw = os.read(descriptor, _RECORD)
        except BlockingIOError:
            return
        except BrokenPipeError:
            continue  # what was next has been overwritten meanwhile; the kernel goes on with what is left
        found = record(raw, booted)
        if found is not None:
            yield found


def _candidates() -> Iterator[tuple[str, Path]]:
    """What may lead to a network namespace: a name for it, and a path."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            yield f"process {process.name}", process / "ns/net"
    if NAMED.is_dir():
        for named in sorted(NAMED.iterdir()):
            yield f"netns {named.name}", named


class _Use(NamedTuple):
    """What conntrack does in a network namespace: its entries, and whether there are any or it has counted anything."""

    entries: int
    is_any: bool


def _use(namespace: Path) -> _Use | None:
    """What conntrack does there; None if that cannot be seen."""
    told = _seen(lambda: made_in(namespace, lambda: _text(_STATISTICS)))
    if isinstance(told, Unseen):
        return None
    # A line for each processor, of hexadecimal numbers; the entries of all of them come first in each.
    rows = [[int(word, 16) for word in line.split()] for line in (told or "").splitlines()[1:]]
    return _Use(rows[0][0] if rows else 0, any(map(any, rows)))
