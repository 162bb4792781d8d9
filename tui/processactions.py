"""What the Processes screen does to processes: signals and nice values, and when it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.errors import UsageError
from tui.processtree import Item, group_of, row_key
from tui.screens.signal import SignalDialog, named, send

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from sysmon.frame import ProcessRow
    from sysmon.ports import Actions
    from tui.model import View
    from tui.processtree import Grouping, Key
    from tui.services import Services

LOWEST, HIGHEST = -20, 19


def refusal(view: View | None, services: Services) -> str:
    """Returns why nothing may be done to the processes shown, or ''."""
    if view is None:
        return "no process is known yet"
    if services.config.screen.readonly:
        return "sysmon was started with --readonly: processes are left alone"
    if view.status.state == "replay":
        return "this is the past: its processes cannot be reached; L goes back to now"
    if services.actions(view.info.id) is None:
        return f"{view.info.label} is another host: sysmon reads it only; use ssh for signals"
    return ""


def dangers(rows: Sequence[ProcessRow], actions: Actions) -> list[tuple[ProcessRow, str]]:
    """Returns the processes that want a second confirmation, and why."""
    found = []
    for row in rows:
        why = actions.dangerous(row)
        if why is None and row.name == "sshd":
            why = "ssh connections to this host hang on it"
        if why:
            found.append((row, why))
    return found


def targets(
    item: Item | None, tagged: Iterable[Hashable], rows: Sequence[ProcessRow], by: Grouping | None
) -> list[ProcessRow]:
    """Returns the processes that are meant: those tagged, or the one under the cursor; of a group its members.

    A folded branch means the process that it hangs on, not what is below it.
    """
    keys = set(tagged) or ({(item.group, -1.0) if item.group else row_key(item.row)} if item is not None else set())
    if item is not None and item.note:
        keys.discard(row_key(item.row))
    groups = {key[0] for key in keys if isinstance(key, tuple) and key[1] == -1.0}
    return [row for row in rows if row_key(row) in keys or (by is not None and groups and group_of(row, by) in groups)]


def signal_dialog(rows: Sequence[ProcessRow], actions: Actions) -> SignalDialog:
    """Returns the dialog for these processes."""
    return SignalDialog(rows, dangers(rows, actions), lambda row, number: actions.signal(row.pid, row.started, number))


def parse_nice(text: str) -> int:
    """Parses a nice value.

    Raises:
        UsageError: it is none.
    """
    try:
        value = int(text)
    except ValueError:
        value = HIGHEST + 1
    if not LOWEST <= value <= HIGHEST:
        raise UsageError(f"'{text}' is not a nice value", f"write {LOWEST} (first) to {HIGHEST} (last)")
    return value


class Nices:
    """Nice values set since the last read, so that a key pressed twice counts twice."""

    def __init__(self) -> None:
        self._set: dict[Key, int] = {}
        self.time = 0
        """The moment, Unix milliseconds, since which they were set."""

    def clear(self, time: int) -> None:
        """Forgets them: a later read has them."""
        self._set.clear()
        self.time = time

    def renice(self, rows: Sequence[ProcessRow], actions: Actions, value: Callable[[int], int]) -> str:
        """Sets nice values and returns a sentence about it.

        Args:
            rows: the processes.
            actions: who does it.
            value: the new value for a present one.
        """

        def act(row: ProcessRow) -> None:
            wanted = max(LOWEST, min(value(self._set.get(row_key(row), row.nice)), HIGHEST))
            actions.renice(row.pid, row.started, wanted)
            self._set[row_key(row)] = wanted

        outcomes = send(rows, act)
        failed = [each for each in outcomes if each.words]
        done = [each.row for each in outcomes if not each.words]
        words = []
        if done:
            values = {self._set[row_key(row)] for row in done}
            words.append(f"{named(done)}: nice {min(values)}" + (f" to {max(values)}" if len(values) > 1 else ""))
        if failed:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            words.append(failed[0].words + more)
        return "; ".join(words)
