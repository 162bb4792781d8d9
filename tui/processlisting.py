"""From a view to the lines of the process list: hide, filter, arrange, keep what is followed. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from sysmon.query import Context, Query
from sysmon.units import format_duration
from tui.processcolumns import TRAIL_CELLS, TRAIL_LEVELS
from tui.processtrail import Trail
from tui.processtree import (
    Grouping,
    Item,
    Key,
    Order,
    as_before,
    by_pid,
    flat,
    grouped,
    item_key,
    kept_order,
    row_key,
    tree,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.frame import ProcessRow
    from tui.glyphs import Glyphs
    from tui.model import View

Mode = Literal["list", "tree", "unit", "container", "user"]
GROUPINGS: Final[tuple[Grouping, ...]] = ("unit", "container", "user")
NEW_SECONDS: Final = 5.0
"""So long after its start a process is marked as new."""
CHANGING: Final = frozenset({"cpu", "read", "write"})
"""Columns by which most processes are equal, and which change all the time."""
HOLD_SECONDS: Final = 3.0
"""So long after the cursor was moved the order of lines is held: what the finger is about to hit stays there."""


@dataclass(slots=True)
class Followed:
    """A process that the cursor sticks to: its last row, and since when (Unix milliseconds) it is gone."""

    row: ProcessRow
    ended: int | None = None


@dataclass(slots=True)
class Listing:
    """How the list is arranged, and the lines that came of it last.

    Attributes:
        mode: a plain list, a tree, or groups. `order`: what it is sorted by. `query`: the filter.
        kernel: whether threads of the kernel are shown.
        folded: whether branches or groups are folded unless `toggled` has their key.
        held: until when (Unix milliseconds) the order is held; None for no longer.
        followed: the process that the cursor sticks to.
        rows: all processes of the view by pid; `among` of them could be shown, `shown` are.
    """

    mode: Mode = "list"
    order: Order = field(default_factory=Order)
    query: Query = field(default_factory=lambda: Query("", None))
    kernel: bool = False
    folded: bool = False
    toggled: set[Key] = field(default_factory=set)
    held: int | None = None
    followed: Followed | None = None
    trail: Trail = field(default_factory=Trail)
    rows: list[ProcessRow] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    among: int = 0
    shown: int = 0

    @property
    def grouping(self) -> Grouping | None:
        """What lines are grouped by, or None."""
        return None if self.mode in ("list", "tree") else self.mode  # type: ignore[return-value]

    def is_folded(self, key: Key) -> bool:
        """Whether a branch or group shows its sums alone."""
        return (key in self.toggled) != self.folded

    def arrange(self, view: View, glyphs: Glyphs, *, trails: bool = False) -> list[Item]:
        """Makes the lines of a view.

        Args:
            view: the host at a moment.
            glyphs: the lines of the tree.
            trails: whether the small graphs are wanted.
        """
        boottime = boot_seconds(view)
        self.rows = rows = by_pid(with_gpu(view))
        if view.live:
            self.trail.add(view.processes_time or view.time, boottime, rows)
        shown = rows if self.kernel else [row for row in rows if not row.kernel]
        self.among = len(shown)
        if self.order.column in CHANGING and self.items:
            shown = as_before(shown, self.items)
        test = self.query.test(Context(_whole(view.value("memory.total")), boottime, view.time)) if self.query else None
        fresh = boottime - NEW_SECONDS if boottime is not None and view.live else float("inf")
        self._see_followed(view)
        if self.mode == "tree":
            items = tree(shown, self.order, glyphs, folded=self.is_folded, matches=test, fresh=fresh)
            self.shown = len(shown) if test is None else sum([not item.dim for item in items])
        else:
            matching = shown if test is None else [row for row in shown if test(row)]
            self.shown = len(matching)
            items = (
                flat(matching, self.order, fresh=fresh)
                if self.grouping is None
                else grouped(matching, self.grouping, self.order, glyphs, folded=self.is_folded, fresh=fresh)
            )
        if self.held is not None and self.mode == "list":
            if 0 <= self.held - view.time <= HOLD_SECONDS * 1000:
                items = kept_order(items, [item_key(item) for item in self.items])
            else:
                self.held = None
        items = self._with_followed(items, view)
        if trails:
            levels = self.trail.levels(2 * TRAIL_CELLS, TRAIL_LEVELS)
            items = [
                item if (line := levels.get((item.row.pid, item.row.started))) is None else item._replace(trail=line)
                for item in items
            ]
        self.items = items
        return items

    def _see_followed(self, view: View) -> None:
        followed = self.followed
        if followed is None:
            return
        key = row_key(followed.row)
        row = next((row for row in self.rows if row_key(row) == key), None)
        if row is not None:
            followed.row, followed.ended = row, None
        elif followed.ended is None and self.rows:
            followed.ended = view.time

    def _with_followed(self, items: list[Item], view: View) -> list[Item]:
        """Adds the followed process where it ended, or where the filter leaves it out."""
        followed = self.followed
        if followed is None or self.grouping is not None:
            return items
        key = row_key(followed.row)
        if any(item_key(item) == key for item in items):
            return items
        if followed.ended is None:
            ghost = Item(followed.row, dim=True)
        else:
            row = msgspec.structs.replace(followed.row, cpu=None, read_rate=None, write_rate=None, state="")
            ghost = Item(row, dim=True, note=f"ended {ago(view.time - followed.ended)}")
        before = next((at for at, item in enumerate(self.items) if item_key(item) == key), len(items))
        return [*items[:before], ghost, *items[before:]]


def with_gpu(view: View) -> Sequence[ProcessRow]:
    """Returns the processes, those that the GPUs' table names with their memory there."""
    used: dict[int, int] = {}
    for gpu in view.state.tables.gpus or ():
        for pid, size in gpu.processes:
            if size is not None:
                used[pid] = used.get(pid, 0) + size
    if not used:
        return view.processes
    return [
        msgspec.structs.replace(row, gpu_memory=used[row.pid]) if row.gpu_memory is None and row.pid in used else row
        for row in view.processes
    ]


def boot_seconds(view: View) -> float | None:
    """Seconds since boot at the moment that the processes are of."""
    frame = view.state.frame
    if frame is None:
        return None
    behind = (frame.time - view.processes_time) / 1000 if view.processes_time is not None else 0.0
    return frame.monotonic / 1e9 - behind


def ago(milliseconds: int) -> str:
    """`3 s ago`, `2m 05s ago`."""
    seconds = max(0, milliseconds // 1000)
    return f"{seconds} s ago" if seconds < 60 else f"{format_duration(seconds)} ago"


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
