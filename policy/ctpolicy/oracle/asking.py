"""The oracle for who has no privilege, and wants none of the host's own namespaces touched.

Everything is done in a child process. It leaves the host's network namespace first of all, an ordinary user's into a
user namespace of its own in which it may do what root may; only then are worlds made and rules loaded. When it ends,
whichever way, they are gone.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from ctpolicy.errors import CtpolicyError, HostError, KernelCrashError, RefusedError
from ctpolicy.iptables.installed import Action, find_ipset, find_iptables, full_name
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.oracle.namespace import TOOLS_PATH, Namespace, NamespaceUnavailableError
from ctpolicy.oracle.raw_worlds import RawOracle
from ctpolicy.oracle.sendable import DEVICES
from ctpolicy.oracle.worlds import Oracle, OracleError
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.packet import Packet

_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000


@dataclass(frozen=True, slots=True)
class NftablesQuestion:
    """A table in both forms that are shipped: the one world is given the text, the other the JSON."""

    text: str
    json: str
    packets: Sequence[Packet]
    devices: tuple[str, ...] = DEVICES


@dataclass(frozen=True, slots=True)
class IptablesQuestion:
    """Raw tables and ipsets, as the backend loads them."""

    variant: Variant
    tables: RawTables
    packets: Sequence[Packet]
    devices: tuple[str, ...] = DEVICES


Question = NftablesQuestion | IptablesQuestion


@dataclass(frozen=True, slots=True)
class Answers:
    """What the kernel says.

    Args:
        listed: of nftables, what each world lists of our table, as JSON; of iptables, what is ours as it is read back.
        untracked: for each packet, whether it stays untracked.
    """

    listed: tuple[str, ...] | RawTables | None
    untracked: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The rules were not taken, or a packet was not answered."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotAsked:
    """The kernel cannot be asked here."""

    reason: str


Answer = Answers | Refused | NotAsked


def ask(question: Question, deadline: float = 120.0) -> Answer:
    """What the kernel says of a ruleset and packets that can be sent (sendable.py).

    Args:
        question: rules and packets.
        deadline: seconds; then the child is ended.
    """
    context = get_context("fork")  # spawned, it would be another interpreter that has to find this package
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(sender, question), daemon=True)
    child.start()
    sender.close()
    try:
        if not receiver.poll(deadline):
            return NotAsked(f"the kernel was not done with it after {deadline:g} seconds")
        answer: Answer = receiver.recv()
        return answer
    except EOFError:
        child.join()
        return NotAsked(f"the child that asks the kernel died (status {child.exitcode})")
    finally:
        child.kill()
        child.join()
        receiver.close()


def _answer(sender: Connection, question: Question) -> None:
    """The child: it tells its answer and ends."""
    try:
        answer = _from_scratch(question)
    except NamespaceUnavailableError as error:
        answer = NotAsked(f"no scratch network namespace can be had: {error}")
    except FileNotFoundError as error:
        answer = NotAsked(f"{error.filename} is not installed")
    except (RefusedError, KernelCrashError, OracleError) as error:
        answer = Refused(str(error))
    except (CtpolicyError, OSError, subprocess.SubprocessError) as error:
        answer = NotAsked(f"the kernel cannot be asked here: {error}")
    sender.send(answer)
    sender.close()


def _from_scratch(question: Question) -> Answer:
    missing = next(_missing(question), None)
    if missing:
        return NotAsked(f"{missing} is not installed")
    _leave()
    worlds = Oracle(Namespace(), Namespace(), question.devices)
    try:
        if isinstance(question, IptablesQuestion):
            listed: tuple[str, ...] | RawTables | None = RawOracle(worlds, question.variant).change(question.tables)
        else:
            listed = _loaded(worlds, question)
        return Answers(listed, tuple(worlds.untracked(question.packets)))
    finally:
        worlds.close()


def _loaded(worlds: Oracle, question: NftablesQuestion) -> tuple[str, ...]:
    """What each world lists, once it has the table."""
    try:
        worlds.home.namespace.load(question.text)
        worlds.transit.namespace.run("nft", "-j", "-f", "-", stdin=question.json)
    except HostError as error:
        raise RefusedError(str(error)) from error
    listing = ("nft", "-j", "list", "table", TABLE_FAMILY, TABLE_NAME)
    return tuple(world.namespace.run(*listing).stdout for world in worlds.worlds)


def _missing(question: Question) -> Iterator[str]:
    """Programs that are not here."""
    yield from (
        program for program in ("ip", "nft", "nsenter", "unshare") if not shutil.which(program, path=TOOLS_PATH)
    )
    if isinstance(question, IptablesQuestion):
        for family in Family:
            for action in Action:
                if find_iptables(question.variant, family, action) is None:
                    yield full_name(question.variant, family, action)
        if question.tables.sets and find_ipset() is None:
            yield "ipset"


def _leave() -> None:
    """Leave the host's network namespace: this process, which is another one's child, and has one thread.

    Raises:
        NamespaceUnavailableError: that is not allowed here.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWNET) == 0:
        return
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        raise NamespaceUnavailableError(f"{os.strerror(ctypes.get_errno())}, also for a user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
