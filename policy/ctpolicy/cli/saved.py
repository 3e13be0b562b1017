"""Saved plans: what `plan --out` writes, and `plan` and `apply` take in the place of policies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from ctpolicy import __version__
from ctpolicy.apply.clock import Clock
from ctpolicy.apply.files import write_file
from ctpolicy.cli.host import backend_named, plan_loaded
from ctpolicy.errors import InputError, StaleError
from ctpolicy.language.diagnostics import harmless
from ctpolicy.language.load import Texts, load_and_keep, load_kept
from ctpolicy.language.policy import Policy
from ctpolicy.language.trust import UntrustedError, Writers, open_trusted, whoever_asked
from ctpolicy.netfilter.backend import Backend
from ctpolicy.plan.live import BOTH_VARIANTS
from ctpolicy.plan.plan import Plan
from ctpolicy.plan.saved import LARGEST, SavedPlan, is_saved_plan, read_saved, save, saved_text, what_moved

_BEGINNING: Final = 1 << 12
"""Bytes in which a saved plan says what it is."""


def plan_and_save(
    policies: Sequence[Path], netns: str | None, dump: Path | None, backend: str | None, no_ipset: bool, out: Path
) -> Plan[Any]:
    """Plan to make the policies in files live, and write the plan to a file; raises as plan_loaded does."""
    kept: list[Texts] = []

    def load() -> Policy:
        policy, texts = load_and_keep(policies, whoever_asked())
        kept.append(texts)
        return policy

    plan = plan_loaded(load, netns, dump, backend_named(backend, not no_ipset))
    if backend is None and BOTH_VARIANTS in plan.notes:
        raise InputError("Both variants of iptables are in use here: say with --backend what is to keep the rules.")
    write_file(out, saved_text(save(plan, kept[0], __version__, Clock().now())).encode())
    return plan


def saved_plan_in(
    files: Sequence[Path], backend: str | None, no_ipset: bool, writers: Writers | None = None
) -> SavedPlan | None:
    """The saved plan that was given in the place of policies; None if policies were.

    Args:
        files: that were given.
        backend: that was given; likewise `no_ipset`.
        writers: who alone may be able to write it, because it is to be carried out; None to look at anybody's.

    Raises:
        InputError: it is damaged, or is not alone, or was given with options that it says itself, or could have been
            written by others.
    """
    found = [path for path in files if _begins_as_one(path)]
    if not found:
        return None
    if len(files) > 1:
        raise InputError(f"{found[0]} is a saved plan, and one is taken alone: it has its policies in it.")
    if backend is not None or no_ipset:
        raise InputError(
            f"{found[0]} is a saved plan, which says itself what its backend is: no --backend, --no-ipset."
        )
    return read_saved(_text(found[0], writers))


def _text(path: Path, writers: Writers | None) -> str:
    try:
        with path.open("rb") if writers is None else open(open_trusted(path, writers), "rb") as file:  # noqa: PTH123
            return file.read(4 * LARGEST + 1).decode()
    except UntrustedError as error:
        raise InputError(
            f"{path} could be changed by others, and with it this host: {error}. {error.remedy}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _begins_as_one(path: Path) -> bool:
    """Only a file is looked into: of a pipe, which a policy may come from, the beginning would be lost."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return is_saved_plan(file.read(_BEGINNING).decode(errors="replace"))
    except (OSError, ValueError):
        return False  # told where policies are read


def backend_of(saved: SavedPlan) -> Backend[Any]:
    """What a saved plan is for."""
    return backend_named(saved.backend, saved.with_sets)


def plan_afresh(saved: SavedPlan, netns: str | None, dump: Path | None = None) -> Plan[Any]:
    """What a saved plan would do now, stale or not; raises as plan_loaded does."""
    return plan_loaded(partial(load_kept, saved.texts), netns, dump, backend_of(saved))


def refuse_stale(saved: SavedPlan, fresh: Plan[Any]) -> None:
    """Raise StaleError if anything is no longer as it was when the plan was saved."""
    moved = what_moved(saved, fresh)
    if moved:
        raise StaleError(
            f"This plan is stale. Since it was made ({saved.made}), this has moved:\n"
            + "".join(f"  {harmless(line)}\n" for line in moved)
            + "Nothing was changed. Plan again: ctpolicy plan --out FILE POLICY..."
        )


def plan_as_saved(saved: SavedPlan, netns: str | None) -> Plan[Any]:
    """What a saved plan does, if all is as it was when it was made.

    Raises:
        StaleError: something is not; and as plan_loaded does.
    """
    plan = plan_afresh(saved, netns)
    refuse_stale(saved, plan)
    return plan
