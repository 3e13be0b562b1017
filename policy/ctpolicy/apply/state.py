"""What is remembered of a host: the last changes, what was live before and after each, and what the boot restores.

    changes/000007/change.json      record.Change
                   before.json.gz   snapshot.Snapshot
                   after.json.gz
    confirmed/BACKEND.json.gz       a link to an `after` that nothing has still to come of

Each file is whole or not there. A change's directory gets its name when all three are in it, before anything is
written to the kernel; so whatever ends ctpolicy in the midst of a change, what was live before can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from ctpolicy.apply.clock import Clock, user
from ctpolicy.apply.files import Directory
from ctpolicy.apply.lock import locked
from ctpolicy.apply.place import Place
from ctpolicy.apply.record import Change, Outcome, change_text, read_change
from ctpolicy.apply.snapshot import Snapshot, packed, unpacked
from ctpolicy.errors import InputError, StateError

MOST_CHANGES: Final = 20
"""That are kept; older ones go."""

_CHANGE: Final = "change.json"
_BEFORE: Final = "before.json.gz"
_AFTER: Final = "after.json.gz"
_NEW: Final = ".new"


class State:
    """What is remembered of one host or network namespace.

    Args:
        place: where.
        clock: the machine's.
    """

    def __init__(self, place: Place, clock: Clock | None = None) -> None:
        self.clock: Final = clock or Clock()
        self._place = place

    def locked(self, wait: float) -> AbstractContextManager[None]:
        """Let nobody else change this host; see lock.locked."""
        return locked(self._place.lock, wait)

    def changes(self) -> list[Change]:
        """All that are remembered, oldest first.

        Raises:
            StateError: they cannot be read.
        """
        try:
            with self._directory("changes") as kept:
                return [self._change(int(name)) for name in kept.names() if name.isdecimal()]
        except FileNotFoundError:
            return []

    def change(self, number: int) -> Change:
        """One of them.

        Raises:
            InputError: there is none of this number.
        """
        found = [change for change in self.changes() if change.number == number]
        if not found:
            raise InputError(f"There is no change {number}: `ctpolicy history` shows those that are remembered.")
        return found[0]

    def open_change(self) -> Change | None:
        """The last of which something has still to come; None if there is none."""
        return next((change for change in reversed(self.changes()) if change.is_open), None)

    def before(self, change: Change) -> Snapshot:
        """What was live before a change.

        Raises:
            StateError: it is damaged, or gone.
        """
        return self._snapshot(f"changes/{change.number:06}", _BEFORE)

    def after(self, change: Change) -> Snapshot:
        """What a change was to make live; raises as before() does."""
        return self._snapshot(f"changes/{change.number:06}", _AFTER)

    def confirmed(self, backend: str) -> Snapshot | None:
        """What a backend has to have after a reboot; None if that was never said.

        Raises:
            StateError: it is damaged.
        """
        try:
            with self._directory("confirmed") as kept:
                return unpacked(kept.read(f"{backend}.json.gz"), str(kept.path / f"{backend}.json.gz"))
        except FileNotFoundError:
            return None

    def confirmed_backends(self) -> list[str]:
        """The backends of which there is something confirmed."""
        try:
            with self._directory("confirmed") as kept:
                return [name.removesuffix(".json.gz") for name in kept.names() if name.endswith(".json.gz")]
        except FileNotFoundError:
            return []

    def begin(
        self, command: str, policy: str, before: Snapshot, after: Snapshot, confirm_within: float | None = None
    ) -> Change:
        """Remember a change that is about to be made.

        Raises:
            StateError: that cannot be written; nothing was.
        """
        confirm_by = None if confirm_within is None else self.clock.since_boot() + confirm_within
        with self._made("changes") as kept:
            number = max((int(name) for name in kept.names() if name.isdecimal()), default=0) + 1
            when, boot = self.clock.now(), self.clock.boot()
            change = Change(number, when, boot, command, policy, before.backend, user(), confirm_by=confirm_by)
            self._forget_unfinished(kept)
            with self._made(f"changes/{_NEW}") as new:
                new.write(_BEFORE, packed(before))
                new.write(_AFTER, packed(after))
                new.write(_CHANGE, change_text(change))
            kept.rename(_NEW, f"{number:06}")
        return change

    def end(self, change: Change, outcome: Outcome, note: str = "") -> Change:
        """Remember what came of a change; if it stays, the next boot restores it.

        Raises:
            StateError: that cannot be written.
        """
        ended = change.ended(outcome, note)
        name = f"{change.number:06}"
        with self._directory(f"changes/{name}") as its:
            if outcome in {Outcome.DONE, Outcome.CONFIRMED}:
                with self._made("confirmed") as confirmed:
                    confirmed.take(its, _AFTER, f"{change.backend}.json.gz")
            its.write(_CHANGE, change_text(ended))
        if not ended.is_open:
            self._prune()
        return ended

    def confirm_as_it_is(self, snapshot: Snapshot) -> None:
        """Have the next boot restore this; it writes nothing if it would anyway.

        Raises:
            StateError: that cannot be written.
        """
        if self._is_confirmed(snapshot):
            return
        with self._made("confirmed") as kept:
            kept.write(f"{snapshot.backend}.json.gz", packed(snapshot))

    def _is_confirmed(self, snapshot: Snapshot) -> bool:
        try:
            return self.confirmed(snapshot.backend) == snapshot
        except StateError:
            return False  # what is damaged is written anew

    def directory_of(self, change: Change) -> Path:
        """Where what belongs to a change is kept."""
        return self._place.state / f"changes/{change.number:06}"

    def _change(self, number: int) -> Change:
        try:
            with self._directory(f"changes/{number:06}") as its:
                return read_change(its.read(_CHANGE), str(its.path / _CHANGE))
        except (FileNotFoundError, StateError) as error:
            return Change(number, "", "", "", "", "", "", Outcome.DAMAGED, str(error))

    def _snapshot(self, directory: str, name: str) -> Snapshot:
        path = self._place.state / directory / name
        try:
            with self._directory(directory) as its:
                return unpacked(its.read(name), str(path))
        except FileNotFoundError as error:
            raise StateError(f"{path} is not there.") from error

    def _prune(self) -> None:
        old = [change for change in self.changes() if not change.is_open][:-MOST_CHANGES]
        with self._directory("changes") as kept:
            for change in old:
                kept.remove(f"{change.number:06}")

    @staticmethod
    def _forget_unfinished(kept: Directory) -> None:
        try:
            kept.remove(_NEW)
        except FileNotFoundError:
            return

    @contextmanager
    def _directory(self, name: str) -> Iterator[Directory]:
        opened = Directory(self._place.state / name)
        try:
            yield opened
        finally:
            opened.close()

    @contextmanager
    def _made(self, name: str) -> Iterator[Directory]:
        Directory.made(self._place.state).close()
        opened = Directory.made(self._place.state / name)
        try:
            yield opened
        finally:
            opened.close()
