"""Every error that ctpolicy tells its users, and who must act on it.

    CtpolicyError
    ├── InputError             2  the user: a policy, a packet, an argument or a dump is wrong
    │   └── PolicyError           the same, with a diagnostic for each mistake in the policy files
    ├── HostError              5  the administrator: privilege, a tool, a module, somebody else's table
    │   ├── StateError            our own state on disk cannot be read or written
    │   ├── RefusedError          the kernel or a tool said no to a change: read the host again
    │   └── KernelCrashError      a tool or library died in mid-call: read the host again before anything else
    ├── DeadlineError          6  whoever called: try again, after reading the host again
    │   └── LockError             the same, but it was not done: another tool held the lock all the while
    ├── StaleError             7  whoever called: what is live is not what the plan was made against: plan again
    ├── HazardError            8  whoever called: the plan would break traffic for certain, and nobody accepts that
    └── ApplyError                the administrator: a commit did not do what was planned
        ├── NotAppliedError    3  the host was read again and is as it was before
        └── InconsistentError  4  it is not; the message says what to run by hand

Anything else that escapes is a bug of ours (exit status 1).
"""

from typing import ClassVar


class CtpolicyError(Exception):
    """What every error here is. The message is complete sentences for a terminal, and names a remedy."""

    exit_status: ClassVar[int] = 1


class InputError(CtpolicyError):
    """The user's input is wrong."""

    exit_status = 2


class HostError(CtpolicyError):
    """This host cannot do what was asked: privilege, a tool, a library, or a table that is somebody else's."""

    exit_status = 5


class StateError(HostError):
    """What ctpolicy keeps on disk cannot be read or written: no room, not permitted, damaged, or open to others."""


class RefusedError(HostError):
    """The kernel or its tool refused a change: all of it, or, where it takes several transactions, from one on."""


class KernelCrashError(HostError):
    """The child that talks to the kernel died in mid-call. A change may or may not have been made."""


class DeadlineError(CtpolicyError):
    """The kernel's tools did not answer before the deadline. A change may or may not have been made."""

    exit_status = 6


class LockError(DeadlineError):
    """Another tool held a lock for as long as we waited. What was asked for was not done."""


class StaleError(CtpolicyError):
    """What is live is no longer what the plan was made against."""

    exit_status = 7


class HazardError(CtpolicyError):
    """A plan would break traffic for certain, and nobody has accepted that. Nothing was changed."""

    exit_status = 8


class ApplyError(CtpolicyError):
    """A commit did not do what was planned."""


class NotAppliedError(ApplyError):
    """Nothing was changed: the host was read again and is as it was before."""

    exit_status = 3


class InconsistentError(ApplyError):
    """The host is neither as it was nor as planned, or could not be read again."""

    exit_status = 4
